"""The layers, written to be read: each forward pass beside the backward pass that its formula gives.

A layer remembers in `forward` what `backward` needs, so the two are called in turn. Images are NHWC (images, height,
width, channels), convolution kernels HWIO (height, width, in_channels, out_channels). Every formula is derived in
docs/derivations.md; `proof/naive.py` says the same with plain loops. Any float dtype goes through unchanged.

Training does not run all of them: convolution, ReLU and 2x2 pooling in a row are one block of `fused.py`, which
computes the same faster. What stands here is what the tests hold that block to.
"""

from typing import Protocol, runtime_checkable

import numpy as np

from mnist_core.arrays import Array
from mnist_core.networks.architectures import Padding, window_padding


class Layer(Protocol):
    """One differentiable step of a network."""

    parameters: dict[str, Array]
    gradients: dict[str, Array]

    def forward(self, inputs: Array) -> Array:
        """Return the layer's output and remember what `backward` needs."""
        ...

    def backward(self, grad_output: Array) -> Array:
        """Fill `gradients` and return the loss gradient with respect to the inputs of the last `forward`.

        Args:
            grad_output: loss gradient with respect to the output, shaped like it.
        """
        ...


@runtime_checkable
class TrainableLayer(Layer, Protocol):
    """A layer with parameters."""

    def backward_parameters(self, grad_output: Array) -> None:
        """Fill `gradients` only: the first layer of a network has no use for dL/dX in training."""
        ...


@runtime_checkable
class PredictingLayer(Layer, Protocol):
    """A layer whose `forward` remembers so much that prediction has a way of its own."""

    def predict(self, inputs: Array) -> Array:
        """Return what `forward` returns, and remember nothing."""
        ...


class Dense:
    """Y = X W + b, with X (N, in_features), W (in_features, out_features), b (out_features,)."""

    def __init__(self, kernel: Array, bias: Array) -> None:
        self.parameters = {"kernel": kernel, "bias": bias}
        self.gradients: dict[str, Array] = {}

    def forward(self, inputs: Array) -> Array:
        """Return X W + b, (N, out_features)."""
        self._inputs = inputs
        outputs: Array = inputs @ self.parameters["kernel"]
        outputs += self.parameters["bias"]
        return outputs

    def backward(self, grad_output: Array) -> Array:
        """Given G = dL/dY: dL/dW = X^T G, dL/db = 1^T G (the sum of its rows), dL/dX = G W^T."""
        self.backward_parameters(grad_output)
        grad_inputs: Array = grad_output @ self.parameters["kernel"].T
        return grad_inputs

    def backward_parameters(self, grad_output: Array) -> None:
        """Fill `gradients` only: the first layer of a network has no use for dL/dX in training."""
        ones = np.ones(len(grad_output), grad_output.dtype)  # this product is twice as fast as sum(axis=0)
        self.gradients = {"kernel": self._inputs.T @ grad_output, "bias": ones @ grad_output}


class ReLU:
    """y = max(x, 0), elementwise; the derivative at 0 is taken as 0."""

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self._zeros: Array = np.zeros(0)

    def forward(self, inputs: Array) -> Array:
        """Return max(x, 0), shaped like the inputs."""
        # A kept array of zeros: NumPy's maximum of an array and a number takes five times as long.
        if (self._zeros.shape, self._zeros.dtype) != (inputs.shape, inputs.dtype):
            self._zeros = np.zeros_like(inputs)
        self._outputs: Array = np.maximum(inputs, self._zeros)
        return self._outputs

    def backward(self, grad_output: Array) -> Array:
        """dL/dx = dL/dy where y > 0, else 0."""
        grad_inputs: Array = grad_output * (self._outputs > 0)
        return grad_inputs


class Flatten:
    """(N, height, width, channels) -> (N, height * width * channels), row-major."""

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    def forward(self, inputs: Array) -> Array:
        """Return one row an image."""
        self._shape = inputs.shape
        return inputs.reshape(len(inputs), -1)

    def backward(self, grad_output: Array) -> Array:
        """Reshape the gradient like the inputs."""
        return grad_output.reshape(self._shape)


class _Windows:
    """Where the windows of a convolution or pooling lie on the padded images."""

    def __init__(self, shape: tuple[int, ...], window: int, stride: int, padding: Padding) -> None:
        self.window, self.stride = window, stride
        self.pads = [window_padding(size, window, stride, padding) for size in shape[1:3]]
        self.padded_shape = (
            shape[0],
            *(size + sum(pad) for size, pad in zip(shape[1:3], self.pads, strict=True)),
            shape[3],
        )
        (top, _), (left, _) = self.pads
        self._interior = (slice(None), slice(top, top + shape[1]), slice(left, left + shape[2]))

    def pad(self, images: Array, value: float) -> Array:
        """Surround the images (N, H, W, C) by `value`."""
        padded = np.full(self.padded_shape, value, images.dtype)
        padded[self._interior] = images
        return padded

    def view(self, padded: Array) -> Array:
        """Return all windows as a view, (N, out_height, out_width, C, window, window)."""
        windows = np.lib.stride_tricks.sliding_window_view(padded, (self.window, self.window), axis=(1, 2))
        return windows[:, :: self.stride, :: self.stride]

    def scatter_add(self, grad_windows: Array) -> Array:
        """Add (N, out_height, out_width, window, window, C) back to where the windows were read: the adjoint of `view`.

        Returns:
            The sum without the padding, (N, H, W, C).
        """
        out_height, out_width = grad_windows.shape[1:3]
        padded = np.zeros(self.padded_shape, grad_windows.dtype)
        for a in range(self.window):
            for b in range(self.window):
                rows = slice(a, a + self.stride * out_height, self.stride)
                columns = slice(b, b + self.stride * out_width, self.stride)
                padded[:, rows, columns] += grad_windows[:, :, :, a, b]
        return padded[self._interior]


class Conv2D:
    """Cross-correlation as one matrix product over patches (im2col).

    Every window of the padded input becomes one row of a patch matrix P (N * out_height * out_width, K * K *
    in_channels); with the kernel as a matrix M (K * K * in_channels, out_channels) the layer is Y = P M + b. Padding
    follows TensorFlow: "same" gives ceil(size / stride) outputs, an odd pixel of padding goes below and to the right.
    """

    def __init__(self, kernel: Array, bias: Array, *, stride: int = 1, padding: Padding = "same") -> None:
        self.parameters = {"kernel": kernel, "bias": bias}
        self.gradients: dict[str, Array] = {}
        self._stride, self._padding = stride, padding

    def forward(self, inputs: Array) -> Array:
        """Map (N, H, W, in_channels) to (N, out_height, out_width, out_channels)."""
        kernel = self.parameters["kernel"]
        self._windows = _Windows(inputs.shape, kernel.shape[0], self._stride, self._padding)
        windows = self._windows.view(self._windows.pad(inputs, 0))  # (N, out_h, out_w, C, K, K)
        self._patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, kernel[..., 0].size)  # like the rows of M
        outputs: Array = self._patches @ kernel.reshape(-1, kernel.shape[3]) + self.parameters["bias"]
        return outputs.reshape(*windows.shape[:3], -1)

    def backward(self, grad_output: Array) -> Array:
        """Given G = dL/dY as a matrix like Y: dL/dM = P^T G, dL/db = sum of the rows of G, dL/dP = G M^T.

        dL/dX adds every entry of dL/dP back to the pixel that it was copied from.
        """
        self.backward_parameters(grad_output)
        kernel = self.parameters["kernel"]
        grad_patches = grad_output.reshape(-1, kernel.shape[3]) @ kernel.reshape(-1, kernel.shape[3]).T
        return self._windows.scatter_add(grad_patches.reshape(*grad_output.shape[:3], *kernel.shape[:3]))

    def backward_parameters(self, grad_output: Array) -> None:
        """Fill `gradients` only: the first layer of a network has no use for dL/dX in training."""
        kernel = self.parameters["kernel"]
        grad_rows = grad_output.reshape(-1, kernel.shape[3])
        self.gradients = {
            "kernel": (self._patches.T @ grad_rows).reshape(kernel.shape),
            "bias": grad_rows.sum(axis=0),
        }


class MaxPool2D:
    """Maximum over square windows of each channel; padding is minus infinity, so it never wins."""

    def __init__(self, pool_size: int, *, stride: int, padding: Padding = "same") -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self._pool_size, self._stride, self._padding = pool_size, stride, padding

    def forward(self, inputs: Array) -> Array:
        """Map (N, H, W, C) to (N, out_height, out_width, C)."""
        self._windows = _Windows(inputs.shape, self._pool_size, self._stride, self._padding)
        windows = self._windows.view(self._windows.pad(inputs, -np.inf))
        candidates = windows.reshape(*windows.shape[:4], -1)  # (N, out_h, out_w, C, pool_size**2)
        self._winners = candidates.argmax(axis=-1)  # of equal maxima the first, in row-major order
        outputs: Array = np.take_along_axis(candidates, self._winners[..., None], axis=-1)[..., 0]
        return outputs

    def backward(self, grad_output: Array) -> Array:
        """Give the whole gradient of a window to its winner; overlapping windows add up."""
        is_winner = self._winners[..., None, :] == np.arange(self._pool_size**2)[:, None]
        grad_windows = grad_output[..., None, :] * is_winner  # (N, out_h, out_w, pool_size**2, C)
        size = self._pool_size
        return self._windows.scatter_add(grad_windows.reshape(*grad_output.shape[:3], size, size, -1))
