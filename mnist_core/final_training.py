"""Trains a model once per seed with the best candidate of the search, or with the next best should a seed fail.

Near the largest rate that trains, whether a network survives hangs on its initial weights, even on rounding, and the
search saw one seed only. So here too what fails cannot win: neither a rate (and what else makes a candidate, but for
the epochs) at which a seed fails nor, should its loss have spiked, epochs that reach the spike. No error is looked at.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mnist_core.candidates import Candidate, Hyperparameters
from mnist_core.errors import UserError
from mnist_core.training.checkpoints import Checkpoints
from mnist_core.training.cluster import train_all
from mnist_core.training.divergence import Failure
from mnist_core.training.history import EpochRecord
from mnist_core.training.jobs import Cluster
from mnist_core.training.run import TrainingRun, TrainingSetup, TrainingState, is_finished

OnEpoch = Callable[[int, EpochRecord], None]


@dataclass(frozen=True)
class PassedOver:
    """A candidate that was not taken, and the first of its seeds to fail."""

    candidate: Candidate
    seed: int
    failure: Failure

    def __str__(self) -> str:
        return (
            f"learning rate {self.candidate.learning_rate:g} with {self.candidate.epochs} epochs:"
            f" seed {self.seed} {self.failure.word} in epoch {self.failure.epoch}"
        )


@dataclass(frozen=True)
class FinalTraining:
    """The candidate taken, the final states in the order of the seeds, and the better candidates passed over."""

    candidate: Candidate
    states: list[TrainingState]
    passed_over: list[PassedOver]


def train_seeds(
    cluster: Cluster,
    setup: TrainingSetup,
    candidates: Sequence[Candidate],
    seeds: Sequence[int],
    *,
    description: str,
    on_epoch: OnEpoch | None = None,
    checkpoints: Checkpoints | None = None,
) -> FinalTraining:
    """Train with every seed.

    Args:
        cluster: see `cluster.open_cluster`.
        setup: the model.
        candidates: the best first.
        seeds: of the initial weights and of the order of the images.
        description: shown before the progress bar, and in the error.
        on_epoch: called with the place of the seed among `seeds` and the record of every epoch that is trained.
        checkpoints: see `cluster.train_all`.

    Raises:
        UserError: some seed fails, whatever candidate is taken.
    """
    passed_over: list[PassedOver] = []
    survived: dict[Hyperparameters, int] = {}  # whatever the epochs -> those that all seeds survive, if one has failed
    for candidate in candidates:
        but_epochs = candidate.hyperparameters.model_copy(update={"epochs": 1})
        if candidate.epochs > survived.get(but_epochs, candidate.epochs):
            continue
        runs = [TrainingRun(setup, candidate.hyperparameters, seed, evaluate_on=("train", "test")) for seed in seeds]
        training = train_all(cluster, runs, description=description, checkpoints=checkpoints)
        states = _train_until_the_first_failure(training, runs, on_epoch)
        failed = _first_failure(states)
        if failed is None:
            return FinalTraining(candidate, [states[index] for index in range(len(runs))], passed_over)
        index, failure = failed
        survived[but_epochs] = failure.epochs_survived
        passed_over.append(PassedOver(candidate, seeds[index], failure))
    reasons = "; ".join(map(str, passed_over))
    raise UserError(f"{description}: {reasons}; search smaller learning rates or take other seeds in params.yaml")


def _train_until_the_first_failure(
    training: Iterator[tuple[int, TrainingState]], runs: Sequence[TrainingRun], on_epoch: OnEpoch | None
) -> dict[int, TrainingState]:
    """Train every run to its end or, if one fails, as far as is needed to know that none fails in an earlier epoch."""
    states: dict[int, TrainingState] = {}
    for index, state in training:
        if on_epoch:
            known = len(states[index].records) if index in states else 0
            for record in state.records[known:]:
                on_epoch(index, record)
        states[index] = state
        failed = _first_failure(states)
        if failed and all(_has_passed(runs[i], states.get(i), failed[1].epoch) for i in range(len(runs))):
            break
    return states


def _has_passed(run: TrainingRun, state: TrainingState | None, epoch: int) -> bool:
    return state is not None and (is_finished(run, state) or len(state.records) >= epoch)


def _first_failure(states: dict[int, TrainingState]) -> tuple[int, Failure] | None:
    """Return the run that failed in the earliest epoch and its failure; of several the one with the lowest index."""
    failures = [(state.failure.epoch, index, state.failure) for index, state in states.items() if state.failure]
    if not failures:
        return None
    _, index, failure = min(failures, key=lambda found: found[:2])
    return index, failure
