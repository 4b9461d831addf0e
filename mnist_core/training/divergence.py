"""The four ways in which a training fails, each with its word.

non-finite: the loss or a weight is infinite or not a number.
dead: a layer of ReLU is silent for every training image; all get one answer, and no gradient passes that layer again.
spiked: the loss of an epoch is more than ten times the lowest before; many epochs later the network is not what it was.
collapsed: the last epoch of a run has a higher loss than its first.

Too large a learning rate does all four. They are read off the training loss and the weights, never off an error.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnist_core.arrays import Array, Weights
from mnist_core.candidates import FailureWord
from mnist_core.metrics import is_constant
from mnist_core.networks.classifier import Classifier
from mnist_core.training.history import EpochRecord

GUESSING = 2.0  # nats; a network that gives all ten classes the same chance has log(10) = 2.3
SPIKE = 10  # times the lowest loss so far; the models of the 2017 report had less than 2 or more than 100


@dataclass(frozen=True)
class Failure:
    """What happened to a training, and in which epoch, counted from 1."""

    word: FailureWord
    epoch: int

    @property
    def epochs_survived(self) -> int:
        """Epochs after which the network may be used: before a spike it was sound; other failures spoil all."""
        return self.epoch - 1 if self.word == "spiked" else 0


def is_finite(loss: float, weights: Weights) -> bool:
    """Return whether an epoch's loss and the weights at its end are numbers; the last step's weights are in no loss."""
    return math.isfinite(loss) and all(np.isfinite(array).all() for array in weights.values())


def find_failure(
    records: Sequence[EpochRecord],
    *,
    num_epochs: int,
    classifier: Classifier,
    images: Array,
    before: Weights,
    after: Weights,
    has_velocity: bool = False,
) -> Failure | None:
    """Return what has become of a run in its latest epoch, all of whose numbers are finite.

    Args:
        records: one an epoch, the latest last.
        num_epochs: of the whole run; only its last epoch can end in a collapse.
        classifier: the network as it is now.
        images: the training images, float (N, height, width, channels).
        before: weights before the latest epoch.
        after: weights after it.
        has_velocity: whether weights may move without a gradient.
    """
    epoch, losses = records[-1].epoch, [record.loss for record in records]
    spiked = has_spiked(losses)
    # Silent units have no gradient, so nothing in front of them moves, unless a velocity or a decay does move it: then
    # the loss is that of guessing. The death itself makes the loss jump.
    is_silent = losses[-1] > GUESSING if has_velocity else _stands_still(before, after)
    if (spiked or is_silent) and _is_dead(classifier, images):
        return Failure("dead", epoch)
    if spiked:
        return Failure("spiked", epoch)
    if epoch == num_epochs and losses[-1] > losses[0]:
        return Failure("collapsed", epoch)
    return None


def has_spiked(losses: Sequence[float]) -> bool:
    """Return whether the last loss is more than `SPIKE` times the lowest before it."""
    return len(losses) > 1 and losses[-1] > SPIKE * min(losses[:-1])


def _stands_still(before: Weights, after: Weights) -> bool:
    first_kernel = next(iter(before))
    return np.array_equal(before[first_kernel], after[first_kernel])


def _is_dead(classifier: Classifier, images: Array) -> bool:
    """Return whether a network with hidden units gives every image one answer."""
    has_hidden_units = any(getattr(layer, "activation", None) == "relu" for layer in classifier.architecture)
    return has_hidden_units and is_constant(classifier.predict_logits(images).argmax(axis=1))
