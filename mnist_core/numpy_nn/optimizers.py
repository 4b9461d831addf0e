"""Optimizers see arrays only: parameters, and gradients by the same names. They own the learning rate."""

from mnist_core.arrays import Weights


class SGD:
    """Plain stochastic gradient descent: w <- w - learning_rate * dL/dw.

    A backward pass is linear in the gradient that it starts from. So whoever multiplies the few gradients of the logits
    by `gradient_scale` finds it in the gradient of every parameter, and spares a pass over all of them.
    """

    def __init__(self, learning_rate: float) -> None:
        self.gradient_scale = learning_rate

    def step(self, parameters: Weights, scaled_gradients: Weights) -> None:
        """Take one step in place.

        Args:
            parameters: w.
            scaled_gradients: gradient_scale * dL/dw. One may lack the last rows of its parameter; they count as zeros.
        """
        for name, scaled_gradient in scaled_gradients.items():
            parameters[name][: len(scaled_gradient)] -= scaled_gradient
