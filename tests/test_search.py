import json
import math
from dataclasses import replace

import numpy as np
import pytest

from mnist_core import search as search_module
from mnist_core.candidates import Hyperparameters, Probe, Trial
from mnist_core.errors import UserError
from mnist_core.metrics import cross_entropy
from mnist_core.networks.architectures import Dense
from mnist_core.params import GridSearch, ProbeSearch
from mnist_core.registry import build_classifier
from mnist_core.search import _tenths, choose, learns_in_one_epoch, probe_downward, search
from mnist_core.training import run as run_module
from mnist_core.training.divergence import Failure
from mnist_core.training.history import EpochRecord
from mnist_core.training.loop import cached_split
from mnist_core.training.run import TrainingRun, TrainingState


@pytest.fixture
def linear(setup):
    return replace(setup, architecture=(Dense(10),))


def finished(*errors, failure=None):
    records = (EpochRecord(epoch, 1.0, {"validation": error}) for epoch, error in enumerate(errors, 1))
    return TrainingState({}, tuple(records), failure)


def trial(rate, failure, epochs, best_epoch, best_error):
    return Trial(
        learning_rate=rate,
        failure=failure,
        epochs=epochs,
        best_epoch=best_epoch,
        best_validation_error=best_error,
    )


def ranked(result):
    return [tuple(candidate.model_dump(exclude_defaults=True).values()) for candidate in result.candidates]


class TestChoose:
    def test_the_lowest_validation_error_of_any_epoch_wins(self):
        result = choose([0.1, 0.01], [finished(0.5, 0.3, 0.4), finished(0.6, 0.5, 0.2)])
        assert ranked(result)[0] == (0.01, 3, 20.0)
        assert result.trials == (trial(0.1, None, 3, 2, 30.0), trial(0.01, None, 3, 3, 20.0))

    def test_every_pair_is_ranked(self):
        result = choose([0.1, 0.01], [finished(0.5, 0.3, 0.4), finished(0.6, 0.3)])
        assert ranked(result) == [(0.1, 2, 30.0), (0.01, 2, 30.0), (0.1, 3, 40.0), (0.1, 1, 50.0), (0.01, 1, 60.0)]

    def test_of_equal_errors_the_fewer_epochs_win(self):
        result = choose([1.0, 0.1], [finished(0.5, 0.5, 0.2, 0.2), finished(0.5, 0.2, 0.3, 0.2)])
        assert ranked(result)[0][:2] == (0.1, 2)

    def test_of_equal_errors_and_epochs_the_larger_rate_wins(self):
        result = choose([0.01, 1.0, 0.1], [finished(0.5, 0.2)] * 3)
        assert ranked(result)[0][:2] == (1.0, 2)

    @pytest.mark.parametrize("word", ["non-finite", "dead", "collapsed"])
    def test_what_failed_is_recorded_with_its_word_and_cannot_win(self, word):
        result = choose([1.0, 0.1], [finished(0.01, failure=Failure(word, 2)), finished(0.5, 0.4)])
        assert ranked(result) == [(0.1, 2, 40.0), (0.1, 1, 50.0)]
        assert result.trials[0] == trial(1.0, word, 1, None, None)

    def test_the_epochs_before_a_spike_can_win(self):
        result = choose([1.0, 0.1], [finished(0.3, 0.2, 0.1, failure=Failure("spiked", 3)), finished(0.25, 0.4, 0.5)])
        assert ranked(result)[:3] == [(1.0, 2, 20.0), (0.1, 1, 25.0), (1.0, 1, 30.0)]
        assert result.trials[0] == trial(1.0, "spiked", 3, 2, 20.0)

    def test_the_curves_have_a_row_for_every_finite_epoch(self):
        result = choose([1.0, 0.1], [finished(0.25, failure=Failure("dead", 1)), finished(0.5, 1 / 3)])
        assert result.curves.columns.tolist() == ["learning_rate", "epoch", "validation_error", "best"]
        assert result.curves.values.tolist() == [[1, 1, 25, 0], [0.1, 1, 50, 0], [0.1, 2, 33.3333, 1]]

    def test_when_all_fail_the_error_names_the_rates_and_how_each_failed(self):
        states = [finished(0.1, failure=Failure("dead", 1)), finished(failure=Failure("non-finite", 1))]
        with pytest.raises(UserError, match=r"failed at every learning rate \(1 dead, 0\.1 non-finite\); add smaller"):
            choose([1.0, 0.1], states)

    def test_the_record_is_plain_json(self):
        result = choose(
            [1.0], [finished(0.25)], (Probe(learning_rate=10.0, learns=False), Probe(learning_rate=1.0, learns=True))
        )
        assert json.loads(json.dumps(result.to_json())) == {
            "learning_rate": 1.0,
            "epochs": 1,
            "validation_error": 25.0,
            "trials": [
                {
                    "learning_rate": 1.0,
                    "failure": None,
                    "epochs": 1,
                    "best_epoch": 1,
                    "best_validation_error": 25.0,
                }
            ],
            "probes": [{"learning_rate": 10.0, "learns": False}, {"learning_rate": 1.0, "learns": True}],
            "candidates": [{"learning_rate": 1.0, "epochs": 1, "validation_error": 25.0}],
        }


def test_tenths_are_the_numbers_that_one_would_write():
    assert [_tenths(10, times) for times in range(5)] == [10, 1, 0.1, 0.01, 0.001]
    assert [_tenths(0.3, times) for times in range(4)] == [0.3, 0.03, 0.003, 0.0003]


class StubClient:
    """Runs nothing: a rate trains if it is at most `limit`."""

    def __init__(self, limit):
        self.limit = limit
        self.address = "tls://elsewhere"
        self.threads = []

    def run(self, function, run, num_threads, data_directory):
        assert function is learns_in_one_epoch
        self.threads.append(num_threads)
        assert (run.num_epochs, run.seed) == (1, 7)
        assert data_directory == run.setup.data_directory
        return run.hyperparameters.learning_rate <= self.limit


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(10, [10]), (0.5, [10, 1, 0.1]), (0.000001, [10, 1, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001])],
)
def test_probing_stops_at_the_first_rate_that_trains(linear, limit, expected):
    probes = probe_downward(StubClient(limit), linear, 10, seed=7)
    assert [probe.learning_rate for probe in probes] == expected
    assert [probe.learns for probe in probes] == [False] * (len(expected) - 1) + [True]


def test_a_probe_gets_all_cores(linear, monkeypatch):
    client, threads = StubClient(10), []
    monkeypatch.setattr(search_module, "threads_per_job", lambda asking, num_jobs: (asking, num_jobs))
    probe_downward(client, linear, 10, seed=7)
    assert client.threads == [(client, 1)]

    def load(*arguments, num_threads, fast):
        threads.append(num_threads)
        return build_classifier(*arguments, num_threads=num_threads, fast=fast)

    monkeypatch.setattr(run_module, "build_classifier", load)
    learns_in_one_epoch(TrainingRun(linear, Hyperparameters(learning_rate=0.1, epochs=1), seed=99), 3)
    assert threads == [3, 3, 3]  # to train, and for the loss after and before


def test_probing_gives_up_at_a_millionth(linear):
    with pytest.raises(
        UserError,
        match=r"learns at none of the rates 10, 1, .*, 1e-06 within one epoch; start elsewhere",
    ):
        probe_downward(StubClient(0), linear, 10, seed=7)


@pytest.mark.parametrize(
    ("learning_rate", "expected"),
    [
        (0.1, True),
        (100.0, False),  # stays finite, but the loss rises
        (1e38, False),  # overflows
        (1e-30, False),  # nothing moves: the loss is the same, not lower
    ],
)
def test_a_rate_trains_if_one_epoch_lowers_the_loss(linear, learning_rate, expected):
    assert (
        learns_in_one_epoch(TrainingRun(linear, Hyperparameters(learning_rate=learning_rate, epochs=1), seed=99))
        is expected
    )


def test_guessing_is_not_training_though_it_lowers_the_loss(linear, monkeypatch):
    """As 2d did at 10 and at 1: with silent ReLU units only the last bias learned."""
    run = TrainingRun(linear, Hyperparameters(learning_rate=1, epochs=1), seed=99)
    train = cached_split(run.setup.data_directory, "train")
    untrained = run.initial_state()
    logits = build_classifier("numpy", linear.architecture, untrained.weights).predict_logits(train.images)
    assert cross_entropy(logits, train.labels) > math.log(10)

    guessing = TrainingState({name: np.zeros_like(array) for name, array in untrained.weights.items()})
    monkeypatch.setattr(search_module, "advance", lambda *arguments: guessing)  # its loss is log(10)
    assert not learns_in_one_epoch(run)
    guessing.weights["dense_1.kernel"][...] = untrained.weights["dense_1.kernel"] / 1000  # it is almost the same
    assert learns_in_one_epoch(run)


def test_a_grid_search_trains_every_rate(client, setup):
    params = GridSearch(strategy="grid", learning_rates=(0.1, 1e36, 0.001), seed=0)
    result = search(client, setup, params, num_epochs=4, description="")
    assert result.candidates[0].learning_rate == 0.1
    assert result.probes == ()
    assert [trial.failure for trial in result.trials] == [None, "non-finite", None]
    assert [trial.learning_rate for trial in result.trials] == [0.1, 1e36, 0.001]
    curve = result.curves[result.curves.learning_rate == 0.1]
    assert curve.epoch.tolist() == [1, 2, 3, 4]
    assert curve.validation_error.min() == result.candidates[0].validation_error
    assert (curve.validation_error * 30 / 100 % 1).round(3).isin([0, 1]).all()  # of the 30 validation images


def test_a_probing_search_tries_the_largest_rate_that_trains_and_its_tenths(client, linear):
    params = ProbeSearch(strategy="probe", largest_learning_rate=1000, num_learning_rates=2, seed=0)
    result = search(client, linear, params, num_epochs=2, description="")
    assert [probe.learns for probe in result.probes] == [False] * (len(result.probes) - 1) + [True]
    assert len(result.probes) > 1
    largest = result.probes[-1].learning_rate
    assert math.log10(largest).is_integer()
    assert [trial.learning_rate for trial in result.trials] == [largest, largest / 10]


def test_the_searchs_seed_is_used(client, linear):
    def curve(seed):
        params = GridSearch(strategy="grid", learning_rates=(0.01,), seed=seed)
        return search(client, linear, params, num_epochs=3, description="").curves.validation_error.tolist()

    assert curve(0) == curve(0)
    assert curve(0) != curve(5)
