"""Initial weights. Both distributions keep the variance of activations constant from layer to layer."""

from math import prod, sqrt

import numpy as np

from mnist_core.arrays import Array, Shape, Weights
from mnist_core.networks.architectures import Architecture, Conv2D, Dense, layer_names, parameter_shapes


def fans(kernel_shape: Shape) -> tuple[int, int]:
    """Return fan_in and fan_out of a dense (in, out) or convolution (height, width, in, out) kernel."""
    receptive_field = prod(kernel_shape[:-2])
    return receptive_field * kernel_shape[-2], receptive_field * kernel_shape[-1]


def he_normal(shape: Shape, *, rng: np.random.Generator) -> Array:
    """Draw from a normal distribution with variance 2 / fan_in, for layers before a ReLU (He et al., 2015)."""
    return rng.normal(0, sqrt(2 / fans(shape)[0]), shape)


def glorot_uniform(shape: Shape, *, rng: np.random.Generator) -> Array:
    """Draw uniformly with variance 2 / (fan_in + fan_out), for linear layers (Glorot and Bengio, 2010)."""
    limit = sqrt(6 / sum(fans(shape)))
    return rng.uniform(-limit, limit, shape)


def initial_weights(architecture: Architecture, input_shape: Shape, *, rng: np.random.Generator) -> Weights:
    """Draw float64 kernels, He normal before ReLU and Glorot uniform otherwise; biases are zero."""
    relu = {
        name
        for name, layer in zip(layer_names(architecture), architecture, strict=True)
        if isinstance(layer, Dense | Conv2D) and layer.activation == "relu"
    }
    weights = {}
    for name, shape in parameter_shapes(architecture, input_shape).items():
        layer_name, kind = name.split(".")
        if kind == "bias":
            weights[name] = np.zeros(shape)
        else:
            weights[name] = (he_normal if layer_name in relu else glorot_uniform)(shape, rng=rng)
    return weights
