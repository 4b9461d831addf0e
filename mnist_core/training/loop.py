"""The one training loop, for both frameworks, as a job that can stop after any epoch and go on elsewhere.

A run is described by plain values and its state is a set of weights, so that `cluster.py` can move it between worker
processes. The result does not depend on where it was cut: every epoch shuffles by its own random stream, and plain SGD
remembers nothing but the weights.
"""

import functools
import math
from pathlib import Path

import numpy as np

from mnist_core.data.dataset import Dataset, Split, load_dataset
from mnist_core.metrics import error_rate
from mnist_core.networks.classifier import Classifier
from mnist_core.registry import build_classifier, loaded_classifier
from mnist_core.training.divergence import is_dead
from mnist_core.training.history import EpochRecord
from mnist_core.training.run import TrainingRun, TrainingState, initial_rng, shuffling_rng


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
        if is_dead(classifier, dataset.train, before, weights):
            return TrainingState(weights, tuple(records), diverged=True)
    return TrainingState(weights, tuple(records))


def is_finished(run: TrainingRun, state: TrainingState | None) -> bool:
    """Return whether nothing is left to train."""
    return state is not None and (state.diverged or len(state.records) >= run.num_epochs)


def train_one_epoch(classifier: Classifier, train: Split, run: TrainingRun, epoch: int) -> float:
    """Visit the training images in the order of this seed and epoch; return the mean loss (nats)."""
    order = shuffling_rng(run.seed, epoch).permutation(len(train.labels))
    return classifier.train_epoch(
        train.images, train.labels, order, batch_size=run.batch_size, learning_rate=run.learning_rate
    )


def split_error(classifier: Classifier, split: Split) -> float:
    """Return the error rate (a fraction) on one split."""
    return error_rate(classifier.predict_logits(split.images).argmax(axis=1), split.labels)


@functools.lru_cache(maxsize=1)
def load_once(directory: Path) -> Dataset:
    """Load the prepared data, once a process."""
    return load_dataset(directory)
