"""Trains a model once per seed with what the search found best, or with the next best should a seed fail.

Near the largest rate that trains, whether a network survives hangs on its initial weights, even on rounding, and the
search saw one seed only. So here too what diverges cannot win: a rate at which some seed diverges is out. Neither can
a number of epochs that some seed does not reach without a blow-up: within a few batches the loss grows a hundredfold,
and many epochs later it is not what it was. Both are read off the mean loss of the epochs; no error is looked at. A
training with fewer epochs is the beginning of a longer one, so it goes on from the last state that both pass.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from distributed import Client

from mnist_core.candidates import Hyperparameters, rank
from mnist_core.errors import UserError
from mnist_core.training.cluster import train_all
from mnist_core.training.divergence import has_failed
from mnist_core.training.history import EpochRecord
from mnist_core.training.loop import is_finished
from mnist_core.training.run import TrainingRun, TrainingSetup, TrainingState

_BLOW_UP = 10  # times the lowest loss so far; the models of the report had less than 2 or more than 100


@dataclass(frozen=True)
class FinalTraining:
    """The hyperparameters taken, the final states in the order of the seeds, and why better ones were not taken."""

    hyperparameters: Hyperparameters
    states: list[TrainingState]
    failures: list[str]


def rank_pairs(ranking: Sequence[Hyperparameters], curves: pd.DataFrame) -> list[Hyperparameters]:
    """Return every pair of a rate and a number of epochs, the best first.

    Args:
        ranking: the rates that may win.
        curves: columns learning_rate, epoch and validation_error (percent), of these and other rates.
    """
    rates = [hyperparameters.learning_rate for hyperparameters in ranking]
    rows = curves.loc[curves["learning_rate"].isin(rates), ["learning_rate", "epoch", "validation_error"]].dropna()
    return rank(
        Hyperparameters(learning_rate=rate, epochs=epoch, validation_error=error)
        for rate, epoch, error in rows.itertuples(index=False)
    )


def train_seeds(
    client: Client,
    setup: TrainingSetup,
    pairs: Sequence[Hyperparameters],
    seeds: Sequence[int],
    *,
    description: str,
    on_epoch: Callable[[int, EpochRecord], None] | None = None,
) -> FinalTraining:
    """Train with every seed.

    Args:
        client: see `cluster.open_cluster`.
        setup: the model.
        pairs: see `rank_pairs`.
        seeds: of the initial weights and of the order of the images.
        description: shown before the progress bar, and in the error.
        on_epoch: called with the place of the seed among `seeds` and the record of every epoch that is trained.

    Raises:
        UserError: some seed fails, whatever of the pairs is taken.
    """
    failures: list[str] = []
    longest: dict[float, int] = {}  # rate -> epochs that all seeds survive, once one has failed
    passed: dict[tuple[float, int], list[TrainingState]] = defaultdict(list)  # rate, index of the seed -> its states
    for pair in pairs:
        if pair.epochs > longest.get(pair.learning_rate, pair.epochs):
            continue
        runs = [
            setup.new_run(
                learning_rate=pair.learning_rate, num_epochs=pair.epochs, seed=seed, evaluate_on=("train", "test")
            )
            for seed in seeds
        ]
        states = {
            index: state
            for index in range(len(runs))
            if (state := _furthest(passed[pair.learning_rate, index], pair.epochs))
        }
        for index, state in train_all(client, runs, description=description, started=states):
            if on_epoch:
                num_reported = len(states[index].records) if index in states else 0
                for record in state.records[num_reported:]:
                    on_epoch(index, record)
            states[index] = state
            passed[pair.learning_rate, index].append(state)
            if _epochs_survived(runs[index], state) == 0:
                break  # the other seeds need not go on
        survived, seed = min((_epochs_survived(runs[index], states[index]), runs[index].seed) for index in states)
        if survived == pair.epochs:
            return FinalTraining(pair, [states[index] for index in range(len(runs))], failures)
        longest[pair.learning_rate] = survived
        what = f"blew up after {survived} epochs" if survived else "diverged"
        failures.append(f"seed {seed} {what} at learning rate {pair.learning_rate:g}")
    raise UserError(
        f"{description}: {', '.join(failures)}; search smaller learning rates or take other seeds in params.yaml"
    )


def _furthest(states: Sequence[TrainingState], num_epochs: int) -> TrainingState | None:
    """Return the state after most epochs, but at most `num_epochs`."""
    reached = (state for state in states if len(state.records) <= num_epochs)
    return max(reached, key=lambda state: len(state.records), default=None)


def _epochs_survived(run: TrainingRun, state: TrainingState) -> int:
    """Return the epochs before the loss blew up; 0 if the run has diverged, or has ended worse without a blow-up."""
    if state.diverged:
        return 0
    lowest = float("inf")
    for record in state.records:
        if record.loss > _BLOW_UP * lowest:
            return record.epoch - 1
        lowest = min(lowest, record.loss)
    return 0 if is_finished(run, state) and has_failed(state) else len(state.records)
