"""Chooses learning rate and number of epochs by validation error, never by test error.

Each learning rate is tried once, with the validation error taken after every epoch. All pairs of a rate and a number of
epochs that the trial survived are ranked; the lowest error wins, of equal ones that with fewer epochs, then that with
the larger rate. `final_training.py` says when the next best is taken instead.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mnist_core.arrays import Array, Weights
from mnist_core.candidates import Candidate, Hyperparameters, Probe, SearchResult, Trial, rank
from mnist_core.errors import UserError
from mnist_core.metrics import cross_entropy, is_constant, percent
from mnist_core.params import GridSearch, SearchParams
from mnist_core.training.checkpoints import Checkpoints
from mnist_core.training.cluster import threads_per_job, train_all
from mnist_core.training.jobs import Cluster
from mnist_core.training.loop import advance, cached_split
from mnist_core.training.run import TrainingRun, TrainingSetup, TrainingState

_SMALLEST_PROBE = 1e-6


def search(
    cluster: Cluster,
    setup: TrainingSetup,
    params: SearchParams,
    *,
    num_epochs: int,
    description: str,
    checkpoints: Checkpoints | None = None,
) -> SearchResult:
    """Try every learning rate and rank what they gave.

    Args:
        cluster: see `cluster.open_cluster`.
        setup: the model.
        params: the learning rates, or how to find them.
        num_epochs: how long each of them trains.
        description: shown before the progress bar.
        checkpoints: see `cluster.train_all`.

    Returns:
        `curves` has a row for every epoch: learning_rate, epoch, validation_error (percent) and best, which is 1 in the
        row that won and 0 elsewhere.

    Raises:
        UserError: a network learns at no rate, or every trial failed.
    """
    probes: tuple[Probe, ...] = ()
    if isinstance(params, GridSearch):
        rates = list(params.learning_rates)
    else:
        probes = probe_downward(cluster, setup, params.largest_learning_rate, seed=params.seed)
        rates = [_tenths(probes[-1].learning_rate, i) for i in range(params.num_learning_rates)]
    runs = [
        TrainingRun(setup, Hyperparameters(learning_rate=rate, epochs=num_epochs), params.seed, ("validation",))
        for rate in rates
    ]
    states = dict(
        train_all(cluster, runs, description=description, checkpoints=checkpoints)
    )  # of each run the last one
    return choose(rates, [states[index] for index in range(len(runs))], probes)


def choose(rates: Sequence[float], states: Sequence[TrainingState], probes: tuple[Probe, ...] = ()) -> SearchResult:
    """Rank what finished trials gave.

    Raises:
        UserError: every trial failed.
    """
    of_trials = [_candidates(rate, state) for rate, state in zip(rates, states, strict=True)]
    candidates = rank(candidate for found in of_trials for candidate in found)
    trials = tuple(map(_trial, rates, states, of_trials))
    if not candidates:
        tried = ", ".join(f"{trial.learning_rate:g} {trial.failure}" for trial in trials)
        raise UserError(f"search: training failed at every learning rate ({tried}); add smaller ones in params.yaml")
    best = (candidates[0].learning_rate, candidates[0].epochs)
    curves = pd.DataFrame(
        [
            (rate, record.epoch, percent(record.errors["validation"]), int((rate, record.epoch) == best))
            for rate, state in zip(rates, states, strict=True)
            for record in state.records
        ],
        columns=["learning_rate", "epoch", "validation_error", "best"],
    )
    return SearchResult(tuple(candidates), trials, curves, probes=probes)


def _candidates(rate: float, state: TrainingState) -> list[Candidate]:
    return [
        Candidate(learning_rate=rate, epochs=record.epoch, validation_error=percent(record.errors["validation"]))
        for record in state.records[: state.epochs_survived]
    ]


def _trial(rate: float, state: TrainingState, candidates: list[Candidate]) -> Trial:
    best = rank(candidates)[0] if candidates else None
    return Trial(
        learning_rate=rate,
        failure=state.failure.word if state.failure else None,
        epochs=len(state.records),
        best_epoch=best.epochs if best else None,
        best_validation_error=best.validation_error if best else None,
    )


def probe_downward(cluster: Cluster, setup: TrainingSetup, largest: float, *, seed: int) -> tuple[Probe, ...]:
    """Try `largest`, a tenth of it, and so on, until a network learns; that rate is the last of the probes.

    Raises:
        UserError: not even a rate near 0.000001 does.
    """
    probes: list[Probe] = []
    while not (probes and probes[-1].learns):
        rate = _tenths(largest, len(probes))
        if rate < _SMALLEST_PROBE:
            tried = ", ".join(f"{probe.learning_rate:g}" for probe in probes)
            raise UserError(
                f"search: the network learns at none of the rates {tried} within one epoch;"
                " start elsewhere with largest_learning_rate in params.yaml"
            )
        run = TrainingRun(setup, Hyperparameters(learning_rate=rate, epochs=1), seed)
        learns = cluster.run(learns_in_one_epoch, run, threads_per_job(cluster, 1), data_directory=setup.data_directory)
        probes.append(Probe(learning_rate=rate, learns=learns))
    return tuple(probes)


@np.errstate(over="ignore", invalid="ignore")  # as in `advance`
def learns_in_one_epoch(run: TrainingRun, num_threads: int | None = None) -> bool:
    """Return whether a run of one epoch stays finite, lowers the training loss and does not end in guessing.

    At too large a rate the units of a layer of ReLU may fall silent for every image. The last bias then still learns
    how often each digit occurs, which alone does better than fresh weights. So a network that predicts one digit for
    every training image has not learned, for whatever reason.

    Args:
        run: what to train.
        num_threads: see `registry.build_classifier`.
    """
    train = cached_split(run.setup.data_directory, "train")

    def logits(weights: Weights) -> Array:
        return run.setup.classifier(weights, num_threads).predict_logits(train.images)

    untrained = run.initial_state()
    trained = advance(run, untrained, 1, num_threads)
    if trained.failure:
        return False
    after, before = logits(trained.weights), logits(untrained.weights)
    is_better = cross_entropy(after, train.labels) < cross_entropy(before, train.labels)
    return is_better and not is_constant(after.argmax(axis=1))


def _tenths(rate: float, times: int) -> float:
    return float(f"{rate / 10**times:.6g}")  # 0.1, not 0.09999999999999999
