"""The one training loop, for both frameworks, as a job that can stop after any epoch and go on elsewhere.

`cluster.py` moves runs between worker processes. The result does not depend on where a run was cut: every epoch
shuffles by its own random stream, and plain SGD remembers nothing but the weights.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from mnist_core.data.dataset import Dataset, Split, load_dataset
from mnist_core.metrics import error_rate
from mnist_core.networks.classifier import Classifier
from mnist_core.training.divergence import Failure, find_failure, is_finite
from mnist_core.training.history import EpochRecord
from mnist_core.training.run import TrainingRun, TrainingState, shuffling_rng


@np.errstate(over="ignore", invalid="ignore")  # a failure is recorded, and no reason for warnings
def advance(run: TrainingRun, state: TrainingState, num_epochs: int, num_threads: int | None = None) -> TrainingState:
    """Train up to `num_epochs` further epochs, fewer at the end of the run or if it fails.

    Args:
        run: what to train.
        state: where it stands, at first `run.initial_state()`.
        num_epochs: how far to go.
        num_threads: see `registry.build_classifier`.
    """
    dataset = cached_dataset(run.setup.data_directory)
    classifier = run.setup.classifier(state.weights, num_threads)
    weights, records = state.weights, list(state.records)
    for epoch in range(len(records) + 1, min(len(records) + num_epochs, run.num_epochs) + 1):
        loss = train_one_epoch(classifier, dataset.train, run, epoch)
        before, weights = weights, classifier.get_weights()
        if not is_finite(loss, weights):
            return TrainingState(before, tuple(records), Failure("non-finite", epoch))
        errors = {name: split_error(classifier, getattr(dataset, name)) for name in run.evaluate_on}
        records.append(EpochRecord(epoch, loss, errors))
        failure = find_failure(
            records,
            num_epochs=run.num_epochs,
            classifier=classifier,
            images=dataset.train.images,
            before=before,
            after=weights,
        )
        if failure:
            return TrainingState(weights, tuple(records), failure)
    return TrainingState(weights, tuple(records))


def train_one_epoch(classifier: Classifier, train: Split, run: TrainingRun, epoch: int) -> float:
    """Visit the training images in the order of this seed and epoch; return the mean loss (nats)."""
    order = shuffling_rng(run.seed, epoch).permutation(len(train.labels))
    return classifier.train_epoch(
        train.images, train.labels, order, batch_size=run.setup.batch_size, learning_rate=run.learning_rate
    )


def split_error(classifier: Classifier, split: Split) -> float:
    """Return the error rate (a fraction) on one split."""
    return error_rate(classifier.predict_logits(split.images).argmax(axis=1), split.labels)


_place: ContextVar[Path | None] = ContextVar("place of the data", default=None)


@contextmanager
def data_placed(directory: Path) -> Iterator[None]:
    """Let jobs that come from another machine find their data in a directory of this one."""
    token = _place.set(directory)
    try:
        yield
    finally:
        _place.reset(token)


def cached_dataset(directory: Path) -> Dataset:
    """Load the prepared data, once a process."""
    return loaded_dataset(_place.get() or directory)


@functools.lru_cache(maxsize=1)
def loaded_dataset(directory: Path) -> Dataset:
    """Load prepared data from this machine's disk."""
    return load_dataset(directory)
