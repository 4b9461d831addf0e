"""The convolution of the fused block for 3x3 kernels on several channels, with two thirds of the multiplications.

Winograd's F(2, 3) along the height: two outputs below each other see four rows of the image, and are sums of four
products of transformed rows and transformed kernels instead of six of plain ones (docs/derivations.md; Lavin and Gray,
"Fast algorithms for convolutional neural networks", 2015). Adding up whole rows only pays with several channels.
"""

import numpy as np

from mnist_core.arrays import Array, Shape
from mnist_core.numpy_nn.layout import left_and_right, overlapping_columns

# The kernel's three rows -> the four transformed kernels.
_KERNEL_TRANSFORM = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


class WinogradConvolution:
    """A `fused.Convolution` for 3x3 kernels; up to rounding, for the sums are others than in `DirectConvolution`."""

    def __init__(self, shape: Shape, kernel: Array, training: bool) -> None:
        height, width, channels, num_images = shape
        num_rows, num_windows, filters, dtype = -(-height // 2), -(-width // 2), kernel.shape[3], kernel.dtype
        # The columns of padding are never written, and stay zero; so they do in `grad_products`.
        transformed = np.zeros((num_rows if training else 1, 4, 2 * num_windows + 2, channels, num_images), dtype)
        self._transformed, self._outside = (
            transformed[:, :, 1 : 1 + width],
            np.zeros((width, channels, num_images), dtype),
        )
        self._triples = left_and_right(overlapping_columns(transformed, 3))
        self._products = np.zeros((4, 2, num_windows, filters, num_images), dtype)
        self.windows = np.zeros(self._products[:2].shape, dtype)
        grad_products = np.zeros((4, 2 * num_windows + 2, filters, num_images), dtype)
        self._grad_products = grad_products[:, 1:-1]
        self._grad_products_of_windows = left_and_right(self._grad_products)
        self._grad_triples = overlapping_columns(grad_products, 3)[:, :width]
        self._grad_matrices = np.zeros((4, 2, num_windows, filters, 3 * channels), dtype)
        self._grad_transformed = np.zeros((4, width, channels, num_images), dtype)
        self._grad_rows = np.zeros((2 * num_rows + 2, width, channels, num_images), dtype)
        self.grad_inputs = self._grad_rows[1 : 1 + height]

    def start(self, inputs: Array, kernel: Array) -> None:
        """Surround the images by rows of zeros, and transform the kernel."""
        self._rows = [self._outside, *inputs, self._outside, self._outside]
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
        np.matmul(self._matrices, self._triples[slot], out=m)
        np.add(m[1], m[2], out=self.windows[0])
        np.subtract(m[1], m[2], out=self.windows[1])
        self.windows += m[::3]

    def backward(self, i: int, *, to_inputs: bool) -> None:
        """Take the adjoint of every step of `forward`, in reverse order."""
        grad_m = self._grad_products
        self._grad_products_of_windows[::3] = self.windows
        np.add(grad_m[0], grad_m[3], out=grad_m[1])
        np.subtract(grad_m[0], grad_m[3], out=grad_m[2])
        np.matmul(self._grad_products_of_windows, self._triples[i].swapaxes(3, 4), out=self._grad_matrices)
        self._grad_kernels += self._grad_matrices.sum(axis=(1, 2))
        if not to_inputs:
            return
        t, rows = self._grad_transformed, self._grad_rows[2 * i : 2 * i + 4]
        np.matmul(self._adjoints, self._grad_triples, out=t)
        if i == 0:
            rows[:2] = 0
        rows[0] += t[0]
        rows[1] += t[1] - t[2] - t[3]
        rows[2] = t[1] + t[2] - t[0]
        rows[3] = t[3]

    def grad_kernel(self) -> Array:
        """Return the gradient of the kernel: the adjoint of its transform."""
        grad_kernels = self._grad_kernels.reshape(*self._grad_kernels.shape[:2], 3, -1)
        grad_kernel = np.tensordot(_KERNEL_TRANSFORM.T.astype(grad_kernels.dtype), grad_kernels, 1)  # (3, F, 3, C)
        return np.ascontiguousarray(grad_kernel.transpose(0, 2, 3, 1))
