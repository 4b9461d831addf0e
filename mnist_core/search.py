"""Chooses learning rate and number of epochs by validation error, never by test error.

Each candidate rate is trained once, with the validation error taken after every epoch. The pair (rate, epoch) with the
lowest error wins; of equal pairs the one with fewer epochs, then the larger rate. A trial that diverges or collapses
(`training.has_failed`) is recorded and cannot win. The other rates are ranked by the same rule; `final_training.py`
says when one of these, or fewer epochs, is taken instead.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from distributed import Client

from mnist_core.candidates import Hyperparameters, rank
from mnist_core.errors import UserError
from mnist_core.metrics import cross_entropy, is_constant, percent
from mnist_core.params import GridSearch, SearchParams
from mnist_core.registry import loaded_classifier
from mnist_core.training.cluster import threads_per_job, train_all
from mnist_core.training.divergence import has_failed
from mnist_core.training.loop import advance, initial_state, load_once
from mnist_core.training.run import TrainingRun, TrainingSetup, TrainingState

_SMALLEST_PROBE = 1e-6


@dataclass(frozen=True)
class Trial:
    """One candidate learning rate: `epochs` finite epochs; the best of them, None if it diverged or collapsed."""

    learning_rate: float
    diverged: bool
    epochs: int
    best_epoch: int | None
    best_validation_error: float | None


@dataclass(frozen=True)
class Probe:
    """Whether this rate trains the network within one epoch; see `trains`."""

    learning_rate: float
    trains: bool


@dataclass(frozen=True)
class SearchResult:
    """Every rate that can win, the best first; how that came about, and every validation error (percent)."""

    ranking: tuple[Hyperparameters, ...]
    trials: tuple[Trial, ...]
    probes: tuple[Probe, ...]
    curves: pd.DataFrame

    def to_json(self) -> dict[str, Any]:
        """Return everything but the curves, ready for JSON, with the choice on top."""
        return {
            **self.ranking[0].model_dump(),
            "ranking": [hyperparameters.model_dump() for hyperparameters in self.ranking],
            "trials": [asdict(trial) for trial in self.trials],
            "probes": [asdict(probe) for probe in self.probes],
        }


def search(
    client: Client, setup: TrainingSetup, params: SearchParams, *, num_epochs: int, description: str
) -> SearchResult:
    """Train every candidate rate and choose.

    Args:
        client: see `cluster.open_cluster`.
        setup: the model.
        params: the candidates.
        num_epochs: how long each of them trains.
        description: shown before the progress bar.

    Returns:
        The choice; `curves` has a row for every finite epoch: learning_rate, epoch, validation_error (percent) and
        best, which is 1 in the row that won and 0 elsewhere.

    Raises:
        UserError: no rate trains, or every trial diverged.
    """
    probes: tuple[Probe, ...] = ()
    if isinstance(params, GridSearch):
        rates = list(params.learning_rates)
    else:
        probes = probe_downward(client, setup, params.largest_learning_rate, seed=params.seed)
        rates = [_tenths(probes[-1].learning_rate, i) for i in range(params.num_learning_rates)]
    runs = [
        setup.new_run(learning_rate=rate, num_epochs=num_epochs, seed=params.seed, evaluate_on=("validation",))
        for rate in rates
    ]
    states = dict(train_all(client, runs, description=description))  # of each run the last one
    return choose(rates, [states[index] for index in range(len(runs))], probes)


def choose(rates: Sequence[float], states: Sequence[TrainingState], probes: tuple[Probe, ...] = ()) -> SearchResult:
    """Rank finished trials.

    Raises:
        UserError: every trial diverged.
    """
    trials = tuple(_trial(rate, state) for rate, state in zip(rates, states, strict=True))
    ranking = rank(
        Hyperparameters(
            learning_rate=trial.learning_rate, epochs=trial.best_epoch, validation_error=trial.best_validation_error
        )
        for trial in trials
        if trial.best_validation_error is not None and trial.best_epoch is not None
    )
    if not ranking:
        tried = ", ".join(f"{rate:g}" for rate in rates)
        raise UserError(f"search: training diverged at every learning rate ({tried}); add smaller ones in params.yaml")
    best = (ranking[0].learning_rate, ranking[0].epochs)
    curves = pd.DataFrame(
        [
            (rate, record.epoch, percent(record.errors["validation"]), int((rate, record.epoch) == best))
            for rate, state in zip(rates, states, strict=True)
            for record in state.records
        ],
        columns=["learning_rate", "epoch", "validation_error", "best"],
    )
    return SearchResult(tuple(ranking), trials, probes, curves)


def _trial(rate: float, state: TrainingState) -> Trial:
    if has_failed(state):
        return Trial(rate, True, len(state.records), None, None)
    best = min(state.records, key=lambda record: (record.errors["validation"], record.epoch))
    return Trial(rate, False, len(state.records), best.epoch, percent(best.errors["validation"]))


def probe_downward(client: Client, setup: TrainingSetup, largest: float, *, seed: int) -> tuple[Probe, ...]:
    """Try `largest`, a tenth of it, and so on, until a rate trains; that one is the last of the probes.

    Raises:
        UserError: not even a rate near 0.000001 trains.
    """
    probes: list[Probe] = []
    while not (probes and probes[-1].trains):
        rate = _tenths(largest, len(probes))
        if rate < _SMALLEST_PROBE:
            tried = ", ".join(f"{probe.learning_rate:g}" for probe in probes)
            raise UserError(
                f"search: none of the learning rates {tried} trains the network within one epoch;"
                " start elsewhere with largest_learning_rate in params.yaml"
            )
        run = setup.new_run(learning_rate=rate, num_epochs=1, seed=seed)
        job = client.submit(trains, run, threads_per_job(client, 1), pure=False)
        probes.append(Probe(rate, job.result()))
    return tuple(probes)


@np.errstate(over="ignore", invalid="ignore")  # as in `advance`
def trains(run: TrainingRun, num_threads: int | None = None) -> bool:
    """Return whether a run of one epoch stays finite, lowers the training loss and does not end in guessing.

    At too large a rate the units of a layer of ReLU may fall silent for every image. The last bias then still learns
    how often each digit occurs, which alone does better than fresh weights. So a network that predicts one digit for
    every training image does not count as trained, for whatever reason.

    Args:
        run: what to train.
        num_threads: see `registry.loaded_classifier`.
    """
    train = load_once(run.data_directory).train
    untrained = initial_state(run)
    trained = advance(run, untrained, 1, num_threads)
    if trained.diverged:
        return False
    after, before = (
        loaded_classifier(run.framework, run.architecture, state.weights, num_threads=num_threads).predict_logits(
            train.images
        )
        for state in (trained, untrained)
    )
    is_better = cross_entropy(after, train.labels) < cross_entropy(before, train.labels)
    return is_better and not is_constant(after.argmax(axis=1))


def _tenths(rate: float, times: int) -> float:
    return float(f"{rate / 10**times:.6g}")  # 0.1, not 0.09999999999999999
