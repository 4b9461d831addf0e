"""A network in NumPy that learns: for every batch a forward pass, a backward pass and a step of the optimizer.

How it is made fast stands elsewhere: `fused.py` for convolutions, `pixels.py` for a dense first layer, `threads.py`
for the cores. With convolutions a batch is cut into chunks of a fixed number of images, which stay in the cache.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from mnist_core.arrays import IMAGE_SHAPE, Array, Shape, Weights
from mnist_core.networks.architectures import Architecture, check_classifier, has_convolutions, parameter_shapes
from mnist_core.numpy_nn.build import build_network
from mnist_core.numpy_nn.losses import softmax_cross_entropy
from mnist_core.numpy_nn.optimizers import SGD, NesterovSGD, Optimizer
from mnist_core.numpy_nn.pixels import reading_rows
from mnist_core.numpy_nn.sequential import Network
from mnist_core.numpy_nn.threads import Crew, default_num_threads, one_blas_thread_each

_TRAINING_CHUNK = 100  # images, of networks with convolutions; others take a batch at once
_PREDICTION_CHUNK = 200
_DENSE_PREDICTION_CHUNK = 1000


class NumPyClassifier:
    """A `networks.classifier.Classifier` in NumPy alone.

    Args:
        architecture: the layers.
        weights: to start from, named and shaped as `architectures.parameter_shapes` says; copied.
        input_shape: (height, width, channels) of one image.
        dtype: "float32" or "float64", of the weights and of all arithmetic.
        num_threads: threads that share a batch's chunks; by default OMP_NUM_THREADS or the number of cores.
        fast: see `build.build_network`.

    Raises:
        ValueError: the layers do not fit together, do not end in ten logits, or the weights do not fit them.
    """

    def __init__(
        self,
        architecture: Architecture,
        weights: Weights,
        *,
        input_shape: Shape = IMAGE_SHAPE,
        dtype: str = "float32",
        num_threads: int | None = None,
        fast: bool = True,
    ) -> None:
        check_classifier(architecture, input_shape)
        self.architecture = architecture
        self._input_shape = input_shape
        self._has_convolutions = has_convolutions(architecture)
        self._weights = {
            name: np.zeros(shape, dtype) for name, shape in parameter_shapes(architecture, input_shape).items()
        }
        self.set_weights(weights)
        num_networks = (num_threads or default_num_threads()) if self._has_convolutions else 1
        self._networks = [
            build_network(architecture, self._weights, input_shape=input_shape, fast=fast) for _ in range(num_networks)
        ]
        self._crew = Crew(self._networks)

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
        """Take one SGD step per batch; see `Classifier.train_epoch`.

        A dense first layer remembers a copy of `images`, so they must not be changed between epochs, unless `order`
        is None.

        Raises:
            ValueError: the images are not of `input_shape`, or there is no velocity where one is needed.
        """
        self._check_shape(images)
        optimizer = _optimizer(momentum, weight_decay, velocity)
        rows = np.arange(len(images)) if order is None else order
        batches = list(_slices(rows, batch_size))
        learning_rates = np.broadcast_to(learning_rate, len(batches)).tolist()
        total_loss = 0.0
        with self._threads(), self._reading(images, velocity, in_order=order is None) as read:
            for batch, rate in zip(batches, learning_rates, strict=True):
                optimizer.learning_rate = rate
                loss, gradients = self._loss_and_gradients(read, labels, batch, scale=optimizer.gradient_scale)
                optimizer.step(self._weights, gradients)
                total_loss += loss
        return total_loss / len(rows)

    def predict_logits(self, images: Array) -> Array:
        """Return the logits (N, classes) of images (N, H, W, C); ValueError if they are not of `input_shape`."""
        self._check_shape(images)
        chunks = list(_slices(images, _PREDICTION_CHUNK if self._has_convolutions else _DENSE_PREDICTION_CHUNK))
        with self._threads():
            return np.concatenate(self._crew.map(lambda network, chunk: network.predict(chunk), chunks))

    def loss_and_gradients(self, images: Array, labels: Array) -> tuple[float, Weights]:
        """Return the mean loss of one batch, the gradient of every parameter and that of the images as "input"."""
        self._check_shape(images)
        network = self._networks[0]
        loss, grad_logits = softmax_cross_entropy(network.forward(images), labels)
        grad_images = network.backward(grad_logits)
        return loss, network.gradients() | {"input": np.array(grad_images)}

    def get_weights(self) -> Weights:
        """Return copies of the parameters."""
        return {name: array.copy() for name, array in self._weights.items()}

    def set_weights(self, weights: Weights) -> None:
        """Replace the parameters; ValueError if a name or a shape differs from the architecture's."""
        expected = {name: array.shape for name, array in self._weights.items()}
        shapes = {name: array.shape for name, array in weights.items()}
        if shapes != expected:
            raise ValueError(f"weights {shapes} do not fit the architecture's {expected}")
        for name, array in weights.items():
            self._weights[name][...] = array  # in place: the layers share these arrays

    def _reading(
        self, images: Array, velocity: Weights | None, *, in_order: bool
    ) -> AbstractContextManager[Callable[[Array], Array]]:
        if in_order:  # a batch is a view, and sorting pixels that come once would not pay
            return nullcontext(lambda rows: images[rows[0] : rows[-1] + 1])
        kernel = self._networks[0].leading_columns_kernel
        return reading_rows(images, [arrays[kernel] for arrays in (self._weights, velocity) if kernel and arrays])

    def _loss_and_gradients(
        self, read: Callable[[Array], Array], labels: Array, batch: Array, *, scale: float
    ) -> tuple[float, Weights]:
        """Return the summed loss of the rows `batch`, and `scale` times the gradients of its mean."""

        def share(network: Network, chunk: Array) -> tuple[float, Weights]:
            loss, grad_logits = softmax_cross_entropy(network.forward(read(chunk)), labels[chunk])
            grad_logits *= len(chunk) * (scale / len(batch))  # from the mean of a chunk to that of the batch
            network.backward_parameters(grad_logits)
            return loss * len(chunk), network.gradients()

        chunks = list(_slices(batch, _TRAINING_CHUNK if self._has_convolutions else len(batch)))
        (total_loss, gradients), *others = self._crew.map(share, chunks)
        for loss, more in others:
            total_loss += loss
            for name, gradient in more.items():
                gradients[name] += gradient
        return total_loss, gradients

    def _threads(self) -> AbstractContextManager[None]:
        return one_blas_thread_each() if self._has_convolutions else nullcontext()

    def _check_shape(self, images: Array) -> None:
        # Without this, a dense network would take too few pixels for black ones.
        if images.shape[1:] != self._input_shape:
            raise ValueError(f"images of shape {images.shape[1:]} in a network for {self._input_shape}")


def _optimizer(momentum: float, weight_decay: float, velocity: Weights | None) -> Optimizer:
    if momentum == 0 and weight_decay == 0:
        return SGD(learning_rate=0.0)  # every step sets its own
    if velocity is None:
        raise ValueError("momentum and weight decay need a velocity")
    return NesterovSGD(0.0, momentum=momentum, weight_decay=weight_decay, velocity=velocity)


def _slices(array: Array, size: int) -> Iterator[Array]:
    """Cut an array into consecutive parts of `size` entries, the last one maybe shorter."""
    for start in range(0, len(array), size):
        yield array[start : start + size]
