"""The names that everybody uses for arrays, and what everybody knows of their shapes."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Weights: TypeAlias = dict[str, Array]
"""Parameters of a network by name, such as "dense_1.kernel"."""
Shape: TypeAlias = tuple[int, ...]
Result = TypeVar("Result")

IMAGE_SHAPE: Shape = (28, 28, 1)
NUM_CLASSES = 10


def remember_last(count: int) -> Callable[[Callable[[Array], Result]], Callable[[Array], Result]]:
    """Decorate a pure function of an array to keep its results for the last `count` arrays, told apart by identity.

    For what costs much and is asked for again in every epoch. The arrays must not change afterwards.
    """

    def decorate(function: Callable[[Array], Result]) -> Callable[[Array], Result]:
        remembered: list[tuple[Array, Result]] = []

        def look_up(array: Array) -> Result:
            for known, result in remembered:
                if known is array:
                    return result
            result = function(array)
            remembered[:] = [*remembered[max(0, len(remembered) - count + 1) :], (array, result)]
            return result

        return look_up

    return decorate
