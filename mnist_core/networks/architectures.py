"""One description of a network that both frameworks build from.

An architecture is a tuple of plain layer specifications, read from the image to the logits: what a user writes. The
operations are what has to be computed for it, step by step, with shapes and names of parameters: what everybody who
builds, exports or checks a network loops over. There are no numbers here and no arithmetic on images.
"""

from dataclasses import asdict, dataclass, fields
from math import prod
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Shape

Activation: TypeAlias = Literal["linear", "relu"]
Padding: TypeAlias = Literal["same", "valid"]


_LARGEST = 10**15  # no memory holds so many numbers; bytes of them still count as floats do
_LARGEST_WINDOW = 2**31 - 1  # TensorFlow counts its pixels, and its steps, in 32 bits
_MAX_LAYERS = 100


def _require_positive(largest: int, **values: int) -> None:
    for name, value in values.items():
        if not 1 <= value <= largest:
            raise ValueError(f"{name} must be from 1 to {largest}, not {value}")


_STRICT_KEYS = {"extra": "forbid"}  # read by pydantic: an unknown field is an error


@dataclass(frozen=True)
class Dense:
    """Fully connected layer; an image-shaped input is flattened first, in (height, width, channels) order."""

    units: int
    activation: Activation = "linear"
    type: Literal["dense"] = "dense"
    __pydantic_config__: ClassVar = _STRICT_KEYS

    def __post_init__(self) -> None:
        _require_positive(_LARGEST, units=self.units)


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
        _require_positive(_LARGEST, filters=self.filters)
        _require_positive(_LARGEST_WINDOW, kernel_size=self.kernel_size, stride=self.stride)


@dataclass(frozen=True)
class MaxPool2D:
    """Maximum over square windows; padded positions never win."""

    pool_size: int
    stride: int
    padding: Padding = "same"
    type: Literal["max_pool2d"] = "max_pool2d"
    __pydantic_config__: ClassVar = _STRICT_KEYS

    def __post_init__(self) -> None:
        _require_positive(_LARGEST_WINDOW, pool_size=self.pool_size, stride=self.stride)


LayerSpec: TypeAlias = Dense | Conv2D | MaxPool2D
Architecture: TypeAlias = tuple[LayerSpec, ...]

_SIZES = {field.name for spec in (Dense, Conv2D, MaxPool2D) for field in fields(spec) if field.type is int}


def _whole_sizes(layer: Any) -> Any:
    # pydantic takes "3", 3.0 and true for 3 here, and its strict mode takes no mapping for a dataclass.
    if isinstance(layer, dict):
        for key, value in layer.items():
            if key in _SIZES and type(value) is not int:
                shown = f"a {type(value).__name__}" if isinstance(value, list | dict) else repr(value)
                raise ValueError(f"{key} must be a whole number, not {shown}")
    return layer


def _classifier(architecture: Architecture) -> Architecture:
    check_classifier(architecture)
    return architecture


LayerDict: TypeAlias = Annotated[Annotated[LayerSpec, Field(discriminator="type")], BeforeValidator(_whole_sizes)]
CheckedArchitecture: TypeAlias = Annotated[
    tuple[LayerDict, ...], Field(max_length=_MAX_LAYERS), AfterValidator(_classifier)
]
"""A classifier of images from layers as dictionaries, in params.yaml or a model's file; pydantic refuses others."""


def architecture_to_dicts(architecture: Architecture) -> list[dict[str, Any]]:
    """Return the architecture as JSON-ready dictionaries, which `CheckedArchitecture` validates."""
    return [asdict(layer) for layer in architecture]


def has_convolutions(architecture: Architecture) -> bool:
    """Return whether any layer is a convolution."""
    return any(isinstance(layer, Conv2D) for layer in architecture)


@dataclass(frozen=True)
class Operation:
    """One step of a network.

    Attributes:
        name: kind and number among its kind, such as "conv2d_1"; parameters are named after it.
        input_shape: of one image or row, without the batch axis.
        output_shape: likewise.
    """

    name: str
    input_shape: Shape
    output_shape: Shape


@dataclass(frozen=True)
class Convolution(Operation):
    """Cross-correlation and bias; `spec` has the sizes."""

    spec: Conv2D

    @property
    def kernel_shape(self) -> Shape:
        """(height, width, in_channels, out_channels)."""
        return (self.spec.kernel_size, self.spec.kernel_size, self.input_shape[-1], self.spec.filters)


@dataclass(frozen=True)
class Linear(Operation):
    """Product with a matrix, and bias: a row of numbers to a row of numbers."""

    @property
    def kernel_shape(self) -> Shape:
        """(in_features, out_features)."""
        return (*self.input_shape, *self.output_shape)


@dataclass(frozen=True)
class MaxPooling(Operation):
    """Maximum over windows; `spec` has the sizes."""

    spec: MaxPool2D


@dataclass(frozen=True)
class Flatten(Operation):
    """(height, width, channels) becomes one row, row-major."""


@dataclass(frozen=True)
class ReLU(Operation):
    """max(x, 0)."""


def operations(architecture: Architecture, input_shape: Shape = IMAGE_SHAPE) -> list[Operation]:
    """Return what has to be computed, from the image to the logits.

    Raises:
        ValueError: a window is larger than its input, or a convolution or pooling follows a dense layer.
    """
    steps: list[Operation] = []
    counts: dict[str, int] = {}

    def numbered(kind: str) -> str:
        counts[kind] = counts.get(kind, 0) + 1
        return f"{kind}_{counts[kind]}"

    shape = input_shape
    for layer in architecture:
        if isinstance(layer, Dense) and len(shape) > 1:
            steps.append(Flatten(numbered("flatten"), shape, (prod(shape),)))
            shape = steps[-1].output_shape
        name = numbered(layer.type)
        if isinstance(layer, Dense):
            steps.append(Linear(name, shape, (layer.units,)))
        elif isinstance(layer, Conv2D):
            size = _windows(name, shape, layer.kernel_size, layer.stride, layer.padding)
            steps.append(Convolution(name, shape, (*size, layer.filters), layer))
        else:
            size = _windows(name, shape, layer.pool_size, layer.stride, layer.padding)
            steps.append(MaxPooling(name, shape, (*size, shape[-1]), layer))
        shape = steps[-1].output_shape
        if not isinstance(layer, MaxPool2D) and layer.activation == "relu":
            steps.append(ReLU(numbered("relu"), shape, shape))
    return steps


def _windows(name: str, shape: Shape, window: int, stride: int, padding: Padding) -> Shape:
    if len(shape) != 3:
        raise ValueError(f"{name} needs an image, but the layer before it gives {shape}")
    sizes = tuple(window_output_size(size, window, stride, padding) for size in shape[:2])
    if min(sizes) < 1:
        raise ValueError(f"{name}: a window of {window} does not fit into {shape[0]}x{shape[1]}")
    return sizes


def parameter_shapes(architecture: Architecture, input_shape: Shape = IMAGE_SHAPE) -> dict[str, Shape]:
    """Return "<operation>.kernel" and "<operation>.bias" -> shape, in order; see the operations' `kernel_shape`."""
    shapes: dict[str, Shape] = {}
    for step in operations(architecture, input_shape):
        if isinstance(step, Convolution | Linear):
            shapes |= {f"{step.name}.kernel": step.kernel_shape, f"{step.name}.bias": step.kernel_shape[-1:]}
    return shapes


def training_bytes(step: Operation, batch_size: int) -> int:
    """Return about how many bytes a step takes in training: kernel, padded input, output, and as much for gradients.

    Of a convolution also the patches of im2col, which the plain layer of `numpy_nn` keeps; other ones take less.
    """
    numbers = prod(step.output_shape)
    if isinstance(step, Convolution | MaxPooling):
        spec = step.spec
        window = spec.kernel_size if isinstance(spec, Conv2D) else spec.pool_size
        *sizes, channels = step.input_shape
        padded = [size + sum(window_padding(size, window, spec.stride, spec.padding)) for size in sizes]
        numbers += prod(padded) * channels
    if isinstance(step, Convolution):
        numbers += prod(step.output_shape[:2]) * prod(step.kernel_shape[:-1])
    kernel = prod(step.kernel_shape) if isinstance(step, Convolution | Linear) else 0
    return 2 * 4 * (kernel + batch_size * numbers)


def window_output_size(size: int, window: int, stride: int, padding: Padding) -> int:
    """Return how many windows fit along one axis of `size` pixels (TensorFlow's padding rules)."""
    return -(-size // stride) if padding == "same" else (size - window) // stride + 1


def window_padding(size: int, window: int, stride: int, padding: Padding) -> tuple[int, int]:
    """Return the padding before and after one axis; an odd total puts the extra pixel after, as TensorFlow does."""
    if padding == "valid":
        return 0, 0
    total = max((window_output_size(size, window, stride, "same") - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def check_classifier(architecture: Architecture, input_shape: Shape = IMAGE_SHAPE) -> None:
    """Check that the network ends in ten linear outputs, the logits.

    Raises:
        ValueError: it does not, or the layers do not fit together.
    """
    last = architecture[-1] if architecture else None
    if last != Dense(NUM_CLASSES):
        raise ValueError(f"the last layer must be dense with {NUM_CLASSES} units and no activation (the logits)")
    operations(architecture, input_shape)
