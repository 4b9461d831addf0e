"""From an architecture and weights to layers: the readable ones, or faster ones that compute the same."""

from typing import Any

from mnist_core.arrays import IMAGE_SHAPE, Shape, Weights
from mnist_core.networks.architectures import (
    Architecture,
    Convolution,
    Flatten,
    Linear,
    MaxPool2D,
    MaxPooling,
    Operation,
    ReLU,
    operations,
)
from mnist_core.numpy_nn import fused, layers, layout
from mnist_core.numpy_nn.pixels import DenseOnLeadingColumns
from mnist_core.numpy_nn.sequential import NamedLayer, Network
from mnist_core.numpy_nn.winograd import WinogradConvolution


def build_network(
    architecture: Architecture, weights: Weights, *, input_shape: Shape = IMAGE_SHAPE, fast: bool = True
) -> Network:
    """Build the layers of an architecture on top of the given arrays, which they share.

    Args:
        architecture: the layers.
        weights: named as `architectures.parameter_shapes` says.
        input_shape: (height, width, channels) of one image.
        fast: replace convolution, ReLU and 2x2 pooling in a row by `fused.ConvReLUPool`, and a dense first layer by
            `pixels.DenseOnLeadingColumns`.
    """
    steps = operations(architecture, input_shape)
    if fast:
        return Network(_fast_layers(steps, weights))
    return Network([(step.name, layer_of(step, weights)) for step in steps])


def layer_of(step: Operation, weights: Weights, module: Any = layers) -> layers.Layer:
    """Return the layer of an operation, from `layers` or another module that has a class of each kind."""
    layer: layers.Layer
    if isinstance(step, Convolution):
        kernel, bias = weights[f"{step.name}.kernel"], weights[f"{step.name}.bias"]
        layer = module.Conv2D(kernel, bias, stride=step.spec.stride, padding=step.spec.padding)
    elif isinstance(step, Linear):
        layer = module.Dense(weights[f"{step.name}.kernel"], weights[f"{step.name}.bias"])
    elif isinstance(step, MaxPooling):
        layer = module.MaxPool2D(step.spec.pool_size, stride=step.spec.stride, padding=step.spec.padding)
    elif isinstance(step, Flatten):
        layer = module.Flatten()
    elif isinstance(step, ReLU):
        layer = module.ReLU()
    else:
        raise TypeError(step)
    return layer


def _fast_layers(steps: list[Operation], weights: Weights) -> list[NamedLayer]:
    named: list[NamedLayer] = []
    images_last = False
    while steps:
        step, is_block = steps[0], _is_block(steps[:3])
        if is_block != images_last:
            named.append(("", layout.HWCNToNHWC() if images_last else layout.NHWCToHWCN()))
            images_last = is_block
        if is_block:
            kernel, bias = weights[f"{step.name}.kernel"], weights[f"{step.name}.bias"]
            named.append((step.name, fused.ConvReLUPool(kernel, bias, _convolution(kernel.shape))))
        elif isinstance(step, Linear) and len(named) == 1:  # nothing but Flatten stands before it
            kernel, bias = weights[f"{step.name}.kernel"], weights[f"{step.name}.bias"]
            named.append((step.name, DenseOnLeadingColumns(kernel, bias)))
        else:
            named.append((step.name, layer_of(step, weights)))
        steps = steps[3 if is_block else 1 :]
    return named


def _convolution(kernel_shape: Shape) -> type[fused.Convolution]:
    # With few channels the sums of rows would cost more than the products that they save.
    is_worth_it = kernel_shape[:2] == (3, 3) and kernel_shape[2] >= 4
    return WinogradConvolution if is_worth_it else fused.DirectConvolution


def _is_block(steps: list[Operation]) -> bool:
    """Return whether these are convolution, ReLU and pooling of the sizes that `fused.ConvReLUPool` computes."""
    if len(steps) < 3 or not isinstance(steps[0], Convolution) or not isinstance(steps[1], ReLU):
        return False
    spec = steps[0].spec
    return (
        (spec.stride, spec.padding, spec.kernel_size % 2) == (1, "same", 1)
        and isinstance(steps[2], MaxPooling)
        and steps[2].spec == MaxPool2D(pool_size=2, stride=2, padding="same")
    )
