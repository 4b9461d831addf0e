"""The optimizers on tensors are the twins of those on arrays, and Keras's where Keras means the same."""

import keras
import numpy as np
import tensorflow as tf

from mnist_core.numpy_nn.optimizers import NesterovSGD
from mnist_core.tensorflow_nn.optimizers import nesterov_step

SHAPES = {"dense.kernel": (3, 2), "dense.bias": (2,)}


def drawn(rng):
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def test_ten_steps_are_those_of_the_twin():
    rng = np.random.default_rng(0)
    arrays, velocity = drawn(rng), {name: np.zeros(shape) for name, shape in SHAPES.items()}
    tensors = {name: tf.constant(array) for name, array in arrays.items()}
    moving = {name: tf.constant(array) for name, array in velocity.items()}
    twin = NesterovSGD(0.0, momentum=0.9, weight_decay=0.01, velocity=velocity)
    for step in range(10):
        gradients, twin.learning_rate = drawn(rng), 0.3 / (1 + step)
        twin.step(arrays, gradients)
        tensors, moving = nesterov_step(tensors, moving, gradients, twin.learning_rate, momentum=0.9, weight_decay=0.01)
    for name, array in arrays.items():
        np.testing.assert_allclose(tensors[name], array, rtol=1e-13)
        np.testing.assert_allclose(moving[name], velocity[name], rtol=1e-13)


def test_ten_steps_without_decay_at_one_rate_are_those_of_keras():
    """Keras keeps the rate within the velocity, so only a constant rate means the same; and its decay is another."""
    rng = np.random.default_rng(0)
    weights = drawn(rng)
    variables = [keras.Variable(array, dtype="float64") for array in weights.values()]
    theirs = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)
    theirs.build(variables)
    tensors = {name: tf.constant(array) for name, array in weights.items()}
    velocity = {name: tf.zeros(shape, tf.float64) for name, shape in SHAPES.items()}
    for _ in range(10):
        gradients = drawn(rng)
        theirs.apply([tf.constant(array) for array in gradients.values()])
        tensors, velocity = nesterov_step(tensors, velocity, gradients, 0.1, momentum=0.9, weight_decay=0.0)
    for variable, tensor in zip(variables, tensors.values(), strict=True):
        # Keras holds its rate in float32: 0.1 is off by 1.5e-8 of itself.
        np.testing.assert_allclose(tensor, variable.numpy(), rtol=0, atol=1e-6)
