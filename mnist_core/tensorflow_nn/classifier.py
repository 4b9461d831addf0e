"""A network in TensorFlow: automatic differentiation, and a whole epoch inside one compiled graph.

Weights go into a graph and come out of it, so a graph belongs to an architecture and serves every network of it. Python
starts an epoch and receives new weights and the mean loss; the loop over batches, the gradients and the updates run in
the graph. This is not Keras: there are no layer objects.
"""

import functools
from dataclasses import dataclass
from typing import Any, TypeAlias

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

PREDICTION_BATCH = 100  # the convolutions' outputs of so many images still fit the processor's caches

Tensors: TypeAlias = dict[str, Any]  # TensorFlow has no types


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
        self, images: Array, labels: Array, order: Array, *, batch_size: int, learning_rate: float
    ) -> float:
        """Take one step of SGD per batch of `order`; see `Classifier.train_epoch`.

        `images` becomes a tensor once and is remembered, so it must not be changed between epochs.
        """
        self._weights, loss = self._graphs.epoch(
            self._weights,
            self._tensor(images),
            tf.convert_to_tensor(np.asarray(labels, np.int64)),
            tf.convert_to_tensor(np.asarray(order, np.int64)),
            tf.constant(batch_size, tf.int64),
            tf.constant(learning_rate, self._dtype),
        )
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
    predict: Any
    gradient: Any


@functools.cache
def _graphs(architecture: Architecture, input_shape: Shape, dtype: str) -> _Graphs:
    """Compile what an architecture needs, once a process; nothing in it remembers weights or images."""
    steps = operations(architecture, input_shape)
    shapes = parameter_shapes(architecture, input_shape)
    weights = {name: tf.TensorSpec(shape, dtype) for name, shape in shapes.items()}
    images, integers = tf.TensorSpec([None, *input_shape], dtype), tf.TensorSpec([None], tf.int64)
    number, rate = tf.TensorSpec([], tf.int64), tf.TensorSpec([], dtype)

    # AutoGraph turns `for` over tf.range into a loop in the graph.

    def epoch(
        weights: Tensors, images: Any, labels: Any, order: Any, batch_size: Any, learning_rate: Any
    ) -> tuple[Tensors, Any]:
        num_examples = tf.size(order, tf.int64)
        total = tf.zeros([], dtype)
        for start in tf.range(0, num_examples, batch_size):
            rows = order[start : start + batch_size]
            with tf.GradientTape() as tape:
                tape.watch(weights)
                losses = _losses(steps, weights, tf.gather(images, rows), tf.gather(labels, rows))
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, weights)
            weights = {name: weights[name] - learning_rate * gradients[name] for name in shapes}
            total += tf.reduce_sum(losses)
        return weights, total / tf.cast(num_examples, dtype)

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

    return _Graphs(
        tf.function(epoch, input_signature=[weights, images, integers, integers, number, rate]),
        tf.function(predict, input_signature=[weights, images]),
        tf.function(gradient, input_signature=[weights, images, integers]),
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
        else:
            outputs = tf.nn.relu(outputs)
    return outputs


def _max_pool(images: Any, step: MaxPooling) -> Any:
    return tf.nn.max_pool2d(images, step.spec.pool_size, step.spec.stride, step.spec.padding.upper())
