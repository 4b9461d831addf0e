"""The ways in which a training fails."""

import numpy as np

from mnist_core.arrays import Weights
from mnist_core.data.dataset import Split
from mnist_core.metrics import is_constant
from mnist_core.networks.classifier import Classifier
from mnist_core.training.run import TrainingState


def has_failed(state: TrainingState) -> bool:
    """Return whether a finished run diverged or collapsed: its last epoch has a higher training loss than its first.

    At too large a learning rate a network may learn for some epochs, then lose its ReLU units and guess.
    """
    return state.diverged or state.records[-1].loss > state.records[0].loss


def is_dead(classifier: Classifier, train: Split, before: Weights, after: Weights) -> bool:
    """Return whether an epoch left the first layer as it was, and every training image gets the same answer.

    A network that fits all images perfectly stands still too.
    """
    first_kernel = next(iter(before))
    if not np.array_equal(before[first_kernel], after[first_kernel]):
        return False
    return is_constant(classifier.predict_logits(train.images).argmax(axis=1))
