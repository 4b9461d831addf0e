"""Spares a dense first layer pixels that are black in a whole batch.

A column of X that is zero adds nothing to X W, and its row of dL/dW = X^T G is zero. With the pixels in the order of
how many images use them, most such columns are the last ones, where a slice drops them without copying anything: of
MNIST's 784 pixels, 238 are black in a mean batch of 200, and 140 of these are dropped. The price is a sorted copy of
all images.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from mnist_core.arrays import Array, remember_last
from mnist_core.numpy_nn.layers import Dense


@dataclass(frozen=True)
class SortedPixels:
    """Images as rows, with the pixels that most of them use first.

    Attributes:
        images: (N, pixels).
        order: int (pixels,), which pixel of the given images a column holds.
        lengths: int (N,), columns of each image up to its last one that is not zero.
    """

    images: Array
    order: Array
    lengths: Array

    def batch(self, rows: Array) -> Array:
        """Return the images `rows` without the last columns, as many as are zero in all of them."""
        return np.take(self.images, rows, axis=0)[:, : self.lengths[rows].max()]


@contextmanager
def reading_rows(images: Array, kernels: Sequence[Array]) -> Iterator[Callable[[Array], Array]]:
    """Give the function that reads a batch of images by their rows.

    Args:
        images: (N, height, width, channels).
        kernels: that of a `DenseOnLeadingColumns` and its velocity, if any, which stand in the order of the pixels
            until the end of the block; nothing if the network begins otherwise.
    """
    if not kernels:
        yield functools.partial(np.take, images, axis=0)
        return
    pixels = sort_pixels(images)
    for kernel in kernels:
        kernel[...] = kernel[pixels.order]
    try:
        yield pixels.batch
    finally:
        for kernel in kernels:
            kernel[pixels.order] = kernel.copy()


@remember_last(1)
def sort_pixels(images: Array) -> SortedPixels:
    """Sort the pixels of images (N, height, width, channels)."""
    rows = images.reshape(len(images), -1)
    is_used = rows != 0
    order = np.argsort(-np.count_nonzero(is_used, axis=0), kind="stable")
    is_used = is_used[:, order]
    lengths = np.where(is_used.any(axis=1), rows.shape[1] - is_used[:, ::-1].argmax(axis=1), 0)
    return SortedPixels(np.take(rows, order, axis=1), order, lengths)


class DenseOnLeadingColumns:
    """A dense layer whose inputs may lack their last columns, which count as zeros."""

    def __init__(self, kernel: Array, bias: Array) -> None:
        self.parameters = {"kernel": kernel, "bias": bias}
        self.gradients: dict[str, Array] = {}

    def forward(self, inputs: Array) -> Array:
        """Map X (N, up to in_features) to X W + b, (N, out_features), with as many rows of W as X has columns."""
        self._layer = Dense(self.parameters["kernel"][: inputs.shape[1]], self.parameters["bias"])
        return self._layer.forward(inputs)

    def backward(self, grad_output: Array) -> Array:
        """Return dL/dX and fill `gradients`; see `layers.Dense`. Rows that dL/dW lacks are zero."""
        grad_inputs = self._layer.backward(grad_output)
        self.gradients = self._layer.gradients
        return grad_inputs

    def backward_parameters(self, grad_output: Array) -> None:
        """Fill `gradients` only."""
        self._layer.backward_parameters(grad_output)
        self.gradients = self._layer.gradients
