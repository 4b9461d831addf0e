"""The names that everybody uses for arrays, and what everybody knows of their shapes."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Weights: TypeAlias = dict[str, Array]
"""Parameters of a network by name, such as "dense_1.kernel"."""
Shape: TypeAlias = tuple[int, ...]

IMAGE_SHAPE: Shape = (28, 28, 1)
NUM_CLASSES = 10
