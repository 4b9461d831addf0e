"""Initial weights: one function, so that twins with one seed start from the same numbers."""

from math import prod, sqrt

import numpy as np

from mnist_core.arrays import IMAGE_SHAPE, Array, Shape, Weights
from mnist_core.networks.architectures import Architecture, Convolution, Linear, ReLU, operations


def initial_weights(
    architecture: Architecture,
    *,
    rng: np.random.Generator,
    input_shape: Shape = IMAGE_SHAPE,
    dtype: str = "float32",
) -> Weights:
    """Draw kernels, He normal in front of a ReLU and Glorot uniform otherwise; biases are zero.

    Args:
        architecture: the layers.
        rng: source of the numbers; the kernels are drawn in float64, in their order in the network.
        input_shape: (height, width, channels) of one image.
        dtype: "float32" or "float64", of what is returned.

    Returns:
        Arrays named and shaped as `architectures.parameter_shapes` says.
    """
    steps = operations(architecture, input_shape)
    weights: Weights = {}
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(step, Convolution | Linear):
            draw = he_normal if isinstance(following, ReLU) else glorot_uniform
            weights[f"{step.name}.kernel"] = draw(step.kernel_shape, rng=rng).astype(dtype)
            weights[f"{step.name}.bias"] = np.zeros(step.kernel_shape[-1], dtype)
    return weights


def fans(kernel_shape: Shape) -> tuple[int, int]:
    """Return fan_in and fan_out of a dense (in, out) or convolution (height, width, in, out) kernel."""
    receptive_field = prod(kernel_shape[:-2])
    return receptive_field * kernel_shape[-2], receptive_field * kernel_shape[-1]


def he_normal(shape: Shape, *, rng: np.random.Generator) -> Array:
    """Draw from a normal distribution with variance 2 / fan_in (He et al., 2015).

    A ReLU halves the mean square of its input; the 2 makes up for that, so signals keep their size on the way forward.
    """
    return rng.normal(0, sqrt(2 / fans(shape)[0]), shape)


def glorot_uniform(shape: Shape, *, rng: np.random.Generator) -> Array:
    """Draw uniformly with variance 2 / (fan_in + fan_out), for linear layers (Glorot and Bengio, 2010).

    A compromise: 1 / fan_in would keep the variance of signals on the way forward, 1 / fan_out that of gradients back.
    """
    limit = sqrt(6 / sum(fans(shape)))
    return rng.uniform(-limit, limit, shape)
