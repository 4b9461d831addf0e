"""What determines a training run, as plain values, and where it stands."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnist_core.arrays import Weights
from mnist_core.models import Framework
from mnist_core.networks.architectures import Architecture
from mnist_core.training.history import EpochRecord


@dataclass(frozen=True)
class TrainingSetup:
    """What all training runs of one model share.

    Attributes:
        framework: "numpy" or "tensorflow".
        architecture: the layers.
        data_directory: prepared data, see `data.dataset.load_dataset`.
        batch_size: examples a step.
    """

    framework: Framework
    architecture: Architecture
    data_directory: Path
    batch_size: int

    def new_run(
        self, *, learning_rate: float, num_epochs: int, seed: int, evaluate_on: tuple[str, ...] = ()
    ) -> "TrainingRun":
        """Return one run with this setup; see `TrainingRun`."""
        return TrainingRun(
            self.framework,
            self.architecture,
            self.data_directory,
            self.batch_size,
            learning_rate,
            num_epochs,
            seed,
            evaluate_on,
        )


@dataclass(frozen=True)
class TrainingRun(TrainingSetup):
    """Everything that determines a training run.

    Attributes:
        learning_rate: step size of SGD.
        num_epochs: passes over the training images.
        seed: of the initial weights and of the order of the images.
        evaluate_on: the splits whose error rate is taken after every epoch.
    """

    learning_rate: float
    num_epochs: int
    seed: int
    evaluate_on: tuple[str, ...]


@dataclass(frozen=True)
class TrainingState:
    """A run after len(records) epochs.

    Attributes:
        weights: at the end of the last of them.
        records: one an epoch.
        diverged: the run has ended early: the loss or a weight is no longer finite, or the network is dead.
    """

    weights: Weights
    records: tuple[EpochRecord, ...] = ()
    diverged: bool = False


def initial_rng(seed: int) -> np.random.Generator:
    """Return the random stream of the initial weights, independent of every shuffling stream."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))


def shuffling_rng(seed: int, epoch: int) -> np.random.Generator:
    """Return the random stream that orders the training images of one epoch, counted from 1."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, epoch)))
