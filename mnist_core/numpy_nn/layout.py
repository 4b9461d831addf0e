"""The layout of the blocks of `fused.py`: layers that move the axis of the images to the end and back, and views."""

import numpy as np

from mnist_core.arrays import Array


class NHWCToHWCN:
    """(N, H, W, C) -> (H, W, C, N), in memory too."""

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    def forward(self, inputs: Array) -> Array:
        """Move the images to the end."""
        return np.ascontiguousarray(inputs.transpose(1, 2, 3, 0))

    def backward(self, grad_output: Array) -> Array:
        """Move them back to the front."""
        return np.ascontiguousarray(grad_output.transpose(3, 0, 1, 2))


class HWCNToNHWC:
    """(H, W, C, N) -> (N, H, W, C), in memory too."""

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    def forward(self, inputs: Array) -> Array:
        """Move the images to the front."""
        return np.ascontiguousarray(inputs.transpose(3, 0, 1, 2))

    def backward(self, grad_output: Array) -> Array:
        """Move them back to the end."""
        return np.ascontiguousarray(grad_output.transpose(1, 2, 3, 0))


def overlapping_columns(columns: Array, size: int) -> Array:
    """View (..., W + size - 1, R, N) as (..., W, size * R, N): the `size` columns from each one on."""
    *others, width, length, num_images = columns.shape
    return np.lib.stride_tricks.as_strided(
        columns, (*others, width - size + 1, size * length, num_images), columns.strides
    )


def left_and_right(columns: Array) -> Array:
    """View (..., 2 * num_windows, R, N) as (..., 2, num_windows, R, N): the left columns of all windows first."""
    *others, width, length, num_images = columns.shape
    return columns.reshape(*others, width // 2, 2, length, num_images).swapaxes(-4, -3)
