"""From an architecture and weights to layers."""

from mnist_core.arrays import IMAGE_SHAPE, Shape, Weights
from mnist_core.networks.architectures import Architecture, Conv2D, LayerSpec, MaxPool2D, layer_names
from mnist_core.numpy_nn import fused, layers, layout
from mnist_core.numpy_nn.pixels import DenseOnLeadingColumns
from mnist_core.numpy_nn.sequential import Network
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
            `pixels.DenseOnLeadingColumns`; they compute the same.
    """
    named: list[tuple[str, layers.Layer]] = []
    following_specs = [*architecture[1:], None]
    is_flat = images_last = False
    specs = zip(layer_names(architecture), architecture, following_specs, strict=True)
    for name, spec, following in specs:
        fused_with_pooling = fast and _is_fusible(spec, following)
        if fused_with_pooling != images_last:
            named.append(("", layout.HWCNToNHWC() if images_last else layout.NHWCToHWCN()))
            images_last = fused_with_pooling
        if isinstance(spec, MaxPool2D):
            named.append(("", layers.MaxPool2D(spec.pool_size, stride=spec.stride, padding=spec.padding)))
            continue
        parameters = weights[f"{name}.kernel"], weights[f"{name}.bias"]
        if fused_with_pooling:
            named.append((name, fused.ConvReLUPool(*parameters, _convolution(*parameters[0].shape))))
            next(specs)  # the pooling is part of the block
            continue
        if isinstance(spec, Conv2D):
            named.append((name, layers.Conv2D(*parameters, stride=spec.stride, padding=spec.padding)))
        else:
            if not is_flat:
                named.append(("", layers.Flatten()))
                is_flat = True
            is_first = len(named) == 1  # nothing but Flatten stands before it
            named.append((name, (DenseOnLeadingColumns if fast and is_first else layers.Dense)(*parameters)))
        if spec.activation == "relu":
            named.append(("", layers.ReLU()))
    return Network(named)


def _convolution(height: int, width: int, in_channels: int, out_channels: int) -> type[fused.Convolution]:
    # With few channels the sums of rows would cost more than the products that they save.
    return WinogradConvolution if (height, width) == (3, 3) and in_channels >= 4 else fused.DirectConvolution


def _is_fusible(spec: LayerSpec, following: LayerSpec | None) -> bool:
    return (
        isinstance(spec, Conv2D)
        and (spec.stride, spec.padding, spec.activation) == (1, "same", "relu")
        and spec.kernel_size % 2 == 1
        and following == MaxPool2D(pool_size=2, stride=2, padding="same")
    )
