"""The networks in TensorFlow: automatic differentiation, and a whole epoch inside one compiled graph.

Python starts an epoch and receives its mean loss; the loop over batches, the gradients and the updates run in the
graph. This is not Keras: there are no layer objects, only variables named as `architectures.parameter_shapes` says.
"""

from math import prod, sqrt

import numpy as np
import tensorflow as tf

from mnist_core.arrays import IMAGE_SHAPE, Array, Shape, Weights
from mnist_core.networks.architectures import (
    Architecture,
    Conv2D,
    Dense,
    MaxPool2D,
    check_classifier,
    layer_names,
    parameter_shapes,
)

PREDICTION_BATCH = 100  # the convolutions' outputs of so many images still fit the processor's caches


class TensorFlowClassifier:
    """A network of `architecture` with fresh weights; fulfils `mnist_core.classifier.Classifier`."""

    def __init__(
        self,
        architecture: Architecture,
        *,
        rng: np.random.Generator,
        input_shape: Shape = IMAGE_SHAPE,
        dtype: str = "float32",
    ) -> None:
        """Build the network; layers with ReLU start He normal, linear ones Glorot uniform, biases at zero.

        Args:
            architecture: the layers; the last one gives the ten logits.
            rng: source of the seeds of the initial weights.
            input_shape: (height, width, channels) of one image.
            dtype: "float32" or "float64", of the weights and of all arithmetic.

        Raises:
            ValueError: the layers do not fit together or do not end in ten logits.
        """
        check_classifier(architecture, input_shape)
        self._architecture = architecture
        self._dtype = tf.as_dtype(dtype)
        self._shapes = parameter_shapes(architecture, input_shape)
        activations = {
            name: layer.activation
            for name, layer in zip(layer_names(architecture), architecture, strict=True)
            if isinstance(layer, Dense | Conv2D)
        }
        self._variables = {
            name: tf.Variable(_initial_value(name, shape, activations[name.split(".")[0]], rng, self._dtype), name=name)
            for name, shape in self._shapes.items()
        }
        self._remembered: list[tuple[Array, tf.Tensor]] = []

        images = tf.TensorSpec([None, *input_shape], self._dtype)
        labels = tf.TensorSpec([None], tf.int64)
        number, rate = tf.TensorSpec([], tf.int64), tf.TensorSpec([], self._dtype)
        self._epoch_graph = tf.function(self._epoch, input_signature=[images, labels, labels, number, rate])
        self._predict_graph = tf.function(self._predict, input_signature=[images])
        self._gradient_graph = tf.function(self._gradient, input_signature=[images, labels])

    @property
    def architecture(self) -> Architecture:
        """The layers, as given."""
        return self._architecture

    def train_epoch(
        self, images: Array, labels: Array, order: Array, *, batch_size: int, learning_rate: float
    ) -> float:
        """Take one step of SGD per batch of `order`; see `Classifier.train_epoch`.

        `images` becomes a tensor once and is remembered, so it must not be changed between epochs.
        """
        loss = self._epoch_graph(
            self._tensor(images),
            tf.convert_to_tensor(np.asarray(labels, np.int64)),
            tf.convert_to_tensor(np.asarray(order, np.int64)),
            tf.constant(batch_size, tf.int64),
            tf.constant(learning_rate, self._dtype),
        )
        return float(loss)

    def predict_logits(self, images: Array) -> Array:
        """Return the logits (N, 10); see `Classifier.predict_logits`. `images` is remembered as in `train_epoch`."""
        logits: Array = self._predict_graph(self._tensor(images)).numpy()
        return logits

    def loss_and_gradients(self, images: Array, labels: Array) -> tuple[float, Weights]:
        """Return the mean loss of one batch and its gradients; see `Classifier.loss_and_gradients`."""
        loss, gradients = self._gradient_graph(tf.constant(images, self._dtype), tf.constant(labels, tf.int64))
        return float(loss), {name: gradient.numpy() for name, gradient in gradients.items()}

    def get_weights(self) -> Weights:
        """Return copies of the parameters, in layer order."""
        return {name: np.array(variable.numpy()) for name, variable in self._variables.items()}

    def set_weights(self, weights: Weights) -> None:
        """Replace the parameters.

        Raises:
            ValueError: a name or a shape differs from `architectures.parameter_shapes`.
        """
        shapes = {name: np.shape(value) for name, value in weights.items()}
        if shapes != self._shapes:
            raise ValueError(f"the weights are {shapes}, but this network has {self._shapes}")
        for name, variable in self._variables.items():
            variable.assign(tf.constant(weights[name], self._dtype))

    def _tensor(self, images: Array) -> tf.Tensor:
        for array, tensor in self._remembered:
            if array is images:
                return tensor
        tensor = tf.cast(tf.convert_to_tensor(images), self._dtype)  # tf.constant would take 30 times as long
        # Train, validation and test images recur every epoch; anything beyond these pushes out the oldest.
        self._remembered = [*self._remembered[-2:], (images, tensor)]
        return tensor

    # The methods below run in graphs: AutoGraph turns `for` over tf.range into a loop in the graph.

    def _logits(self, images: tf.Tensor) -> tf.Tensor:
        outputs = images  # (N, height, width, channels) until the first dense layer, (N, features) from there on
        pooled = False
        names = layer_names(self._architecture)
        for name, layer, following in zip(names, self._architecture, (*self._architecture[1:], None), strict=True):
            if isinstance(layer, MaxPool2D):
                outputs = outputs if pooled else _max_pool(outputs, layer)
                pooled = False
                continue
            kernel = self._variables[f"{name}.kernel"]
            if isinstance(layer, Dense):
                outputs = tf.reshape(outputs, [-1, kernel.shape[0]]) @ kernel
            else:
                outputs = tf.nn.conv2d(outputs, kernel, strides=layer.stride, padding=layer.padding.upper())
                # A bias per channel and ReLU keep the order of values, so pooling may come first: a tenth faster.
                if isinstance(following, MaxPool2D):
                    outputs, pooled = _max_pool(outputs, following), True
            outputs = tf.nn.bias_add(outputs, self._variables[f"{name}.bias"])
            if layer.activation == "relu":
                outputs = tf.nn.relu(outputs)
        return outputs

    def _losses(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self._logits(images))

    def _epoch(
        self, images: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, batch_size: tf.Tensor, learning_rate: tf.Tensor
    ) -> tf.Tensor:
        variables = list(self._variables.values())
        num_examples = tf.size(order, tf.int64)
        total = tf.zeros([], self._dtype)
        for start in tf.range(0, num_examples, batch_size):
            rows = order[start : start + batch_size]
            with tf.GradientTape() as tape:
                losses = self._losses(tf.gather(images, rows), tf.gather(labels, rows))
                loss = tf.reduce_mean(losses)
            for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
                variable.assign_sub(learning_rate * gradient)
            total += tf.reduce_sum(losses)
        return total / tf.cast(num_examples, self._dtype)

    def _predict(self, images: tf.Tensor) -> tf.Tensor:
        starts = tf.range(0, tf.shape(images)[0], PREDICTION_BATCH)
        parts = tf.TensorArray(self._dtype, size=tf.size(starts), infer_shape=False, element_shape=[None, 10])
        for index in tf.range(tf.size(starts)):
            start = starts[index]
            parts = parts.write(index, self._logits(images[start : start + PREDICTION_BATCH]))
        return parts.concat()

    def _gradient(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        sources = {**self._variables, "input": images}
        with tf.GradientTape() as tape:
            tape.watch(images)
            loss = tf.reduce_mean(self._losses(images, labels))
        return loss, tape.gradient(loss, sources)


def _max_pool(images: tf.Tensor, layer: MaxPool2D) -> tf.Tensor:
    return tf.nn.max_pool2d(images, layer.pool_size, layer.stride, layer.padding.upper())


def _initial_value(name: str, shape: Shape, activation: str, rng: np.random.Generator, dtype: tf.DType) -> tf.Tensor:
    """Draw one parameter: zeros, He normal (He et al. 2015) before ReLU, else Glorot uniform (Glorot & Bengio 2010)."""
    if name.endswith(".bias"):
        return tf.zeros(shape, dtype)
    seed = rng.integers(2**31, size=2)
    receptive_field = prod(shape[:-2])  # 1 for a dense kernel
    fan_in, fan_out = receptive_field * shape[-2], receptive_field * shape[-1]
    if activation == "relu":
        return tf.random.stateless_normal(shape, seed, stddev=sqrt(2 / fan_in), dtype=dtype, alg="philox")
    limit = sqrt(6 / (fan_in + fan_out))
    return tf.random.stateless_uniform(shape, seed, -limit, limit, dtype=dtype, alg="philox")
