"""Weights for tests of networks."""

import numpy as np

from mnist_core.arrays import IMAGE_SHAPE
from mnist_core.networks.initializers import initial_weights


def drawn(architecture, seed=0, *, input_shape=IMAGE_SHAPE):
    """Draw float64 weights, which a network of either type takes."""
    return initial_weights(architecture, rng=np.random.default_rng(seed), input_shape=input_shape, dtype="float64")
