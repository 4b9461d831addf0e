"""Convolution, ReLU and 2x2 max pooling as one block: the fast path for the pattern that CNNs repeat.

It computes what `layers.Conv2D` (stride 1, same padding, odd kernel), `layers.ReLU` and `layers.MaxPool2D` (2, stride
2, same padding) compute in turn, which the tests compare it with. Three ideas make it fast:

1. Images last. Arrays are (channels, height, width, images): every slice of rows or columns is contiguous in the
   images, and a chunk of images is small enough to stay in the processor's cache.
2. One matrix product gives all four values under each pooling window. The window at (p, q) pools the outputs at rows
   2p, 2p+1 and columns 2q, 2q+1, which see a patch of (k+1) x (k+1) input pixels. Four copies of the kernel, shifted
   by (0,0), (0,1), (1,0), (1,1) inside a (k+1) x (k+1) frame, turn one patch into these four outputs. Such patches
   have stride 2, so there are four times fewer of them than im2col has.
3. Bias and ReLU come after the maximum, on a quarter of the data: both are non-decreasing and the same for all four
   values, so max(relu(x_i + b)) = relu(max(x_i) + b).
"""

import numpy as np

from mnist_core.classifier import Array

_OFFSETS = [(0, 0), (0, 1), (1, 0), (1, 1)]  # of the four outputs under a pooling window, in row-major order


class ImagesLast:
    """(N, H, W, C) -> (C, H, W, N), the layout of `ConvReLUPool`."""

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    def forward(self, inputs: Array) -> Array:
        """Move the images to the last, contiguous axis."""
        return np.ascontiguousarray(inputs.transpose(3, 1, 2, 0))

    def backward(self, grad_output: Array) -> Array:
        """Move them back."""
        return grad_output.transpose(3, 1, 2, 0)


class ImagesFirst:
    """(C, H, W, N) -> (N, H, W, C), back to the layout of the other layers."""

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    def forward(self, inputs: Array) -> Array:
        """Move the images to the first axis."""
        return np.ascontiguousarray(inputs.transpose(3, 1, 2, 0))

    def backward(self, grad_output: Array) -> Array:
        """Move them back to the last."""
        return np.ascontiguousarray(grad_output.transpose(3, 1, 2, 0))


class ConvReLUPool:
    """Y = maxpool(relu(conv(X))): (in_channels, H, W, N) -> (out_channels, ceil(H/2), ceil(W/2), N).

    The kernel is (k, k, in_channels, out_channels) with k odd, the bias (out_channels,). Of equal maxima the first in
    row-major order is the winner, as in `layers.MaxPool2D`.

    Buffers are allocated on the first call with a shape and reused: outputs and input gradients are valid until the
    next call.
    """

    def __init__(self, kernel: Array, bias: Array) -> None:
        if kernel.shape[0] % 2 == 0:
            raise ValueError(f"the kernel's size must be odd, not {kernel.shape[0]}")
        self.parameters = {"kernel": kernel, "bias": bias}
        self.gradients: dict[str, Array] = {}
        self._buffers: dict[tuple[int, ...], _Buffers] = {}

    def forward(self, inputs: Array) -> Array:
        """Return the pooled activations and remember the patches and the four planes of outputs under the windows."""
        if inputs.shape not in self._buffers:
            self._buffers[inputs.shape] = _Buffers(inputs.shape, self.parameters["kernel"])
        buffers = self._current = self._buffers[inputs.shape]
        buffers.copy_patches(inputs)
        self._frames = _embed(self.parameters["kernel"])
        np.matmul(self._frames, buffers.patches, out=buffers.outputs)

        first, second, third, fourth = planes = buffers.planes
        for plane, rows, columns in buffers.overhangs:
            planes[plane, :, rows, columns] = -np.inf  # outside the image: must not win
        np.maximum(first, second, out=buffers.maximum)
        np.maximum(third, fourth, out=buffers.pooled)
        np.maximum(buffers.maximum, buffers.pooled, out=buffers.maximum)
        np.add(buffers.maximum, self.parameters["bias"][:, None, None, None], out=buffers.pooled)
        outputs: Array = np.maximum(buffers.pooled, 0, out=buffers.pooled)
        return outputs

    def backward(self, grad_output: Array) -> Array:
        """Fill `gradients` and return dL/dX.

        G holds the gradient of the four planes, each window's whole gradient in its winner's plane. With frames F and
        patches P (outputs = F P): dL/dF = G P^T, which folds back into the kernel; dL/dP = F^T G, which adds back to
        the pixels that the patches were copied from.
        """
        self.backward_parameters(grad_output)
        return self._current.add_patches(self._frames.T @ self._grad_outputs)

    def backward_parameters(self, grad_output: Array) -> None:
        """Fill `gradients` only: the first layer of a network has no use for dL/dX in training."""
        buffers, kernel = self._current, self.parameters["kernel"]
        remaining = np.multiply(grad_output, np.greater(buffers.pooled, 0, out=buffers.mask), out=buffers.pooled)
        grad_bias = remaining.reshape(len(remaining), -1) @ buffers.ones
        for plane in buffers.planes[:3]:
            np.equal(plane, buffers.maximum, out=buffers.mask)
            np.multiply(remaining, buffers.mask, out=plane)
            remaining -= plane  # a gradient that an earlier plane has won is gone for a later one
        buffers.planes[3] = remaining
        self._grad_outputs = buffers.outputs
        if len(buffers.patches) < len(self._grad_outputs):  # BLAS is fastest with the longer matrix on the left
            grad_frames = self._grad_outputs @ buffers.patches.T
        else:
            grad_frames = (buffers.patches @ self._grad_outputs.T).T
        self.gradients = {"kernel": _fold(grad_frames, kernel.shape), "bias": grad_bias}


class _Buffers:
    """Arrays of one input shape, and the copying between images and patches.

    Patches of (k+1) x (k+1) pixels with stride 2 are read from blocks of 2x2 pixels: with b = (k+1)/2, a patch is b x b
    whole blocks. So blocks are cut once, and the patches are b * b shifted copies of large contiguous slices.
    """

    def __init__(self, shape: tuple[int, ...], kernel: Array) -> None:
        size, _, channels, filters = kernel.shape
        _, height, width, images = shape
        self._shape, self._reach = shape, (size + 1) // 2
        pooled_height, pooled_width = -(-height // 2), -(-width // 2)
        windows = pooled_height * pooled_width * images
        dtype = kernel.dtype
        block_grid = (pooled_height + self._reach - 1, pooled_width + self._reach - 1)
        self._blocks = np.zeros((2, 2, channels, *block_grid, images), dtype)  # the border stays zero: padding
        self.patches = np.empty(((size + 1) ** 2 * channels, windows), dtype)
        self.outputs = np.empty((4 * filters, windows), dtype)
        self.planes = self.outputs.reshape(4, filters, pooled_height, pooled_width, images)
        self.maximum, self.pooled = np.empty((2, *self.planes.shape[1:]), dtype)
        self.mask = np.empty(self.maximum.shape, bool)
        self.ones = np.ones(windows, dtype)
        self._grad_inputs = np.empty(shape, dtype)
        self._pixels = [
            (_pixels_in_blocks(dy, height, size // 2), _pixels_in_blocks(dx, width, size // 2)) for dy, dx in _OFFSETS
        ]
        # An odd height or width leaves the last windows with outputs beyond the image.
        below, right = (slice(-1, None) if length % 2 else slice(0, 0) for length in (height, width))
        everything = slice(None)
        self.overhangs = [(slice(2, 4), below, everything), (slice(1, 4, 2), everything, right)]

    def _patch_blocks(self, patches: Array) -> Array:
        """View patches (rows, windows) as (block row, y, block column, x, C, p, q, N)."""
        reach, (channels, *_, images) = self._reach, self._shape
        return patches.reshape(reach, 2, reach, 2, channels, *self.planes.shape[2:4], images)

    def _shifted(self, row: int, column: int) -> Array:
        """View the block at (row, column) of every patch as (y, x, C, p, q, N)."""
        pooled_height, pooled_width = self.planes.shape[2:4]
        return self._blocks[:, :, :, row : row + pooled_height, column : column + pooled_width]

    def copy_patches(self, inputs: Array) -> None:
        """Fill `patches` from images (C, H, W, N)."""
        for (dy, dx), ((block_rows, rows), (block_columns, columns)) in zip(_OFFSETS, self._pixels, strict=True):
            self._blocks[dy, dx, :, block_rows, block_columns] = inputs[:, rows, columns]
        patches = self._patch_blocks(self.patches)
        for row, column in np.ndindex(self._reach, self._reach):
            patches[row, :, column] = self._shifted(row, column)

    def add_patches(self, grad_patches: Array) -> Array:
        """Add every patch entry back to its pixel, (C, H, W, N): the adjoint of `copy_patches`."""
        blocks = self._blocks
        blocks.fill(0)
        patches = self._patch_blocks(grad_patches)
        for row, column in np.ndindex(self._reach, self._reach):
            shifted = self._shifted(row, column)
            shifted += patches[row, :, column]
        for (dy, dx), ((block_rows, rows), (block_columns, columns)) in zip(_OFFSETS, self._pixels, strict=True):
            self._grad_inputs[:, rows, columns] = blocks[dy, dx, :, block_rows, block_columns]
        blocks.fill(0)
        return self._grad_inputs


def _pixels_in_blocks(offset: int, length: int, padding: int) -> tuple[slice, slice]:
    """Return which blocks have, at `offset` inside them, a pixel of the image, and which pixels these are.

    Block i holds the padded pixels 2i and 2i + 1, that is the image's pixels 2i - padding + offset.
    """
    first_block = -((offset - padding) // 2)
    first_pixel = 2 * first_block - padding + offset
    count = len(range(first_pixel, length, 2))
    return slice(first_block, first_block + count), slice(first_pixel, None, 2)


def _embed(kernel: Array) -> Array:
    """Place the kernel (k, k, C, F) at the four offsets of a (k+1) x (k+1) frame: (4 * F, (k+1) * (k+1) * C)."""
    size, _, channels, filters = kernel.shape
    frames = np.zeros((4, filters, size + 1, size + 1, channels), kernel.dtype)
    for frame, (dy, dx) in zip(frames, _OFFSETS, strict=True):
        frame[:, dy : dy + size, dx : dx + size] = kernel.transpose(3, 0, 1, 2)
    return frames.reshape(4 * filters, -1)


def _fold(grad_frames: Array, shape: tuple[int, ...]) -> Array:
    """Sum the gradients of the four embedded copies into one shaped like the kernel: the adjoint of `_embed`."""
    size, _, channels, filters = shape
    frames = grad_frames.reshape(4, filters, size + 1, size + 1, channels)
    total = sum(frame[:, dy : dy + size, dx : dx + size] for frame, (dy, dx) in zip(frames, _OFFSETS, strict=True))
    return np.ascontiguousarray(np.transpose(total, (1, 2, 3, 0)))
