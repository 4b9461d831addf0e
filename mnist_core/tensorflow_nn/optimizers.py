"""The optimizers of `numpy_nn/optimizers.py` on tensors, which never change: a step gives new ones.

Like their twins they see arrays only, by name.
"""

from typing import Any, TypeAlias

Tensors: TypeAlias = dict[str, Any]  # TensorFlow has no types


def sgd_step(parameters: Tensors, gradients: Tensors, learning_rate: Any) -> Tensors:
    """Return w - learning_rate * dL/dw of every parameter."""
    return {name: parameters[name] - learning_rate * gradients[name] for name in parameters}


def nesterov_step(
    parameters: Tensors,
    velocity: Tensors,
    gradients: Tensors,
    learning_rate: Any,
    *,
    momentum: Any,
    weight_decay: Any,
) -> tuple[Tensors, Tensors]:
    """Return parameters and velocity after a step; see `numpy_nn.optimizers.NesterovSGD`."""
    new_parameters, new_velocity = {}, {}
    for name, parameter in parameters.items():
        gradient = gradients[name]
        if name.endswith(".kernel"):
            gradient += weight_decay * parameter
        new_velocity[name] = momentum * velocity[name] + gradient
        new_parameters[name] = parameter - learning_rate * (gradient + momentum * new_velocity[name])
    return new_parameters, new_velocity
