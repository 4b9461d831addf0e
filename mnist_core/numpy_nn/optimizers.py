"""Optimizers see arrays only: parameters, and gradients by the same names. They own the learning rate.

`tensorflow_nn/optimizers.py` has their twins.
"""

from typing import Protocol

import numpy as np

from mnist_core.arrays import Weights


class Optimizer(Protocol):
    """Changes parameters by their gradients.

    Attributes:
        learning_rate: of the next step; a schedule changes it.
    """

    learning_rate: float

    @property
    def gradient_scale(self) -> float:
        """What the next step wants its gradients multiplied by.

        A backward pass is linear in the gradient that it starts from. So whoever multiplies the few gradients of the
        logits by this finds it in the gradient of every parameter, and spares a pass over all of them.
        """
        ...

    def step(self, parameters: Weights, scaled_gradients: Weights) -> None:
        """Take one step in place.

        Args:
            parameters: w.
            scaled_gradients: gradient_scale * dL/dw. One may lack the last rows of its parameter; they count as zeros.
        """
        ...


class SGD:
    """Plain stochastic gradient descent: w <- w - learning_rate * dL/dw."""

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    @property
    def gradient_scale(self) -> float:
        """The learning rate: then a step only subtracts."""
        return self.learning_rate

    def step(self, parameters: Weights, scaled_gradients: Weights) -> None:
        """Take one step in place; see `Optimizer.step`."""
        for name, scaled_gradient in scaled_gradients.items():
            parameters[name][: len(scaled_gradient)] -= scaled_gradient


class NesterovSGD:
    """Stochastic gradient descent with Nesterov's momentum m and a weight decay d of kernels, as PyTorch has it.

    g = dL/dw + d w for kernels and dL/dw for biases; v <- m v + g; w <- w - learning_rate (g + m v). The decay is
    part of the gradient, as in `torch.optim.SGD`; that of Keras shrinks the weights beside the step instead. The
    velocity holds gradients, not steps, so a new learning rate acts at once. docs/derivations.md has more.

    Args:
        learning_rate: of the next step.
        momentum: m, at least 0 and less than 1.
        weight_decay: d.
        velocity: v of every parameter, changed in place.
    """

    gradient_scale = 1.0

    def __init__(self, learning_rate: float, *, momentum: float, weight_decay: float, velocity: Weights) -> None:
        self.learning_rate = learning_rate
        self._momentum, self._weight_decay, self._velocity = momentum, weight_decay, velocity

    def step(self, parameters: Weights, scaled_gradients: Weights) -> None:
        """Take one step in place; see `Optimizer.step`."""
        for name, known_rows in scaled_gradients.items():
            parameter, velocity = parameters[name], self._velocity[name]
            gradient = np.zeros_like(parameter)
            gradient[: len(known_rows)] = known_rows
            if self._weight_decay and name.endswith(".kernel"):
                gradient += self._weight_decay * parameter
            velocity *= self._momentum
            velocity += gradient
            gradient += self._momentum * velocity
            gradient *= self.learning_rate
            parameter -= gradient
