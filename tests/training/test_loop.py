from dataclasses import replace

import numpy as np
import pytest

from mnist_core.candidates import Hyperparameters
from mnist_core.networks.architectures import Dense, operations
from mnist_core.training import loop as training
from mnist_core.training import run as run_module
from mnist_core.training.divergence import Failure
from mnist_core.training.loop import advance, cached_split, loaded_split
from mnist_core.training.run import TrainingRun, TrainingState, initial_rng, is_finished, shuffling_rng
from tests.runs import CNN, begin, content, learning, with_setup

MLP = (Dense(16, "relu"), Dense(10))


@pytest.fixture
def run(setup):
    return TrainingRun(
        replace(setup, architecture=MLP), Hyperparameters(learning_rate=0.1, epochs=5), 3, evaluate_on=("train", "test")
    )


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
@pytest.mark.parametrize("architecture", [MLP, CNN], ids=["mlp", "cnn"])
def test_a_run_may_be_cut_anywhere(run, framework, architecture):
    run = with_setup(run, framework=framework, architecture=architecture)
    whole = begin(run, 5)
    assert [record.epoch for record in whole.records] == [1, 2, 3, 4, 5]
    state = run.initial_state()
    for segment in (1, 2, 10):  # the last one is longer than what is left
        assert not is_finished(run, state)
        state = advance(run, state, segment)
        begin(replace(run, seed=9), 1)  # another run in between leaves no trace
    assert is_finished(run, state)
    assert content(state) == content(whole)


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
def test_a_run_with_momentum_and_shifts_may_be_cut_anywhere(run, framework):
    run = with_setup(run, framework=framework)
    run = learning(run, momentum=0.9, weight_decay=1e-3, schedule="cosine", shift=1, batch_size=50)
    whole = begin(run, 5)
    state = run.initial_state()
    for segment in (1, 2, 2):
        state = advance(run, state, segment)
    assert content(state) == content(whole)
    assert any(array.any() for array in state.velocity.values())


def test_a_cosine_falls_at_every_step_from_the_rate_towards_zero(run):
    """Two epochs of two steps: cos is 1, 0.707, 0 and -0.707."""
    run = learning(run, learning_rate=0.2, epochs=2, schedule="cosine", batch_size=100)
    assert run.learning_rates(1, 130) == pytest.approx([0.2, 0.170711], abs=1e-6)
    assert run.learning_rates(2, 130) == pytest.approx([0.1, 0.029289], abs=1e-6)
    assert learning(run, schedule="constant").learning_rates(2, 130).tolist() == [0.2, 0.2]


def test_a_segment_leaves_the_state_that_it_started_from(run):
    start = run.initial_state()
    before = content(start)
    after = advance(run, start, 1)
    assert content(start) == before
    assert content(after)[0] != before[0]


def test_training_learns_and_records_the_asked_splits(run):
    state = begin(learning(run, epochs=30), 30)
    assert [set(record.errors) for record in state.records] == [{"train", "test"}] * 30
    assert state.records[0].errors["train"] > 0.3
    assert state.records[-1].errors["train"] < 0.05
    assert state.records[-1].errors["test"] < 0.1
    assert state.records[-1].loss < state.records[0].loss / 3
    assert begin(replace(learning(run, epochs=1), evaluate_on=()), 1).records[0].errors == {}


def test_the_recorded_errors_are_those_of_the_weights_at_the_end_of_the_epoch(run):
    # A learning rate of almost 0 and a bias that says 4: of 40 test images, 4 are of each class.
    run = replace(with_setup(run, architecture=(Dense(10),)), evaluate_on=("test",))
    run = learning(run, learning_rate=1e-30)
    weights = {"dense_1.kernel": np.zeros((784, 10)), "dense_1.bias": np.eye(10)[4]}
    (record,) = advance(run, TrainingState(weights), 1).records
    assert record.errors == {"test": 0.9}


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
def test_divergence_ends_a_run_and_keeps_the_finite_epochs(run, framework):
    run = with_setup(run, framework=framework)
    good = begin(run, 2)
    bad = advance(learning(run, learning_rate=1e30), good, 3)
    assert bad.failure == Failure("non-finite", 3)
    assert is_finished(run, bad)
    assert bad.records == good.records
    assert all(np.isfinite(array).all() for array in bad.weights.values())


def test_divergence_on_several_threads_warns_nobody(run):  # pytest makes an error of a warning
    run = learning(with_setup(run, architecture=CNN, batch_size=60), learning_rate=1e30)
    assert begin(run, 1, num_threads=2).failure == Failure("non-finite", 1)


def test_the_number_of_threads_is_handed_on(run, monkeypatch):
    asked, load = [], run_module.build_classifier
    monkeypatch.setattr(
        run_module,
        "build_classifier",
        lambda *arguments, num_threads, fast: (
            asked.append(num_threads) or load(*arguments, num_threads=num_threads, fast=fast)
        ),
    )
    begin(run, 1, num_threads=2)
    begin(run, 1)
    assert asked == [2, None]


def test_a_last_step_that_ends_beyond_the_finite_numbers_is_divergence(run, monkeypatch):
    def explode(classifier, *_):
        classifier.set_weights({name: np.full_like(a, np.inf) for name, a in classifier.get_weights().items()})
        return 1.0

    monkeypatch.setattr(training, "train_one_epoch", explode)
    assert begin(run, 1).failure == Failure("non-finite", 1)


def weights_with(run, name, value):
    weights = run.initial_state().weights
    return TrainingState(weights | {name: np.full_like(weights[name], value)})


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
@pytest.mark.parametrize("architecture", [MLP, CNN], ids=["mlp", "cnn"])
def test_a_dead_network_ends_its_run(run, framework, architecture):
    run = with_setup(run, framework=framework, architecture=architecture)
    silent = weights_with(run, f"{operations(architecture)[0 if architecture is CNN else 1].name}.bias", -1000)
    state = advance(run, silent, 5)
    assert state.failure == Failure("dead", 1)
    assert [record.epoch for record in state.records] == [1]
    assert 0.8 < state.records[0].errors["train"] < 0.95  # it answers everything alike


def test_a_network_may_stand_still_or_give_one_answer_without_being_dead(run):
    still = begin(learning(run, learning_rate=1e-30), 2)
    assert still.failure is None
    assert np.array_equal(still.weights["dense_1.kernel"], run.initial_state().weights["dense_1.kernel"])
    one_answer = weights_with(run, "dense_2.bias", 0)
    one_answer.weights["dense_2.bias"][4] = 1000
    state = advance(learning(run, learning_rate=1e-3, epochs=1), one_answer, 1)
    assert state.records[0].errors["train"] == pytest.approx(0.9, abs=0.05)
    assert state.failure is None


def test_divergence_in_a_later_epoch_does_not_depend_on_the_cut(run, monkeypatch):
    run = learning(run, epochs=4)
    good = begin(run, 2)
    train = training.train_one_epoch

    def explode(classifier, split, run, epoch, velocity):
        return train(classifier, split, run, epoch, velocity) if epoch < 3 else float("nan")

    monkeypatch.setattr(training, "train_one_epoch", explode)
    assert content(begin(run, 4)) == content(advance(run, good, 1)) == (*content(good)[:3], Failure("non-finite", 3))


class RecordingClassifier:
    """Remembers the orders that it was trained in."""

    def __init__(self):
        self.orders = []

    def train_epoch(self, images, labels, order, *, batch_size, learning_rate, momentum, weight_decay, velocity):
        assert len(images) == len(labels) == 130
        assert (batch_size, momentum, weight_decay, velocity) == (20, 0, 0, {})
        assert learning_rate.tolist() == [0.1] * 7
        self.orders.append(order.tolist())
        return 0.0


def orders(run, epochs):
    classifier = RecordingClassifier()
    for epoch in epochs:
        training.train_one_epoch(classifier, cached_split(run.setup.data_directory, "train"), run, epoch, {})
    return classifier.orders


def test_every_epoch_and_every_seed_has_an_order_of_its_own(run):
    first, second = orders(run, [1, 2])
    (other_seed,) = orders(replace(run, seed=4), [1])
    assert sorted(first) == sorted(second) == sorted(other_seed) == list(range(130))
    assert len({tuple(order) for order in (first, second, other_seed)}) == 3
    assert orders(run, [2]) == [second]  # whatever came before
    assert orders(with_setup(run, framework="tensorflow"), [1]) == [first]  # the twins see the same batches


def test_weights_and_orders_come_from_separate_streams():
    streams = [initial_rng(0), initial_rng(1), shuffling_rng(0, 1), shuffling_rng(0, 2), shuffling_rng(1, 1)]
    assert len({stream.integers(2**62) for stream in streams}) == 5
    assert initial_rng(0).integers(2**62) == initial_rng(0).integers(2**62)


def test_each_split_is_read_once_and_only_if_it_is_needed(run, prepared, monkeypatch):
    loaded_split.cache_clear()
    read = []
    load = training.load_split
    monkeypatch.setattr(training, "load_split", lambda *which: read.append(which) or load(*which))
    advance(run, begin(run, 1), 1)
    assert read == [(prepared, "train"), (prepared, "test")]
