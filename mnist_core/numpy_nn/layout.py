"""Layers that move the axis of the images: to the end for the blocks of `fused.py`, and back."""

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
