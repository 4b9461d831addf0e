"""The one training loop, for both frameworks, as a job that can stop after any epoch and go on elsewhere.

A run is described by plain values and its state is a set of weights, so that `cluster.py` can move it between worker
processes. The result does not depend on where it was cut: every epoch shuffles by its own random stream, and plain SGD
remembers nothing but the weights.
"""

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from mnist_core.architectures import Architecture
from mnist_core.classifier import Classifier, Weights
from mnist_core.data.dataset import Dataset, Split, load_dataset
from mnist_core.history import EpochRecord
from mnist_core.metrics import error_rate, is_constant
from mnist_core.params import Params, framework_and_letter
from mnist_core.registry import Framework, build_classifier, loaded_classifier


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

    @classmethod
    def of_model(cls, model: str, params: Params, data_directory: Path) -> Self:
        """Return the setup of a model by its name in the report, such as "2d"."""
        return cls(
            framework=framework_and_letter(model)[0],
            architecture=params.architecture(model),
            data_directory=data_directory.resolve(),
            batch_size=params.active.model(model).batch_size,
        )

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


def initial_state(run: TrainingRun) -> TrainingState:
    """Draw the initial weights."""
    classifier = build_classifier(run.framework, run.architecture, rng=initial_rng(run.seed))
    return TrainingState(classifier.get_weights())


@np.errstate(over="ignore", invalid="ignore")  # divergence is recorded, and no reason for warnings
def advance(
    run: TrainingRun, state: TrainingState | None, num_epochs: int, num_threads: int | None = None
) -> TrainingState:
    """Train up to `num_epochs` further epochs, fewer at the end of the run or if it diverges.

    A network is dead when the units of a layer of ReLU are silent for every training image: it gives all of them one
    answer, and no gradient passes that layer, so it stays so for ever. Too large a learning rate does that.

    Args:
        run: what to train.
        state: where it stands; None before the first epoch.
        num_epochs: how far to go.
        num_threads: see `registry.loaded_classifier`.
    """
    state = state or initial_state(run)
    dataset = load_once(run.data_directory)
    classifier = loaded_classifier(run.framework, run.architecture, state.weights, num_threads=num_threads)
    records = list(state.records)
    weights = state.weights
    for epoch in range(len(records) + 1, min(len(records) + num_epochs, run.num_epochs) + 1):
        loss = train_one_epoch(classifier, dataset.train, run, epoch)
        before, weights = weights, classifier.get_weights()
        # The last step's weights are in no loss yet: without the second check they would be scored.
        if not (math.isfinite(loss) and all(np.isfinite(array).all() for array in weights.values())):
            return TrainingState(before, tuple(records), diverged=True)
        errors = {name: split_error(classifier, getattr(dataset, name)) for name in run.evaluate_on}
        records.append(EpochRecord(epoch, loss, errors))
        if _is_dead(classifier, dataset.train, before, weights):
            return TrainingState(weights, tuple(records), diverged=True)
    return TrainingState(weights, tuple(records))


def is_finished(run: TrainingRun, state: TrainingState | None) -> bool:
    """Return whether nothing is left to train."""
    return state is not None and (state.diverged or len(state.records) >= run.num_epochs)


def has_failed(state: TrainingState) -> bool:
    """Return whether a finished run diverged or collapsed: its last epoch has a higher training loss than its first.

    At too large a learning rate a network may learn for some epochs, then lose its ReLU units and guess.
    """
    return state.diverged or state.records[-1].loss > state.records[0].loss


def train_one_epoch(classifier: Classifier, train: Split, run: TrainingRun, epoch: int) -> float:
    """Visit the training images in the order of this seed and epoch; return the mean loss (nats)."""
    order = shuffling_rng(run.seed, epoch).permutation(len(train.labels))
    return classifier.train_epoch(
        train.images, train.labels, order, batch_size=run.batch_size, learning_rate=run.learning_rate
    )


def split_error(classifier: Classifier, split: Split) -> float:
    """Return the error rate (a fraction) on one split."""
    return error_rate(classifier.predict_logits(split.images).argmax(axis=1), split.labels)


def _is_dead(classifier: Classifier, train: Split, before: Weights, after: Weights) -> bool:
    """Return whether an epoch left the first layer as it was, and every training image gets the same answer.

    A network that fits all images perfectly stands still too.
    """
    first_kernel = next(iter(before))
    if not np.array_equal(before[first_kernel], after[first_kernel]):
        return False
    return is_constant(classifier.predict_logits(train.images).argmax(axis=1))


@functools.lru_cache(maxsize=1)
def load_once(directory: Path) -> Dataset:
    """Load the prepared data, once a process."""
    return load_dataset(directory)
