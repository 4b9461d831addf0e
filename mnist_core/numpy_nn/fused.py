"""Convolution, ReLU and 2x2 max pooling as one block: the fast path for the pattern that CNNs repeat.

It computes what `layers.Conv2D` (stride 1, same padding, odd kernel), `layers.ReLU` and `layers.MaxPool2D` (2, stride
2, same padding) compute in turn, which the tests compare it with. Three ideas make it fast:

1. Images last. Arrays are (channels, height, width, images): every slice of rows or columns is contiguous in the
   images, and a chunk of images is small enough to stay in the processor's cache.
2. Few, large copies and products. The window at (p, q) pools the outputs at rows 2p, 2p+1 and columns 2q, 2q+1, which
   together see one patch of (k+1) x (k+1) input pixels. Such patches have stride 2, so there are four times fewer of
   them than im2col has. The first k rows of a patch give the two upper outputs, the last k rows the two lower ones:
   each by one product with two copies of the kernel, at columns 0 and 1 of a frame of k x (k+1).
3. Bias and ReLU come after the maximum, on a quarter of the data: both are non-decreasing and the same for all four
   values, so max(relu(x_i + b)) = relu(max(x_i) + b).
"""

import numpy as np

from mnist_core.arrays import Array


class SwapImagesAndChannels:
    """(N, H, W, C) -> (C, H, W, N), the layout of `ConvReLUPool`; and back, for it is its own inverse."""

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    def forward(self, inputs: Array) -> Array:
        """Exchange the first and the last axis, in memory too."""
        return np.ascontiguousarray(inputs.transpose(3, 1, 2, 0))

    def backward(self, grad_output: Array) -> Array:
        """Exchange them back."""
        return self.forward(grad_output)


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
        size, _, channels, filters = kernel.shape
        self._frames = np.zeros((2 * filters, size * (size + 1) * channels), kernel.dtype)

    def forward(self, inputs: Array) -> Array:
        """Return the pooled activations and remember the patches and the four planes of outputs under the windows.

        With the frames E, and U and V the first and the last k rows of all patches: the two upper planes are E U, the
        two lower ones E V.
        """
        if inputs.shape not in self._buffers:
            self._buffers[inputs.shape] = _Buffers(inputs.shape, self.parameters["kernel"])
        buffers = self._current = self._buffers[inputs.shape]
        buffers.copy_patches(inputs)
        _embed(self.parameters["kernel"], self._frames)
        np.matmul(self._frames, buffers.first_rows, out=buffers.upper)
        np.matmul(self._frames, buffers.last_rows, out=buffers.lower)

        for overhang in buffers.overhangs:
            overhang[...] = -np.inf  # outside the image: must not win
        np.max(buffers.planes, axis=0, out=buffers.maximum)
        np.add(buffers.maximum, self.parameters["bias"][:, None, None, None], out=buffers.pooled)
        # An array of zeros: NumPy's maximum of an array and a number is five times slower.
        outputs: Array = np.maximum(buffers.pooled, buffers.zeros, out=buffers.pooled)
        return outputs

    def backward(self, grad_output: Array) -> Array:
        """Fill `gradients` and return dL/dX.

        dL/dU = E^T G_upper and dL/dV = E^T G_lower. U and V share all patch rows but the first and the last; for the
        shared ones a single product with both frames, one above the other, adds the two up. Then every patch entry
        adds to the pixel that it was copied from.
        """
        self.backward_parameters(grad_output)
        buffers, row = self._current, self._current.row
        both = np.concatenate([self._frames[:, row:], self._frames[:, :-row]])
        np.matmul(self._frames[:, :row].T, buffers.upper, out=buffers.grad_patches[:row])
        np.matmul(both.T, buffers.outputs, out=buffers.grad_patches[row:-row])
        np.matmul(self._frames[:, -row:].T, buffers.lower, out=buffers.grad_patches[-row:])
        return buffers.add_patches()

    def backward_parameters(self, grad_output: Array) -> None:
        """Fill `gradients` only: the first layer of a network has no use for dL/dX in training.

        The planes' gradient G takes the planes' place: each window's whole gradient, if ReLU lets it through, in the
        plane of its winner. dL/dE = G_upper U^T + G_lower V^T folds back into the kernel.
        """
        buffers = self._current
        remaining = np.multiply(grad_output, np.greater(buffers.pooled, 0, out=buffers.mask), out=buffers.pooled)
        grad_bias = remaining.reshape(len(remaining), -1) @ buffers.ones
        for plane in buffers.planes[:3]:
            np.equal(plane, buffers.maximum, out=buffers.mask)
            np.multiply(remaining, buffers.mask, out=plane)
            remaining -= plane  # a gradient that an earlier plane has won is gone for a later one
        buffers.planes[3] = remaining
        if len(buffers.patches) < len(buffers.outputs):  # few channels: one product is faster than two half as large
            products = buffers.outputs @ buffers.patches.T
            half = len(self._frames)
            grad_frames = products[:half, : -buffers.row] + products[half:, buffers.row :]
        else:
            grad_frames = (buffers.first_rows @ buffers.upper.T + buffers.last_rows @ buffers.lower.T).T
        self.gradients = {"kernel": _fold(grad_frames, self.parameters["kernel"].shape), "bias": grad_bias}


class _Buffers:
    """Arrays of one input shape, and the copying between images and patches by tables of places.

    Both directions read rows of one pixel in all images. The last row of `_pixels` and of `_grad_patch_rows` is zero:
    it stands for the padding, and for "no further patch".
    """

    def __init__(self, shape: tuple[int, ...], kernel: Array) -> None:
        size, _, channels, filters = kernel.shape
        _, height, width, images = shape
        pooled_height, pooled_width = -(-height // 2), -(-width // 2)
        windows = pooled_height * pooled_width * images
        num_pixels, patch_length = channels * height * width, (size + 1) ** 2 * channels
        dtype = kernel.dtype
        self._read_from = _places_in_pixels(shape, size)
        self._read_by = _invert(self._read_from, num_pixels)
        self._pixels = np.zeros((num_pixels + 1, images), dtype)
        self.patches = np.empty((patch_length, windows), dtype)
        self._grad_patch_rows = np.zeros((len(self._read_from) + 1, images), dtype)
        self.grad_patches = self._grad_patch_rows[:-1].reshape(patch_length, windows)
        self._grad_pixels, self._grad_part = np.empty((2, num_pixels, images), dtype)
        self._grad_inputs: Array = self._grad_pixels.reshape(shape)
        self.row = (size + 1) * channels  # entries in one row of a patch
        self.first_rows, self.last_rows = self.patches[: -self.row], self.patches[self.row :]
        self.outputs = np.empty((4 * filters, windows), dtype)
        self.upper, self.lower = self.outputs[: 2 * filters], self.outputs[2 * filters :]
        self.planes = self.outputs.reshape(4, filters, pooled_height, pooled_width, images)
        self.maximum, self.pooled = np.empty((2, *self.planes.shape[1:]), dtype)
        self.mask = np.empty(self.maximum.shape, bool)
        self.ones, self.zeros = np.ones(windows, dtype), np.zeros(self.maximum.shape, dtype)
        # An odd height or width leaves the last windows with outputs beyond the image: the lower or the right planes'.
        self.overhangs = [self.planes[2:, :, -1]] if height % 2 else []
        self.overhangs += [self.planes[1::2, :, :, -1]] if width % 2 else []

    def copy_patches(self, inputs: Array) -> None:
        """Fill `patches` from images (C, H, W, N)."""
        images = inputs.shape[-1]
        self._pixels[:-1] = inputs.reshape(-1, images)
        # "clip" changes no place here; without it NumPy would fill a buffer first.
        np.take(self._pixels, self._read_from, axis=0, out=self.patches.reshape(-1, images), mode="clip")

    def add_patches(self) -> Array:
        """Add every entry of `grad_patches` to its pixel, (C, H, W, N): the adjoint of `copy_patches`."""
        first, *others = self._read_by
        np.take(self._grad_patch_rows, first, axis=0, out=self._grad_pixels, mode="clip")
        for places in others:
            np.take(self._grad_patch_rows, places, axis=0, out=self._grad_part, mode="clip")
            self._grad_pixels += self._grad_part
        return self._grad_inputs


def _places_in_pixels(shape: tuple[int, ...], kernel_size: int) -> Array:
    """Return which pixel each patch entry copies, flat (k+1, k+1, C, pooled height, pooled width).

    Pixels are numbered like (C, H, W); padding is the number after the last.
    """
    channels, height, width, _ = shape
    numbers = np.pad(
        np.arange(channels * height * width).reshape(channels, height, width),
        [(0, 0), (kernel_size // 2, kernel_size // 2 + 1), (kernel_size // 2, kernel_size // 2 + 1)],
        constant_values=channels * height * width,
    )
    patches = np.lib.stride_tricks.sliding_window_view(numbers, (kernel_size + 1, kernel_size + 1), axis=(1, 2))
    places: Array = patches[:, ::2, ::2].transpose(3, 4, 0, 1, 2).ravel()
    return places


def _invert(read_from: Array, num_pixels: int) -> Array:
    """Return, for each pixel, which patch entries copy it: (most entries of any pixel, num_pixels).

    Pixels with fewer entries are filled up by the number after the last entry.
    """
    entries = np.argsort(read_from, kind="stable")
    pixels = read_from[entries]
    rank = np.arange(len(pixels)) - np.searchsorted(pixels, pixels)  # first, second, ... entry of its pixel
    inside = pixels < num_pixels
    read_by = np.full((rank[inside].max() + 1, num_pixels), len(read_from))
    read_by[rank[inside], pixels[inside]] = entries[inside]
    return read_by


def _embed(kernel: Array, frames: Array) -> None:
    """Place the kernel (k, k, C, F) at columns 0 and 1 of the frames (2 * F, k * (k+1) * C), zero elsewhere."""
    size, _, channels, filters = kernel.shape
    left, right = frames.reshape(2, filters, size, size + 1, channels)
    left[:, :, :-1] = right[:, :, 1:] = kernel.transpose(3, 0, 1, 2)


def _fold(grad_frames: Array, shape: tuple[int, ...]) -> Array:
    """Add the gradients of the two copies, shaped like the kernel: the adjoint of `_embed`."""
    size, _, channels, filters = shape
    left, right = grad_frames.reshape(2, filters, size, size + 1, channels)
    grad_kernel: Array = left[:, :, :-1] + right[:, :, 1:]
    return np.ascontiguousarray(grad_kernel.transpose(1, 2, 3, 0))
