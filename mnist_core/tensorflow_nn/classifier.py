"""A network in TensorFlow: automatic differentiation, and a whole epoch inside one compiled graph.

Weights go into a graph and come out of it, so a graph belongs to an architecture and serves every network of it. Python
starts an epoch and receives new weights and the mean loss; the loop over batches, the gradients and the updates run in
the graph. This is not Keras: there are no layer objects.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Array, Shape, Weights, remember_last
from mnist_core.networks.architectures import (
    Architecture,
    Convolution,
    Flatten,
    Linear,
    MaxPooling,
    Operation,
    ReLU,
    check_classifier,
    operations,
    parameter_shapes,
)
from mnist_core.tensorflow_nn.optimizers import Tensors, nesterov_step, sgd_step

PREDICTION_BATCH = 100  # the convolutions' outputs of so many images still fit the processor's caches
_FACTORS = ("momentum", "weight_decay")


class TensorFlowClassifier:
    """A `networks.classifier.Classifier` in TensorFlow.

    Args:
        architecture: the layers.
        weights: to start from, named and shaped as `architectures.parameter_shapes` says.
        input_shape: (height, width, channels) of one image.
        dtype: "float32" or "float64", of the weights and of all arithmetic.

    Raises:
        ValueError: the layers do not fit together, do not end in ten logits, or the weights do not fit them.
    """

    def __init__(
        self, architecture: Architecture, weights: Weights, *, input_shape: Shape = IMAGE_SHAPE, dtype: str = "float32"
    ) -> None:
        check_classifier(architecture, input_shape)
        self.architecture = architecture
        self._dtype = tf.as_dtype(dtype)
        self._shapes = parameter_shapes(architecture, input_shape)
        self._graphs = _graphs(architecture, input_shape, dtype)
        self._weights: Tensors = {}
        self.set_weights(weights)

    def train_epoch(
        self,
        images: Array,
        labels: Array,
        order: Array | None,
        *,
        batch_size: int,
        learning_rate: float | Array,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        velocity: Weights | None = None,
    ) -> float:
        """Take one step of SGD per batch of `order`; see `Classifier.train_epoch`.

        `images` becomes a tensor once and is remembered, so it must not be changed between epochs, unless `order` is
        None.

        Raises:
            ValueError: there is no velocity where one is needed.
        """
        is_plain = momentum == 0 and weight_decay == 0
        if is_plain:
            velocity = {}
        elif velocity is None:
            raise ValueError("momentum and weight decay need a velocity")
        rows = np.arange(len(images)) if order is None else np.asarray(order, np.int64)
        self._weights, moved, loss = (self._graphs.epoch if is_plain else self._graphs.epoch_with_velocity)(
            self._weights,
            {name: tf.constant(array, self._dtype) for name, array in velocity.items()},
            tf.cast(images, self._dtype) if order is None else self._tensor(images),
            tf.convert_to_tensor(np.asarray(labels, np.int64)),
            tf.convert_to_tensor(rows),
            tf.constant(batch_size, tf.int64),
            {
                "learning_rates": tf.constant(np.broadcast_to(learning_rate, -(-len(rows) // batch_size)), self._dtype),
                "momentum": tf.constant(momentum, self._dtype),
                "weight_decay": tf.constant(weight_decay, self._dtype),
            },
        )
        for name, tensor in moved.items():
            velocity[name][...] = tensor.numpy()
        return float(loss)

    def predict_logits(self, images: Array) -> Array:
        """Return the logits (N, 10); see `Classifier.predict_logits`. `images` is remembered as in `train_epoch`."""
        logits: Array = self._graphs.predict(self._weights, self._tensor(images)).numpy()
        return logits

    def loss_and_gradients(self, images: Array, labels: Array) -> tuple[float, Weights]:
        """Return the mean loss of one batch and its gradients; see `Classifier.loss_and_gradients`."""
        loss, gradients = self._graphs.gradient(
            self._weights, tf.constant(images, self._dtype), tf.constant(labels, tf.int64)
        )
        return float(loss), {name: gradient.numpy() for name, gradient in gradients.items()}

    def get_weights(self) -> Weights:
        """Return copies of the parameters, in layer order."""
        return {name: np.array(self._weights[name].numpy()) for name in self._shapes}

    def set_weights(self, weights: Weights) -> None:
        """Replace the parameters.

        Raises:
            ValueError: a name or a shape differs from `architectures.parameter_shapes`.
        """
        shapes = {name: np.shape(value) for name, value in weights.items()}
        if shapes != self._shapes:
            raise ValueError(f"the weights are {shapes}, but this network has {self._shapes}")
        self._weights = {name: tf.constant(weights[name], self._dtype) for name in self._shapes}

    def _tensor(self, images: Array) -> Any:
        return (_as_float32 if self._dtype == tf.float32 else _as_float64)(images)


# Train, validation and test images recur every epoch; tf.constant would take 30 times as long as convert_to_tensor.
_as_float32 = remember_last(3)(lambda images: tf.cast(tf.convert_to_tensor(images), tf.float32))
_as_float64 = remember_last(3)(lambda images: tf.cast(tf.convert_to_tensor(images), tf.float64))


@dataclass(frozen=True)
class _Graphs:
    """Compiled functions of weights and data."""

    epoch: Any
    epoch_with_velocity: Any
    predict: Any
    gradient: Any


@functools.cache
def _graphs(architecture: Architecture, input_shape: Shape, dtype: str) -> _Graphs:
    """Compile what an architecture needs, once a process; nothing in it remembers weights or images."""
    steps = operations(architecture, input_shape)
    shapes = parameter_shapes(architecture, input_shape)
    weights = {name: tf.TensorSpec(shape, dtype) for name, shape in shapes.items()}
    images, integers = tf.TensorSpec([None, *input_shape], dtype), tf.TensorSpec([None], tf.int64)
    number = tf.TensorSpec([], tf.int64)
    sgd = {"learning_rates": tf.TensorSpec([None], dtype)} | dict.fromkeys(_FACTORS, tf.TensorSpec([], dtype))

    # AutoGraph turns `for` over tf.range into a loop in the graph.

    def epoch(
        weights: Tensors, velocity: Tensors, images: Any, labels: Any, order: Any, batch_size: Any, sgd: Tensors
    ) -> tuple[Tensors, Tensors, Any]:
        num_examples = tf.size(order, tf.int64)
        total = tf.zeros([], dtype)
        for start in tf.range(0, num_examples, batch_size):
            rows = order[start : start + batch_size]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                losses = _losses(steps, weights, tf.gather(images, rows), tf.gather(labels, rows))
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, weights)
            rate, factors = sgd["learning_rates"][start // batch_size], {name: sgd[name] for name in _FACTORS}
            if velocity:  # decided while the graph is made
                weights, velocity = nesterov_step(weights, velocity, gradients, rate, **factors)
            else:
                weights = sgd_step(weights, gradients, rate)
            total += tf.reduce_sum(losses)
        return weights, velocity, total / tf.cast(num_examples, dtype)

    def predict(weights: Tensors, images: Any) -> Any:
        starts = tf.range(0, tf.shape(images)[0], PREDICTION_BATCH)
        parts = tf.TensorArray(dtype, size=tf.size(starts), infer_shape=False, element_shape=[None, NUM_CLASSES])
        for index in tf.range(tf.size(starts)):
            start = starts[index]
            parts = parts.write(index, _logits(steps, weights, images[start : start + PREDICTION_BATCH]))
        return parts.concat()

    def gradient(weights: Tensors, images: Any, labels: Any) -> tuple[Any, Tensors]:
        sources = {**weights, "input": images}
        with tf.GradientTape() as tape:
            tape.watch(sources)
            loss = tf.reduce_mean(_losses(steps, weights, images, labels))
        return loss, tape.gradient(loss, sources)

    of_epoch = [images, integers, integers, number, sgd]
    return _Graphs(
        tf.function(epoch, input_signature=[weights, {}, *of_epoch]),
        tf.function(epoch, input_signature=[weights, weights, *of_epoch]),
        tf.function(predict, input_signature=[weights, images]),
        tf.function(gradient, input_signature=[weights, images, integers], autograph=False),  # it has no loop
    )


def _losses(steps: list[Operation], weights: Tensors, images: Any, labels: Any) -> Any:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, _logits(steps, weights, images))


def _logits(steps: list[Operation], weights: Tensors, images: Any) -> Any:
    outputs = images  # (N, height, width, channels) until the first dense layer, (N, features) from there on
    pooled_early: MaxPooling | None = None
    for index, step in enumerate(steps):
        if isinstance(step, Convolution):
            kernel, bias = weights[f"{step.name}.kernel"], weights[f"{step.name}.bias"]
            outputs = tf.nn.conv2d(outputs, kernel, strides=step.spec.stride, padding=step.spec.padding.upper())
            # A bias per channel and ReLU keep the order of values, so pooling may come first: a tenth faster.
            following = next((later for later in steps[index + 1 :] if not isinstance(later, ReLU)), None)
            if isinstance(following, MaxPooling):
                outputs, pooled_early = _max_pool(outputs, following), following
            outputs = tf.nn.bias_add(outputs, bias)
        elif isinstance(step, Linear):
            outputs = tf.nn.bias_add(outputs @ weights[f"{step.name}.kernel"], weights[f"{step.name}.bias"])
        elif isinstance(step, MaxPooling):
            outputs = outputs if step is pooled_early else _max_pool(outputs, step)
        elif isinstance(step, Flatten):
            outputs = tf.reshape(outputs, [-1, *step.output_shape])
        elif isinstance(step, ReLU):
            outputs = tf.nn.relu(outputs)
        else:
            raise TypeError(step)
    return outputs


def _max_pool(images: Any, step: MaxPooling) -> Any:
    return tf.nn.max_pool2d(images, step.spec.pool_size, step.spec.stride, step.spec.padding.upper())
