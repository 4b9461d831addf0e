"""Chains layers into a classifier: forward from the first to the last, backward from the last to the first.

Networks with convolutions work through a batch in chunks of a fixed number of images, which stay in the processor's
cache, and share the chunks among threads. The chunks' gradients are added in the order of the chunks, so the result
does not depend on the number of threads. Networks that begin with a dense layer leave out black pixels (`pixels.py`).
"""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from mnist_core.arrays import IMAGE_SHAPE, Array, Shape, Weights
from mnist_core.networks.architectures import (
    Architecture,
    check_classifier,
    has_convolutions,
    parameter_shapes,
)
from mnist_core.networks.initializers import initial_weights
from mnist_core.numpy_nn.build import build_network
from mnist_core.numpy_nn.losses import softmax_cross_entropy
from mnist_core.numpy_nn.optimizers import sgd_step
from mnist_core.numpy_nn.pixels import SortedPixels, sort_pixels
from mnist_core.numpy_nn.sequential import Network
from mnist_core.numpy_nn.threads import SWITCH_INTERVAL, default_num_threads, threadpools

Result = TypeVar("Result")

_TRAINING_CHUNK = 100  # images, of networks with convolutions; others take a batch at once
_PREDICTION_CHUNK = 200
_DENSE_PREDICTION_CHUNK = 1000


class NumPyClassifier:
    """A `classifier.Classifier` in NumPy alone.

    Args:
        architecture: the layers.
        rng: source of the initial weights.
        input_shape: (height, width, channels) of one image.
        dtype: "float32" or "float64", of the weights and of all arithmetic.
        num_threads: threads that share a batch's chunks; by default OMP_NUM_THREADS or the number of cores.
        fast: see `build_network`.

    Raises:
        ValueError: the layers do not fit together or do not end in ten logits.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        rng: np.random.Generator,
        input_shape: Shape = IMAGE_SHAPE,
        dtype: str = "float32",
        num_threads: int | None = None,
        fast: bool = True,
    ) -> None:
        check_classifier(architecture, input_shape)
        self.architecture = architecture
        self._shapes = parameter_shapes(architecture, input_shape)
        self._dtype = np.dtype(dtype)
        initial = initial_weights(architecture, input_shape, rng=rng)
        self._weights = {name: array.astype(self._dtype) for name, array in initial.items()}
        self._input_shape = input_shape
        self._has_convolutions = has_convolutions(architecture)
        self._sorted: tuple[Array, SortedPixels] | None = None
        num_networks = (num_threads or default_num_threads()) if self._has_convolutions else 1
        self._networks = [
            build_network(architecture, self._weights, input_shape=input_shape, fast=fast) for _ in range(num_networks)
        ]
        self._pool = ThreadPoolExecutor(num_networks) if num_networks > 1 else None

    def train_epoch(
        self, images: Array, labels: Array, order: Array, *, batch_size: int, learning_rate: float
    ) -> float:
        """Take one SGD step per batch; see `classifier.Classifier.train_epoch`.

        A dense first layer remembers a copy of `images`, so they must not be changed between epochs.

        Raises:
            ValueError: the images are not of `input_shape`.
        """
        self._check_shape(images)
        total_loss = 0.0
        chunk_size = _TRAINING_CHUNK if self._has_convolutions else batch_size
        with self._threads_in_good_order(), self._reader(images) as read:
            for start in range(0, len(order), batch_size):
                batch = order[start : start + batch_size]
                chunks = [batch[i : i + chunk_size] for i in range(0, len(batch), chunk_size)]
                scale = learning_rate / len(batch)
                results = self._map(functools.partial(_loss_and_scaled_gradients, read, labels, scale), chunks)
                scaled_gradients = results[0][1]
                for _, more in results[1:]:
                    for name, gradient in more.items():
                        scaled_gradients[name] += gradient
                sgd_step(self._weights, scaled_gradients)
                total_loss += sum(loss for loss, _ in results)
        return total_loss / len(order)

    def predict_logits(self, images: Array) -> Array:
        """Return the logits (N, classes) of images (N, H, W, C); ValueError if they are not of `input_shape`."""
        self._check_shape(images)
        chunk_size = _PREDICTION_CHUNK if self._has_convolutions else _DENSE_PREDICTION_CHUNK
        chunks = [images[start : start + chunk_size] for start in range(0, len(images), chunk_size)]
        with self._threads_in_good_order():
            return np.concatenate(self._map(lambda network, chunk: network.predict(chunk), chunks))

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
        shapes = {name: array.shape for name, array in weights.items()}
        if shapes != self._shapes:
            raise ValueError(f"weights {shapes} do not fit the architecture's {self._shapes}")
        for name, array in weights.items():
            self._weights[name][...] = array  # in place: the layers share these arrays

    def _check_shape(self, images: Array) -> None:
        # Without this, a dense network would take too few pixels for black ones.
        if images.shape[1:] != self._input_shape:
            raise ValueError(f"images of shape {images.shape[1:]} in a network for {self._input_shape}")

    @contextmanager
    def _reader(self, images: Array) -> Iterator[Callable[[Array], Array]]:
        """Give the function that reads a batch of images by their rows.

        While it is in use, the first kernel of a dense network stands in the order of its pixels.
        """
        kernel = self._networks[0].leading_columns_kernel
        if kernel is None:
            yield functools.partial(np.take, images, axis=0)
            return
        if self._sorted is None or self._sorted[0] is not images:
            self._sorted = images, sort_pixels(images)
        pixels = self._sorted[1]
        kernel[...] = kernel[pixels.order]
        try:
            yield pixels.batch
        finally:
            kernel[pixels.order] = kernel.copy()

    def _map(self, function: Callable[[Network, Array], Result], chunks: Sequence[Array]) -> list[Result]:
        """Apply a function to every chunk, each thread on a network of its own; results in the order of the chunks."""
        if self._pool is None:
            return [function(self._networks[0], chunk) for chunk in chunks]
        count = len(self._networks)
        settings = np.geterr()  # a thread does not inherit them

        def run_share(index: int) -> list[Result]:
            with np.errstate(**settings):
                return [function(self._networks[index], chunk) for chunk in chunks[index::count]]

        shares = list(self._pool.map(run_share, range(count)))
        return [shares[index % count][index // count] for index in range(len(chunks))]

    @contextmanager
    def _threads_in_good_order(self) -> Iterator[None]:
        """Give each of our threads one of BLAS, and let none wait long for another."""
        if not self._has_convolutions:
            yield
            return
        interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        try:
            # Also for one thread of ours: BLAS adds in another order on several of its own.
            with threadpools().limit(limits=1, user_api="blas"):
                yield
        finally:
            sys.setswitchinterval(interval)


def _loss_and_scaled_gradients(
    read: Callable[[Array], Array], labels: Array, scale: float, network: Network, chunk: Array
) -> tuple[float, Weights]:
    """Return the summed loss of the rows `chunk`, and `scale` times its gradients."""
    loss, grad_logits = softmax_cross_entropy(network.forward(read(chunk)), labels[chunk])
    grad_logits *= len(chunk) * scale  # here, for backward is linear: all gradients come out scaled
    network.backward_parameters(grad_logits)
    return loss * len(chunk), network.gradients()
