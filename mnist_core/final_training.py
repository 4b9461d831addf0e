"""Trains a model once per seed with what the search found best, or with the next best should a seed diverge.

Near the largest rate that trains, whether a network survives hangs on its initial weights, even on rounding, and the
search saw one seed only. So the same rule holds here as there: what diverges cannot win. No error is looked at, and
the other seeds are not trained to their end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distributed import Client

from mnist_core.cluster import train_all
from mnist_core.errors import UserError
from mnist_core.history import EpochRecord
from mnist_core.hyperparameters import Hyperparameters
from mnist_core.training import TrainingSetup, TrainingState, has_failed, is_finished


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
        states: dict[int, TrainingState] = {}
        for index, state in train_all(client, runs, description=description):
            if on_epoch:
                num_reported = len(states[index].records) if index in states else 0
                for record in state.records[num_reported:]:
                    on_epoch(index, record)
            states[index] = state
            if is_finished(runs[index], state) and has_failed(state):
                failures.append(f"seed {seeds[index]} diverged at learning rate {hyperparameters.learning_rate:g}")
                break
        else:
            return FinalTraining(hyperparameters, [states[index] for index in range(len(runs))], failures)
    raise UserError(
        f"{description}: {', '.join(failures)}; search smaller learning rates or take other seeds in params.yaml"
    )
