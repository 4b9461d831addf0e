"""Optimizers see arrays only: parameters and what to subtract from them, by name."""

from mnist_core.arrays import Weights


def sgd_step(parameters: Weights, scaled_gradients: Weights) -> None:
    """Take one step of stochastic gradient descent in place: w <- w - learning_rate * dL/dw.

    Args:
        parameters: w.
        scaled_gradients: learning_rate * dL/dw. Backward passes are linear, so whoever multiplies the few logits'
            gradients by the rate has it in the gradient of every parameter, and saves a pass over all of them. One
            may lack the last rows of its parameter; they count as zeros.
    """
    for name, scaled_gradient in scaled_gradients.items():
        parameters[name][: len(scaled_gradient)] -= scaled_gradient
