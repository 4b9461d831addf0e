"""Trains a model once per seed with what the search found best, or with the next best should a seed diverge.

Near the largest rate that trains, whether a network survives hangs on its initial weights, even on rounding, and the
search saw one seed only. So the same rule holds here as there: what diverges cannot win. No error is looked at.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distributed import Client

from mnist_core.cluster import train_all
from mnist_core.errors import UserError
from mnist_core.history import EpochRecord
from mnist_core.hyperparameters import Hyperparameters
from mnist_core.training import TrainingSetup, TrainingState, has_failed


@dataclass(frozen=True)
class FinalTraining:
    """The hyperparameters taken, the final states in the order of the seeds, and why better ones were not taken."""

    hyperparameters: Hyperparameters
    states: list[TrainingState]
    failures: list[str]


def train_seeds(
    client: Client,
    setup: TrainingSetup,
    ranking: Sequence[Hyperparameters],
    seeds: Sequence[int],
    *,
    description: str,
    on_epoch: Callable[[int, EpochRecord], None] | None = None,
) -> FinalTraining:
    """Train with every seed.

    Args:
        client: see `cluster.open_cluster`.
        setup: the model.
        ranking: what the search found, the best first.
        seeds: of the initial weights and of the order of the images.
        description: shown before the progress bar, and in the error.
        on_epoch: called with the place of the seed among `seeds` and the record of every epoch.

    Raises:
        UserError: some seed diverges, whatever of the ranking is taken.
    """
    failures: list[str] = []
    for hyperparameters in ranking:
        runs = [
            setup.new_run(
                learning_rate=hyperparameters.learning_rate,
                num_epochs=hyperparameters.epochs,
                seed=seed,
                evaluate_on=("train", "test"),
            )
            for seed in seeds
        ]
        states = train_all(client, runs, description=description, on_epoch=on_epoch)
        failed = [seed for seed, state in zip(seeds, states, strict=True) if has_failed(state)]
        if not failed:
            return FinalTraining(hyperparameters, states, failures)
        failures.append(f"seed {failed[0]} diverged at learning rate {hyperparameters.learning_rate:g}")
    raise UserError(
        f"{description}: {', '.join(failures)}; search smaller learning rates or take other seeds in params.yaml"
    )
