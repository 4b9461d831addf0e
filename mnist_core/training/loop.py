"""The one training loop, for both frameworks, as a job that can stop after any epoch and go on elsewhere.

`cluster.py` moves runs between worker processes. The result does not depend on where a run was cut: every epoch has
random streams of its own, and the optimizer's velocity travels with the weights.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from mnist_core.arrays import Weights
from mnist_core.data.dataset import Split, load_split
from mnist_core.metrics import error_rate
from mnist_core.networks.classifier import Classifier
from mnist_core.training.divergence import Failure, find_failure, is_finite
from mnist_core.training.history import EpochRecord
from mnist_core.training.run import TrainingRun, TrainingState, shifting_rng, shuffling_rng
from mnist_core.training.shifting import draw_shifts, shift_images

SHIFTED_AT_ONCE = 5000  # images


@np.errstate(over="ignore", invalid="ignore")  # a failure is recorded, and no reason for warnings
def advance(run: TrainingRun, state: TrainingState, num_epochs: int, num_threads: int | None = None) -> TrainingState:
    """Train up to `num_epochs` further epochs, fewer at the end of the run or if it fails.

    Args:
        run: what to train.
        state: where it stands, at first `run.initial_state()`.
        num_epochs: how far to go.
        num_threads: see `registry.build_classifier`.
    """
    train, *evaluated = (cached_split(run.setup.data_directory, name) for name in ("train", *run.evaluate_on))
    classifier = run.setup.classifier(state.weights, num_threads)
    weights, records = state.weights, list(state.records)
    velocity = {name: array.copy() for name, array in state.velocity.items()}
    for epoch in range(len(records) + 1, min(len(records) + num_epochs, run.num_epochs) + 1):
        loss = train_one_epoch(classifier, train, run, epoch, velocity)
        before, weights = weights, classifier.get_weights()
        if not is_finite(loss, weights):
            return TrainingState(before, tuple(records), Failure("non-finite", epoch))
        errors = {name: split_error(classifier, split) for name, split in zip(run.evaluate_on, evaluated, strict=True)}
        records.append(EpochRecord(epoch, loss, errors))
        failure = find_failure(
            records,
            num_epochs=run.num_epochs,
            classifier=classifier,
            images=train.images,
            before=before,
            after=weights,
            has_velocity=bool(velocity),
        )
        if failure:
            return TrainingState(weights, tuple(records), failure, velocity)
    return TrainingState(weights, tuple(records), velocity=velocity)


def train_one_epoch(classifier: Classifier, train: Split, run: TrainingRun, epoch: int, velocity: Weights) -> float:
    """Visit the training images in the order of this seed and epoch; return the mean loss (nats).

    Args:
        classifier: changed in place.
        train: the training images, which are moved on their way to the network if the run says so.
        run: how to learn.
        epoch: counted from 1.
        velocity: of the optimizer, changed in place; empty for plain SGD.
    """
    order = shuffling_rng(run.seed, epoch).permutation(len(train.labels))
    rates = run.learning_rates(epoch, len(order))
    learn = functools.partial(
        classifier.train_epoch,
        batch_size=run.batch_size,
        momentum=run.hyperparameters.momentum,
        weight_decay=run.hyperparameters.weight_decay,
        velocity=velocity,
    )
    if run.hyperparameters.shift == 0:
        return learn(train.images, train.labels, order, learning_rate=rates)
    shifts = draw_shifts(shifting_rng(run.seed, epoch), len(order), run.hyperparameters.shift)
    steps = max(1, SHIFTED_AT_ONCE // run.batch_size)
    total_loss = 0.0
    for first in range(0, len(rates), steps):  # chunk by chunk: moved images take little memory
        part = slice(first * run.batch_size, (first + steps) * run.batch_size)
        rows = order[part]
        images = shift_images(train.images, rows, shifts[part])
        loss = learn(images, train.labels[rows], None, learning_rate=rates[first : first + steps])
        total_loss += loss * len(rows)
    return total_loss / len(order)


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


def cached_split(directory: Path, name: str) -> Split:
    """Load one split of the prepared data, "train", "validation" or "test", once a process; no other is looked at."""
    return loaded_split(_place.get() or directory, name)


@functools.lru_cache(maxsize=3)
def loaded_split(directory: Path, name: str) -> Split:
    """Load one split of prepared data from this machine's disk."""
    return load_split(directory, name)
