"""One description of a network that both frameworks build from.

An architecture is a tuple of plain layer specifications, read from the image to the logits. This module knows their
shapes and the names of their parameters; it holds no numbers and does no arithmetic on images.
"""

from dataclasses import asdict, dataclass
from math import prod
from typing import Any, ClassVar, Literal, TypeAlias

from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Shape

Activation: TypeAlias = Literal["linear", "relu"]
Padding: TypeAlias = Literal["same", "valid"]


def _require_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")


_STRICT_KEYS = {"extra": "forbid"}  # read by params.py's validator: an unknown field is an error


@dataclass(frozen=True)
class Dense:
    """Fully connected layer; an image-shaped input is flattened first, in (height, width, channels) order."""

    units: int
    activation: Activation = "linear"
    type: Literal["dense"] = "dense"
    __pydantic_config__: ClassVar = _STRICT_KEYS

    def __post_init__(self) -> None:
        _require_positive(units=self.units)


@dataclass(frozen=True)
class Conv2D:
    """Two-dimensional cross-correlation with a square kernel (what deep-learning libraries call convolution)."""

    filters: int
    kernel_size: int
    stride: int = 1
    padding: Padding = "same"
    activation: Activation = "linear"
    type: Literal["conv2d"] = "conv2d"
    __pydantic_config__: ClassVar = _STRICT_KEYS

    def __post_init__(self) -> None:
        _require_positive(filters=self.filters, kernel_size=self.kernel_size, stride=self.stride)


@dataclass(frozen=True)
class MaxPool2D:
    """Maximum over square windows; padded positions never win."""

    pool_size: int
    stride: int
    padding: Padding = "same"
    type: Literal["max_pool2d"] = "max_pool2d"
    __pydantic_config__: ClassVar = _STRICT_KEYS

    def __post_init__(self) -> None:
        _require_positive(pool_size=self.pool_size, stride=self.stride)


LayerSpec: TypeAlias = Dense | Conv2D | MaxPool2D
Architecture: TypeAlias = tuple[LayerSpec, ...]

_SPEC_TYPES: dict[str, type[LayerSpec]] = {"dense": Dense, "conv2d": Conv2D, "max_pool2d": MaxPool2D}


def architecture_to_dicts(architecture: Architecture) -> list[dict[str, Any]]:
    """Return the architecture as JSON-ready dictionaries, the inverse of `architecture_from_dicts`."""
    return [asdict(layer) for layer in architecture]


def architecture_from_dicts(layers: list[dict[str, Any]]) -> Architecture:
    """Build an architecture from dictionaries such as those of params.yaml.

    Raises:
        KeyError: a layer has no known ``type``.
        TypeError: a layer has an unknown or a missing field.
        ValueError: a size is not positive.
    """
    return tuple(_SPEC_TYPES[layer["type"]](**layer) for layer in layers)


def layer_names(architecture: Architecture) -> list[str]:
    """Name the layers by type and order of appearance: ``conv2d_1``, ``max_pool2d_1``, ``dense_1``, ..."""
    counts = dict.fromkeys(_SPEC_TYPES, 0)
    names = []
    for layer in architecture:
        counts[layer.type] += 1
        names.append(f"{layer.type}_{counts[layer.type]}")
    return names


def has_convolutions(architecture: Architecture) -> bool:
    """Return whether any layer is a convolution."""
    return any(isinstance(layer, Conv2D) for layer in architecture)


def window_output_size(size: int, window: int, stride: int, padding: Padding) -> int:
    """Return how many windows fit along one axis of `size` pixels (TensorFlow's padding rules)."""
    return -(-size // stride) if padding == "same" else (size - window) // stride + 1


def window_padding(size: int, window: int, stride: int, padding: Padding) -> tuple[int, int]:
    """Return the padding before and after one axis; an odd total puts the extra pixel after, as TensorFlow does."""
    if padding == "valid":
        return 0, 0
    total = max((window_output_size(size, window, stride, "same") - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def output_shapes(architecture: Architecture, input_shape: Shape = IMAGE_SHAPE) -> list[Shape]:
    """Return the shape of every layer's output for one image, without the batch axis.

    Raises:
        ValueError: a window is larger than its input, or a convolution or pooling follows a dense layer.
    """
    shapes: list[Shape] = []
    shape = input_shape
    for name, layer in zip(layer_names(architecture), architecture, strict=True):
        if isinstance(layer, Dense):
            shape = (layer.units,)
        else:
            if len(shape) != 3:
                raise ValueError(f"{name} needs an image, but the layer before it gives {shape}")
            height, width, channels = shape
            window = layer.kernel_size if isinstance(layer, Conv2D) else layer.pool_size
            sizes = [window_output_size(size, window, layer.stride, layer.padding) for size in (height, width)]
            if min(sizes) < 1:
                raise ValueError(f"{name}: a window of {window} does not fit into {height}x{width}")
            shape = (*sizes, layer.filters if isinstance(layer, Conv2D) else channels)
        shapes.append(shape)
    return shapes


def parameter_shapes(architecture: Architecture, input_shape: Shape = IMAGE_SHAPE) -> dict[str, Shape]:
    """Return name -> shape of every trainable array, in layer order.

    Dense kernels are (in_features, out_features), convolution kernels (height, width, in_channels, out_channels).
    """
    shapes: dict[str, Shape] = {}
    previous = input_shape
    for name, layer, output in zip(
        layer_names(architecture), architecture, output_shapes(architecture, input_shape), strict=True
    ):
        if isinstance(layer, Dense):
            shapes[f"{name}.kernel"] = (prod(previous), layer.units)
            shapes[f"{name}.bias"] = (layer.units,)
        elif isinstance(layer, Conv2D):
            shapes[f"{name}.kernel"] = (layer.kernel_size, layer.kernel_size, previous[-1], layer.filters)
            shapes[f"{name}.bias"] = (layer.filters,)
        previous = output
    return shapes


def check_classifier(architecture: Architecture, input_shape: Shape = IMAGE_SHAPE) -> None:
    """Check that the network ends in ten linear outputs, the logits.

    Raises:
        ValueError: it does not, or the layers do not fit together.
    """
    last = architecture[-1] if architecture else None
    if last != Dense(NUM_CLASSES):
        raise ValueError(f"the last layer must be dense with {NUM_CLASSES} units and no activation (the logits)")
    output_shapes(architecture, input_shape)
