"""Convolution, ReLU and 2x2 max pooling as one block: the fast path for the pattern that CNNs repeat.

It computes what `layers.Conv2D` (stride 1, same padding, odd kernel), `layers.ReLU` and `layers.MaxPool2D` (2, stride
2, same padding) compute in turn, which the tests compare it with. Three ideas make it fast:

1. Images last. Arrays are (H, W, C, N). The K rows that a row of outputs sees are gathered column by column; then the
   patches of im2col are overlapping *views* of that copy, K columns each, and only rows are copied.
2. One row of windows at a time: what lies between the gathered rows and the pooled row stays in the processor's cache.
3. Bias and ReLU come after the maximum, on a quarter of the data: both are non-decreasing and the same for all four
   values, so max(relu(a_m + b)) = relu(max(a_m) + b).

`winograd.py` has another convolution for the block, with fewer multiplications.
"""

from typing import Protocol

import numpy as np

from mnist_core.arrays import Array, Shape
from mnist_core.numpy_nn.layout import left_and_right, overlapping_columns


class Convolution(Protocol):
    """How a block computes the outputs of a convolution under one row of pooling windows after the other.

    Attributes:
        windows: the outputs under a row of windows, and their gradient in the backward pass; (2, 2, num_windows, F, N):
            row and column within the window, then window, filter, image.
        grad_inputs: dL/dX, (H, W, C, N).
    """

    windows: Array
    grad_inputs: Array

    def __init__(self, shape: Shape, kernel: Array, training: bool) -> None:
        """Allocate what inputs (H, W, C, N) of this shape need."""

    def start(self, inputs: Array, kernel: Array) -> None:
        """Begin a forward pass."""

    def forward(self, i: int) -> None:
        """Fill `windows` for the row i."""

    def backward(self, i: int, *, to_inputs: bool) -> None:
        """Add what the gradient in `windows` gives to the kernel's gradient and, if asked, to `grad_inputs`."""

    def grad_kernel(self) -> Array:
        """Return the kernel's gradient, when all rows have been added."""
        ...


class ConvReLUPool:
    """Y = maxpool(relu(conv(X))): (H, W, in_channels, N) -> (ceil(H/2), ceil(W/2), out_channels, N).

    The kernel is (K, K, in_channels, out_channels) with K odd, the bias (out_channels,). Of equal maxima the first in
    row-major order is the winner, as in `layers.MaxPool2D`. Outputs and input gradients are valid until the next call.
    """

    def __init__(self, kernel: Array, bias: Array, convolution: type[Convolution]) -> None:
        if kernel.shape[0] % 2 == 0:
            raise ValueError(f"the kernel's size must be odd, not {kernel.shape[0]}")
        self._convolution_class = convolution
        self.parameters, self.gradients = {"kernel": kernel, "bias": bias}, dict[str, Array]()
        self._buffers: dict[tuple[Shape, bool], tuple[Convolution, _Pooling]] = {}

    def forward(self, inputs: Array) -> Array:
        """Return the pooled activations; remember the gathered rows and the winner of every window."""
        return self._forward(inputs, training=True)

    def predict(self, inputs: Array) -> Array:
        """Return the pooled activations and remember nothing."""
        return self._forward(inputs, training=False)

    def _forward(self, inputs: Array, *, training: bool) -> Array:
        kernel, key = self.parameters["kernel"], (inputs.shape, training)
        if key not in self._buffers:
            pooling = _Pooling(inputs.shape, kernel, training)
            self._buffers[key] = self._convolution_class(inputs.shape, kernel, training), pooling
        convolution, pooling = self._buffers[key]
        if training:
            self._current = convolution, pooling  # for `backward`
        convolution.start(inputs, kernel)
        pooling.bias[...] = self.parameters["bias"][:, None]
        for i in range(len(pooling.pooled)):
            convolution.forward(i)
            pooling.forward(i, convolution.windows)
        return pooling.pooled

    def backward(self, grad_output: Array) -> Array:
        """Fill `gradients` and return dL/dX."""
        self._backward(grad_output, to_inputs=True)
        return self._current[0].grad_inputs

    def backward_parameters(self, grad_output: Array) -> None:
        """Fill `gradients` only: the first layer of a network has no use for dL/dX in training."""
        self._backward(grad_output, to_inputs=False)

    def _backward(self, grad_output: Array, *, to_inputs: bool) -> None:
        convolution, pooling = self._current
        grad_bias = np.zeros_like(self.parameters["bias"])
        for i in range(len(pooling.pooled)):
            grad_bias += pooling.backward(i, convolution.windows, grad_output[i])
            convolution.backward(i, to_inputs=to_inputs)
        self.gradients = {"kernel": convolution.grad_kernel(), "bias": grad_bias}


class DirectConvolution:
    """With the kernel as a matrix M (F, K * K * C) and a patch P (K * K * C, N) for every output: Y = M P."""

    def __init__(self, shape: Shape, kernel: Array, training: bool) -> None:
        height, width, channels, num_images = shape
        size, pad, filters, dtype = len(kernel), len(kernel) // 2, kernel.shape[3], kernel.dtype
        num_rows, num_windows = -(-height // 2), -(-width // 2)
        self._kernel_shape = kernel.shape
        # Padding is never written, and stays zero, here and in `gathered`.
        self._padded = np.zeros((2 * num_rows + size - 1, width, channels, num_images), dtype)
        self._interior = self._padded[pad : pad + height]
        columns = 2 * num_windows + size - 1
        gathered = np.zeros((num_rows if training else 1, 2, columns, size, channels, num_images), dtype)
        self._gathered = gathered[:, :, pad : pad + width].swapaxes(2, 3)  # (num_rows, 2, K, W, C, N)
        self._patches = left_and_right(overlapping_columns(gathered.reshape(*gathered.shape[:3], -1, num_images), size))
        self.windows = np.zeros((2, 2, num_windows, filters, num_images), dtype)
        self._products = np.zeros((2, 2, num_windows, filters, size * size * channels), dtype)
        self._grad_padded = np.zeros((len(self._padded), columns, channels, num_images), dtype)
        self.grad_inputs = self._grad_padded[pad : pad + height, pad : pad + width]

    def start(self, inputs: Array, kernel: Array) -> None:
        """Pad the images; bring the kernel into the order of a patch: column, row, channel."""
        self._interior[...] = inputs
        self._matrix = np.ascontiguousarray(kernel.transpose(3, 1, 0, 2)).reshape(kernel.shape[3], -1)
        self._grad_matrix = np.zeros_like(self._matrix)

    def forward(self, i: int) -> None:
        """Gather the K rows that each of the two rows of outputs sees, and multiply."""
        slot, size = i % len(self._gathered), len(self._gathered[0, 0])
        for a in range(2):
            self._gathered[slot, a] = self._padded[2 * i + a : 2 * i + a + size]
        np.matmul(self._matrix, self._patches[slot], out=self.windows)

    def backward(self, i: int, *, to_inputs: bool) -> None:
        """Given D = dL/dY: dL/dM is the sum of D P^T; dL/dP = M^T D is added to the pixels of the patch (scatter)."""
        np.matmul(self.windows, self._patches[i].swapaxes(3, 4), out=self._products)
        self._grad_matrix += self._products.sum(axis=(0, 1, 2))
        if not to_inputs:
            return
        if i == 0:
            self._grad_padded[...] = 0
        size, _, channels, _ = self._kernel_shape
        _, _, num_windows, _, num_images = self.windows.shape
        grad_patches = (self._matrix.T @ self.windows).reshape(2, 2, num_windows, size, size, channels, num_images)
        for a, b, u, v in np.ndindex(2, 2, size, size):
            self._grad_padded[2 * i + a + u, b + v :: 2][:num_windows] += grad_patches[a, b, :, v, u]

    def grad_kernel(self) -> Array:
        """Return dL/dM in the kernel's own order."""
        size, _, channels, filters = self._kernel_shape
        grad_kernel = self._grad_matrix.reshape(filters, size, size, channels)
        return np.ascontiguousarray(grad_kernel.transpose(2, 1, 3, 0))


class _Pooling:
    """Pooling, bias and ReLU of one row of windows after the other; which outputs won is remembered as bools."""

    def __init__(self, shape: Shape, kernel: Array, training: bool) -> None:
        height, width, _, num_images = shape
        num_rows, row = -(-height // 2), (-(-width // 2), kernel.shape[3], num_images)
        self._odd_height, self._odd_width, self._training = height % 2 == 1, width % 2 == 1, training
        self.pooled = np.zeros((num_rows, *row), kernel.dtype)
        # Full arrays: NumPy's sums and maxima of an array and a number, or a column, take several times as long.
        self.bias, self._zeros, self._passed_on = np.zeros((3, *row), kernel.dtype)
        self._halves = np.zeros((2, *row), kernel.dtype)  # the upper and the lower one of each window
        kept = num_rows if training else 0
        self._left_won = np.zeros((kept, 2, *row), bool)
        self._upper_won, self._is_positive = np.zeros((2, kept, *row), bool)
        self._ones = np.ones(num_images, kernel.dtype)

    def forward(self, i: int, windows: Array) -> None:
        """Write row i to `pooled`."""
        if self._odd_width:
            windows[:, 1, -1] = -np.inf  # outside the image: must not win
        if self._odd_height and i == len(self.pooled) - 1:
            windows[1] = -np.inf
        left, right = windows[:, 0], windows[:, 1]
        upper, lower = self._halves
        pooled = self.pooled[i]
        np.maximum(left, right, out=self._halves)
        np.maximum(upper, lower, out=pooled)
        np.add(pooled, self.bias, out=pooled)
        np.maximum(pooled, self._zeros, out=pooled)
        if self._training:
            np.greater_equal(left, right, out=self._left_won[i])  # of equal ones the left
            np.greater_equal(upper, lower, out=self._upper_won[i])
            np.greater(pooled, self._zeros, out=self._is_positive[i])

    def backward(self, i: int, windows: Array, grad_output: Array) -> Array:
        """Fill `windows` with the gradient of the outputs under row i; return the gradient of the bias, (F,).

        What one half of a window has won is gone for the other. Bools are cast before they multiply: NumPy's product of
        floats and bools takes more than twice as long.
        """
        passed_on, halves, (upper, lower) = self._passed_on, self._halves, self._halves
        left, right = windows[:, 0], windows[:, 1]
        np.copyto(passed_on, self._is_positive[i])
        np.multiply(passed_on, grad_output, out=passed_on)
        np.copyto(upper, self._upper_won[i])
        np.multiply(upper, passed_on, out=upper)
        np.subtract(passed_on, upper, out=lower)
        np.copyto(left, self._left_won[i])
        np.multiply(left, halves, out=left)
        np.subtract(halves, left, out=right)
        grad_bias: Array = (passed_on.reshape(-1, len(self._ones)) @ self._ones).reshape(len(passed_on), -1).sum(axis=0)
        return grad_bias
