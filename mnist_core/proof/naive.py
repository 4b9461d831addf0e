"""The layers once more, as plain Python loops over every index: slow, and as close to the formulas as code can be.

Nothing trains with them. They are an independent oracle: the gradient check and the tests compare the fast layers with
them. Class names, arguments and conventions are those of `layers`, so that one can stand in for the other. The formulas
and their derivations are in docs/derivations.md. Images are (batch, height, width, channels), convolution kernels
(kernel height, kernel width, in_channels, out_channels).
"""

from math import exp, inf, log

import numpy as np

from mnist_core.arrays import Array
from mnist_core.networks.architectures import Padding, window_output_size, window_padding


class Dense:
    """Linear layer: y[n, k] = sum over j of x[n, j] kernel[j, k] + bias[k]."""

    def __init__(self, kernel: Array, bias: Array) -> None:
        self.parameters = {"kernel": kernel, "bias": bias}
        self.gradients: dict[str, Array] = {}

    def forward(self, inputs: Array) -> Array:
        """Map (batch, in_features) to (batch, out_features)."""
        kernel, bias = self.parameters["kernel"], self.parameters["bias"]
        self._inputs = inputs
        outputs = np.zeros((len(inputs), len(bias)), inputs.dtype)
        for n in range(len(inputs)):
            for k in range(len(bias)):
                outputs[n, k] = bias[k]
                for j in range(len(kernel)):
                    outputs[n, k] += inputs[n, j] * kernel[j, k]
        return outputs

    def backward(self, grad_output: Array) -> Array:
        """Set the gradients of kernel and bias; map (batch, out_features) to (batch, in_features)."""
        kernel = self.parameters["kernel"]
        grad_input, grad_kernel = np.zeros_like(self._inputs), np.zeros_like(kernel)
        grad_bias = np.zeros_like(self.parameters["bias"])
        for n in range(len(grad_output)):
            for k in range(len(grad_bias)):
                grad_bias[k] += grad_output[n, k]
                for j in range(len(kernel)):
                    grad_kernel[j, k] += self._inputs[n, j] * grad_output[n, k]
                    grad_input[n, j] += grad_output[n, k] * kernel[j, k]
        self.gradients = {"kernel": grad_kernel, "bias": grad_bias}
        return grad_input


class Conv2D:
    """Cross-correlation: y[n, i, j, k] = bias[k] + sum over a, b, c of x[n, s i+a-p, s j+b-q, c] kernel[a, b, c, k].

    s is the stride, (p, q) the padding before the first row and column; x is zero outside the image.
    """

    def __init__(self, kernel: Array, bias: Array, *, stride: int = 1, padding: Padding = "same") -> None:
        self.parameters = {"kernel": kernel, "bias": bias}
        self.gradients: dict[str, Array] = {}
        self.stride, self.padding = stride, padding

    def _terms(self, row: int, column: int) -> list[tuple[int, int, int, int]]:
        """List (a, b, image row, image column) of every tap inside the image for one output position."""
        _, height, width, _ = self._inputs.shape
        size, size_w = self.parameters["kernel"].shape[:2]
        top = row * self.stride - window_padding(height, size, self.stride, self.padding)[0]
        left = column * self.stride - window_padding(width, size_w, self.stride, self.padding)[0]
        return [
            (a, b, top + a, left + b)
            for a in range(size)
            for b in range(size_w)
            if 0 <= top + a < height and 0 <= left + b < width
        ]

    def forward(self, inputs: Array) -> Array:
        """Map (batch, height, width, in_channels) to (batch, out_height, out_width, out_channels)."""
        self._inputs = inputs
        kernel, bias = self.parameters["kernel"], self.parameters["bias"]
        batch, height, width, in_channels = inputs.shape
        out_height = window_output_size(height, kernel.shape[0], self.stride, self.padding)
        out_width = window_output_size(width, kernel.shape[1], self.stride, self.padding)
        outputs = np.zeros((batch, out_height, out_width, len(bias)), inputs.dtype)
        for n, i, j, k in np.ndindex(outputs.shape):
            total = bias[k]
            for a, b, row, column in self._terms(i, j):
                for c in range(in_channels):
                    total += inputs[n, row, column, c] * kernel[a, b, c, k]
            outputs[n, i, j, k] = total
        return outputs

    def backward(self, grad_output: Array) -> Array:
        """Set the gradients of kernel and bias; return the gradient with respect to the input, in its shape."""
        kernel, inputs = self.parameters["kernel"], self._inputs
        grad_input, grad_kernel = np.zeros_like(inputs), np.zeros_like(kernel)
        grad_bias = np.zeros_like(self.parameters["bias"])
        for n, i, j, k in np.ndindex(grad_output.shape):
            grad = grad_output[n, i, j, k]
            grad_bias[k] += grad
            for a, b, row, column in self._terms(i, j):
                for c in range(inputs.shape[3]):
                    grad_kernel[a, b, c, k] += inputs[n, row, column, c] * grad
                    grad_input[n, row, column, c] += kernel[a, b, c, k] * grad
        self.gradients = {"kernel": grad_kernel, "bias": grad_bias}
        return grad_input


class ReLU:
    """Rectifier: y = max(x, 0), with derivative 0 at x = 0."""

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    def forward(self, inputs: Array) -> Array:
        """Map an array of any shape to one of the same shape."""
        self._inputs = inputs
        outputs = np.zeros_like(inputs)
        for index in np.ndindex(inputs.shape):
            if inputs[index] > 0:
                outputs[index] = inputs[index]
        return outputs

    def backward(self, grad_output: Array) -> Array:
        """Pass the gradient where the input was positive."""
        grad_input = np.zeros_like(grad_output)
        for index in np.ndindex(grad_output.shape):
            if self._inputs[index] > 0:
                grad_input[index] = grad_output[index]
        return grad_input


class MaxPool2D:
    """Maximum over square windows; the first maximum in row-major order gets the whole gradient of its window."""

    def __init__(self, pool_size: int, *, stride: int, padding: Padding = "same") -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.pool_size, self.stride, self.padding = pool_size, stride, padding

    def forward(self, inputs: Array) -> Array:
        """Map (batch, height, width, channels) to (batch, out_height, out_width, channels)."""
        batch, height, width, channels = inputs.shape
        out_height = window_output_size(height, self.pool_size, self.stride, self.padding)
        out_width = window_output_size(width, self.pool_size, self.stride, self.padding)
        above = window_padding(height, self.pool_size, self.stride, self.padding)[0]
        left = window_padding(width, self.pool_size, self.stride, self.padding)[0]
        self._input_shape = inputs.shape
        self._winners: dict[tuple[int, ...], tuple[int, int]] = {}
        outputs = np.zeros((batch, out_height, out_width, channels), inputs.dtype)
        for n, i, j, c in np.ndindex(outputs.shape):
            best = -inf
            for a in range(self.pool_size):
                for b in range(self.pool_size):
                    row, column = i * self.stride + a - above, j * self.stride + b - left
                    if 0 <= row < height and 0 <= column < width and inputs[n, row, column, c] > best:
                        best = inputs[n, row, column, c]
                        self._winners[n, i, j, c] = (row, column)
            outputs[n, i, j, c] = best
        return outputs

    def backward(self, grad_output: Array) -> Array:
        """Send each window's gradient to its winner; windows that overlap add up."""
        grad_input = np.zeros(self._input_shape, grad_output.dtype)
        for n, i, j, c in np.ndindex(grad_output.shape):
            row, column = self._winners[n, i, j, c]
            grad_input[n, row, column, c] += grad_output[n, i, j, c]
        return grad_input


class Flatten:
    """Image to vector: y[n, (h W + w) C + c] = x[n, h, w, c]."""

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}

    def forward(self, inputs: Array) -> Array:
        """Map (batch, height, width, channels) to (batch, height * width * channels)."""
        self._input_shape = inputs.shape
        batch, height, width, channels = inputs.shape
        outputs = np.zeros((batch, height * width * channels), inputs.dtype)
        for n, h, w, c in np.ndindex(inputs.shape):
            outputs[n, (h * width + w) * channels + c] = inputs[n, h, w, c]
        return outputs

    def backward(self, grad_output: Array) -> Array:
        """Undo the rearrangement."""
        _, _, width, channels = self._input_shape
        grad_input = np.zeros(self._input_shape, grad_output.dtype)
        for n, h, w, c in np.ndindex(self._input_shape):
            grad_input[n, h, w, c] = grad_output[n, (h * width + w) * channels + c]
        return grad_input


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """Return the mean over the batch of -log softmax(logits)[label], and its gradient, in the logits' shape."""
    batch, classes = logits.shape
    loss = 0.0
    grad_logits = np.zeros_like(logits)
    for n in range(batch):
        largest = max(float(logits[n, c]) for c in range(classes))
        total = sum(exp(float(logits[n, c]) - largest) for c in range(classes))
        loss += (log(total) + largest - float(logits[n, labels[n]])) / batch
        for c in range(classes):
            probability = exp(float(logits[n, c]) - largest) / total
            grad_logits[n, c] = (probability - (1.0 if c == labels[n] else 0.0)) / batch
    return loss, grad_logits
