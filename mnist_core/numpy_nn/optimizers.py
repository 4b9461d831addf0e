"""Optimizers see arrays only: parameters and their gradients, by name."""

from mnist_core.classifier import Weights


def sgd_step(parameters: Weights, gradients: Weights, *, learning_rate: float) -> None:
    """Take one step of stochastic gradient descent in place: w <- w - learning_rate * dL/dw.

    The gradients are used up: they hold the step afterwards, which saves one array each.
    """
    for name, gradient in gradients.items():
        gradient *= learning_rate
        parameters[name] -= gradient
