"""What determines a training run, as plain values, and where a run stands: both travel between processes.

Every source of randomness is a stream of its own, so that a run may be cut after any epoch and go on elsewhere.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mnist_core.arrays import Array, Weights
from mnist_core.candidates import Hyperparameters
from mnist_core.models import Framework
from mnist_core.networks.architectures import Architecture
from mnist_core.networks.classifier import Classifier
from mnist_core.networks.initializers import initial_weights
from mnist_core.registry import build_classifier
from mnist_core.training.divergence import Failure
from mnist_core.training.history import EpochRecord


@dataclass(frozen=True)
class TrainingSetup:
    """What all training runs of one model share.

    Attributes:
        framework: "numpy" or "tensorflow".
        architecture: the layers.
        data_directory: prepared data, see `data.dataset.load_dataset`; an absolute path, for processes elsewhere.
        batch_size: examples a step, unless the hyperparameters say otherwise.
        fast: see `registry.build_classifier`.
    """

    framework: Framework
    architecture: Architecture
    data_directory: Path
    batch_size: int
    fast: bool = True

    def classifier(self, weights: Weights, num_threads: int | None = None) -> Classifier:
        """Build the network with these weights; `num_threads` as in `registry.build_classifier`."""
        return build_classifier(self.framework, self.architecture, weights, num_threads=num_threads, fast=self.fast)


@dataclass(frozen=True)
class TrainingRun:
    """Everything that determines a training run.

    Attributes:
        setup: what it shares with the other runs of its model.
        hyperparameters: how it learns, and for how long.
        seed: of the initial weights, of the order of the images and of how they are moved.
        evaluate_on: the splits whose error rate is taken after every epoch.
    """

    setup: TrainingSetup
    hyperparameters: Hyperparameters
    seed: int
    evaluate_on: tuple[str, ...] = ()

    @property
    def num_epochs(self) -> int:
        """Passes over the training images."""
        return self.hyperparameters.epochs

    @property
    def batch_size(self) -> int:
        """Images a step."""
        return self.hyperparameters.batch_size or self.setup.batch_size

    def initial_state(self) -> "TrainingState":
        """Draw the initial weights, float32; twins draw the same. Where steps have a velocity, it begins at zero."""
        weights = initial_weights(self.setup.architecture, rng=initial_rng(self.seed))
        is_plain = self.hyperparameters.is_plain
        return TrainingState(
            weights, velocity={} if is_plain else {name: np.zeros_like(array) for name, array in weights.items()}
        )

    def learning_rates(self, epoch: int, num_images: int) -> Array:
        """Return the learning rate of every step of an epoch, counted from 1: float64 (steps,).

        A cosine goes from the learning rate at the first step of the run towards 0 after the last: with T steps,
        step t = 0, 1, ... has the rate times (1 + cos(pi t / T)) / 2. Loshchilov and Hutter, "SGDR", 2017, without
        restarts.
        """
        steps = -(-num_images // self.batch_size)
        rates = np.full(steps, self.hyperparameters.learning_rate)
        if self.hyperparameters.schedule == "cosine":
            done = np.arange((epoch - 1) * steps, epoch * steps) / (self.num_epochs * steps)
            rates *= (1 + np.cos(np.pi * done)) / 2
        return rates


@dataclass(frozen=True)
class TrainingState:
    """A run after len(records) epochs.

    Attributes:
        weights: at the end of the last of them.
        records: one an epoch.
        failure: why the run has ended early, or with its last epoch in vain; None if it has not.
        velocity: of the optimizer, shaped like the weights; empty if it has none.
    """

    weights: Weights
    records: tuple[EpochRecord, ...] = ()
    failure: Failure | None = None
    velocity: Weights = field(default_factory=dict)

    @property
    def epochs_survived(self) -> int:
        """Epochs after which the network may be used."""
        return len(self.records) if self.failure is None else self.failure.epochs_survived

    def needs_no_training_to(self, epoch: int) -> bool:
        """Return whether so many epochs are done, or will never be since the run has failed."""
        return self.failure is not None or len(self.records) >= epoch


def is_finished(run: TrainingRun, state: TrainingState) -> bool:
    """Return whether nothing is left to train."""
    return state.needs_no_training_to(run.num_epochs)


def initial_rng(seed: int) -> np.random.Generator:
    """Return the random stream of the initial weights, independent of every shuffling stream."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))


def shuffling_rng(seed: int, epoch: int) -> np.random.Generator:
    """Return the random stream that orders the training images of one epoch, counted from 1."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, epoch)))


def shifting_rng(seed: int, epoch: int) -> np.random.Generator:
    """Return the random stream that moves the training images of one epoch, counted from 1."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2, epoch)))
