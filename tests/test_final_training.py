from dataclasses import replace

import pandas as pd
import pytest

from mnist_core import final_training
from mnist_core.candidates import Hyperparameters
from mnist_core.errors import UserError
from mnist_core.final_training import rank_pairs, train_seeds
from mnist_core.training.history import EpochRecord
from mnist_core.training.loop import advance
from mnist_core.training.run import TrainingState
from tests.runs import content


def found(learning_rate, epochs):
    return Hyperparameters(learning_rate=learning_rate, epochs=epochs, validation_error=1.0)


def test_every_seed_is_trained_with_the_best(client, setup):
    seen = []
    training = train_seeds(
        client,
        setup,
        [found(0.1, 2), found(0.01, 3)],
        [5, 7],
        description="",
        on_epoch=lambda *event: seen.append(event),
    )
    assert (training.hyperparameters, training.failures) == (found(0.1, 2), [])
    for index, (seed, state) in enumerate(zip((5, 7), training.states, strict=True)):
        run = setup.new_run(learning_rate=0.1, num_epochs=2, seed=seed, evaluate_on=("train", "test"))
        assert state.records == advance(run, None, 2).records
        assert tuple(record for reported, record in seen if reported == index) == state.records


def test_what_diverges_for_one_seed_is_passed_over_for_all(client, setup, monkeypatch):
    """As 2c did at learning rate 1: the search's seed survived 500 epochs, another died in the first 20."""
    train_all = final_training.train_all
    rates = []

    def one_dies(client, runs, **options):
        rates.append(runs[0].learning_rate)
        for index, state in train_all(client, runs, **options):
            yield index, replace(state, diverged=len(rates) == 1 and index == 1 and len(state.records) == 2)

    monkeypatch.setattr(final_training, "train_all", one_dies)
    seen = []
    pairs = [found(0.2, 3), found(0.2, 1), found(0.1, 2), found(0.01, 2)]
    training = train_seeds(
        client,
        setup,
        pairs,
        [5, 7],
        description="",
        on_epoch=lambda index, record: seen.append((index, record.epoch)),
    )
    assert rates == [0.2, 0.1]
    assert training.hyperparameters == found(0.1, 2)
    assert training.failures == ["seed 7 diverged at learning rate 0.2"]
    assert [len(state.records) for state in training.states] == [2, 2]
    assert [epoch for index, epoch in seen if index == 1] == [1, 2, 1, 2]  # the third at 0.2 is not waited for


def test_a_collapse_counts_as_divergence_and_no_error_rate_matters(setup, monkeypatch):
    def states(client, runs, **options):
        last_loss, error = (2.0, 0.0) if runs[0].learning_rate == 1 else (0.5, 0.9)
        records = (EpochRecord(1, 1.0, {"test": 0.5}), EpochRecord(2, last_loss, {"test": error}))
        yield 0, TrainingState({}, records)

    monkeypatch.setattr(final_training, "train_all", states)
    training = train_seeds(None, setup, [found(1, 2), found(0.1, 2)], [5], description="")
    assert training.hyperparameters == found(0.1, 2)


@pytest.fixture
def scripted(monkeypatch):
    """Let seeds have these losses, epoch by epoch; None: diverged. Returns the pairs that were tried.

    A rate and seed never train the same epoch twice.
    """

    def script(losses):
        tried = []
        trained = set()

        def states(client, runs, description, started):
            tried.append((runs[0].learning_rate, runs[0].num_epochs))
            for index, run in enumerate(runs):
                records = started[index].records if index in started else ()
                for epoch, loss in enumerate(losses[run.seed][len(records) : run.num_epochs], len(records) + 1):
                    assert (run.learning_rate, run.seed, epoch) not in trained
                    trained.add((run.learning_rate, run.seed, epoch))
                    records += () if loss is None else (EpochRecord(epoch, loss, {}),)
                    yield index, TrainingState({}, records, diverged=loss is None)

        monkeypatch.setattr(final_training, "train_all", states)
        return tried

    return script


@pytest.mark.parametrize("wake", [[0.02, 0.06], [0.6, 0.02], [0.02, 0.6]])  # also one that ends in a blow-up
def test_what_blows_up_for_one_seed_needs_fewer_epochs(setup, scripted, wake):
    """As 2d did at learning rate 0.1: two of five seeds ended in the wake of a blow-up, at 2 instead of 1.1 %."""
    tried = scripted({5: [0.5, 0.04, 0.02, 0.1, 0.05], 7: [0.5, 0.01, 0.5, *wake]})
    pairs = [found(0.1, 5), found(0.1, 3), found(0.1, 2), found(0.01, 2)]
    training = train_seeds(None, setup, pairs, [5, 7], description="")
    assert tried == [(0.1, 5), (0.1, 2)]  # three epochs are known to be too many
    assert training.hyperparameters == found(0.1, 2)
    assert training.failures == ["seed 7 blew up after 2 epochs at learning rate 0.1"]
    assert [state.records[-1].loss for state in training.states] == [0.04, 0.01]


def test_after_a_blow_up_the_next_pair_may_have_another_rate(setup, scripted):
    tried = scripted({5: [0.5, 0.04, 0.5]})
    train_seeds(None, setup, [found(0.1, 3), found(0.01, 2), found(0.1, 2)], [5], description="")
    assert tried == [(0.1, 3), (0.01, 2)]


@pytest.mark.parametrize("seeds", [[5, 7], [7, 5]])
def test_a_rate_at_which_one_seed_diverges_is_out_though_another_blows_up(setup, scripted, seeds):
    tried = scripted({5: [0.5, 0.04, 0.5], 7: [0.5, 0.04, None]})
    training = train_seeds(None, setup, [found(0.1, 3), found(0.1, 2), found(0.01, 2)], seeds, description="")
    assert tried == [(0.1, 3), (0.01, 2)]
    assert training.failures == ["seed 7 diverged at learning rate 0.1"]


def test_a_shorter_training_goes_on_where_the_longer_one_was(client, setup, monkeypatch):
    """The longer one is cut into segments of two epochs, so the third has to be trained, from the state after two."""
    monkeypatch.setattr(final_training, "_epochs_survived", lambda run, state: 3)
    seen = []
    training = train_seeds(
        client,
        setup,
        [found(0.1, 30), found(0.1, 3)],
        [5],
        description="",
        on_epoch=lambda index, record: seen.append(record.epoch),
    )
    run = setup.new_run(learning_rate=0.1, num_epochs=3, seed=5, evaluate_on=("train", "test"))
    assert content(training.states[0]) == content(advance(run, None, 3))
    assert seen == [*range(1, 31), 3]


def test_pairs_are_ranked_by_validation_error_then_fewer_epochs_then_the_larger_rate():
    rows = [(0.1, 1, 3.0), (0.1, 2, 2.0), (0.01, 1, 2.5), (0.01, 2, 2.0), (1.0, 1, 0.5), (0.01, 3, 2.0)]
    curves = pd.DataFrame(rows, columns=["learning_rate", "epoch", "validation_error"])
    pairs = rank_pairs([found(0.01, 2), found(0.1, 2)], curves)  # 1.0 diverged later in the search
    assert [(pair.learning_rate, pair.epochs) for pair in pairs] == [
        (0.1, 2),
        (0.01, 2),
        (0.01, 3),
        (0.01, 1),
        (0.1, 1),
    ]
    assert pairs[0].validation_error == 2.0


def test_nothing_left_is_an_error_that_names_seeds_and_rates(client, setup):
    message = "train 2b: seed [12] diverged at learning rate 1e.30, seed [12] diverged at learning rate 1e.29; search"
    with pytest.raises(UserError, match=message):
        train_seeds(client, setup, [found(1e30, 2), found(1e29, 2)], [1, 2], description="train 2b")
