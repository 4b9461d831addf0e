"""The convolution of the fused block for 3x3 kernels on several channels, with two thirds of the multiplications.

Winograd's F(2, 3) along the height: two outputs below each other see four rows of the image, and are sums of four
products of transformed rows and transformed kernels instead of six of plain ones (derived in docs/derivations.md;
Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015). Transforming adds and subtracts whole rows,
which only pays with several channels. Along the width, three columns in a row are a view, as in `fused.py`.
"""

import numpy as np

from mnist_core.arrays import Array, Shape
from mnist_core.numpy_nn.fused import as_strided

# The kernel's three rows -> the four transformed kernels.
_KERNEL_TRANSFORM = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


class WinogradConvolution:
    """A `fused.Convolution` for 3x3 kernels; up to rounding, for the sums are others than in `DirectConvolution`."""

    def __init__(self, shape: Shape, kernel: Array, training: bool) -> None:
        height, width, channels, num_images = shape
        filters, dtype = kernel.shape[3], kernel.dtype
        num_rows, num_windows = -(-height // 2), -(-width // 2)
        # The columns of padding are never written, and stay zero; so they do in `grad_products`.
        transformed = np.zeros((num_rows if training else 1, 4, 2 * num_windows + 2, channels, num_images), dtype)
        self._transformed = transformed[:, :, 1 : 1 + width]
        self._triples = _triples(transformed, 2 * num_windows)
        row, four, column, channel, image = transformed.strides
        self._triples_of_windows = as_strided(  # like `windows`: first of all left outputs, then of all right ones
            transformed,
            (len(transformed), 4, 2, num_windows, 3 * channels, num_images),
            (row, four, column, 2 * column, channel, image),
        )
        self._products = np.zeros((4, 2, num_windows, filters, num_images), dtype)
        self.windows = np.zeros(self._products[:2].shape, dtype)
        grad_products = np.zeros((4, 2 * num_windows + 2, filters, num_images), dtype)
        self._grad_products = grad_products[:, 1:-1]
        self._grad_windows = self._grad_products[::3].reshape(2, num_windows, 2, filters, num_images).swapaxes(1, 2)
        self._grad_triples = _triples(grad_products, width)
        self._grad_matrices = np.zeros((4, 2 * num_windows, filters, 3 * channels), dtype)
        self._grad_transformed = np.zeros((4, width, channels, num_images), dtype)
        self._grad_rows = np.zeros((2 * num_rows + 2, width, channels, num_images), dtype)
        self.grad_inputs = self._grad_rows[1 : 1 + height]

    def start(self, inputs: Array, kernel: Array) -> None:
        """Surround the images by rows of zeros, and transform the kernel."""
        outside = np.zeros_like(inputs[0])
        self._rows = [outside, *inputs, outside, outside]
        kernels = np.tensordot(_KERNEL_TRANSFORM.astype(kernel.dtype), kernel, 1)  # (4, 3, C, F)
        _, _, channels, filters = kernels.shape
        self._matrices = np.ascontiguousarray(kernels.transpose(0, 3, 1, 2)).reshape(4, 1, 1, filters, -1)
        self._adjoints = np.ascontiguousarray(kernels[:, ::-1].transpose(0, 2, 1, 3)).reshape(4, 1, channels, -1)
        self._grad_kernels = np.zeros((4, filters, 3 * channels), kernel.dtype)

    def forward(self, i: int) -> None:
        """Transform the four rows, multiply, and add the products up to two rows of outputs."""
        slot = i % len(self._transformed)
        rows, t, m = self._rows[2 * i : 2 * i + 4], self._transformed[slot], self._products
        np.subtract(rows[0], rows[2], out=t[0])
        np.add(rows[1], rows[2], out=t[1])
        np.subtract(rows[2], rows[1], out=t[2])
        np.subtract(rows[3], rows[1], out=t[3])
        np.matmul(self._matrices, self._triples_of_windows[slot], out=m)
        np.add(m[1], m[2], out=self.windows[0])
        np.subtract(m[1], m[2], out=self.windows[1])
        self.windows += m[::3]

    def backward(self, i: int, *, to_inputs: bool) -> None:
        """Take the adjoint of every step of `forward`, in reverse order."""
        grad_m = self._grad_products
        self._grad_windows[...] = self.windows  # in the order of the columns: the first and the last of grad_m
        np.add(grad_m[0], grad_m[3], out=grad_m[1])
        np.subtract(grad_m[0], grad_m[3], out=grad_m[2])
        np.matmul(grad_m, self._triples[i].swapaxes(2, 3), out=self._grad_matrices)
        self._grad_kernels += self._grad_matrices.sum(axis=1)
        if not to_inputs:
            return
        t, rows = self._grad_transformed, self._grad_rows[2 * i : 2 * i + 4]
        np.matmul(self._adjoints, self._grad_triples, out=t)
        if i == 0:
            rows[:2] = 0
        rows[0] += t[0]
        np.subtract(t[1], t[2], out=rows[3])  # for the moment
        rows[1] += rows[3]
        rows[1] -= t[3]
        np.add(t[1], t[2], out=rows[2])
        rows[2] -= t[0]
        rows[3] = t[3]

    def grad_kernel(self) -> Array:
        """Return dL/dK: the adjoint of the kernel's transform."""
        _, filters, columns = self._grad_kernels.shape
        grad_kernels = self._grad_kernels.reshape(4, filters, 3, columns // 3)
        grad_kernel = np.tensordot(_KERNEL_TRANSFORM.T.astype(grad_kernels.dtype), grad_kernels, 1)  # (3, F, 3, C)
        return np.ascontiguousarray(grad_kernel.transpose(0, 2, 3, 1))


def _triples(columns: Array, count: int) -> Array:
    """View (..., columns, C, N) as (..., count, 3 * C, N): every three columns in a row."""
    *before, _, channels, num_images = columns.shape
    return as_strided(columns, (*before, count, 3 * channels, num_images), columns.strides)
