"""The same network five times: ours in NumPy and TensorFlow, and as users of other libraries would write it.

Each contender trains by plain SGD on the mean loss of shuffled batches in float32, and is built in a process of its
own (see worker.py), so each imports its library inside its builder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Array
from mnist_core.models import Framework
from mnist_core.networks.architectures import (
    Architecture,
    Convolution,
    Dense,
    Flatten,
    Linear,
    MaxPooling,
    ReLU,
    operations,
)
from mnist_core.networks.initializers import initial_weights
from mnist_core.registry import build_classifier

BATCH_SIZE = 200
LEARNING_RATE = 0.1  # every architecture stays finite; the numbers trained play no part
GEMM_SIZE = 2048
GEMM_PRODUCTS = 5


class SkippedError(Exception):
    """This contender cannot run here; the message says why."""


@dataclass(frozen=True)
class Contender:
    """What the worker times: one epoch of training, and the logits or probabilities of all images."""

    train_epoch: Callable[[], object]
    predict: Callable[[], object]
    versions: dict[str, str]


def build(contender: str, architecture: Architecture, images: Array, labels: Array, threads: int) -> Contender:
    """Build a contender by its name in `BUILDERS`.

    Args:
        contender: its name.
        architecture: the network.
        images: float32 (N, 28, 28, 1) in [0, 1].
        labels: int64 (N,).
        threads: threads it may use; the environment's variables say the same.

    Raises:
        SkippedError: its library is not installed, or has no such network.
    """
    return BUILDERS[contender](architecture, images, labels, threads)


def _ours(framework: Framework, architecture: Architecture, images: Array, labels: Array) -> Contender:
    rng = np.random.default_rng(0)
    network = build_classifier(framework, architecture, initial_weights(architecture, rng=rng))

    def train_epoch() -> float:
        order = rng.permutation(len(images))
        return network.train_epoch(images, labels, order, batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE)

    return Contender(train_epoch, lambda: network.predict_logits(images), {"numpy": np.__version__})


def _numpy(architecture: Architecture, images: Array, labels: Array, threads: int) -> Contender:
    return _ours("numpy", architecture, images, labels)


def _tensorflow(architecture: Architecture, images: Array, labels: Array, threads: int) -> Contender:
    contender = _ours("tensorflow", architecture, images, labels)
    import tensorflow as tf

    return Contender(contender.train_epoch, contender.predict, {"tensorflow": tf.__version__})


def keras_model(architecture: Architecture) -> Any:
    """Return the network as a compiled `keras.Sequential`, with Keras's defaults where nothing is said."""
    import keras

    model = keras.Sequential([keras.Input(IMAGE_SHAPE)])
    for step in operations(architecture):
        if isinstance(step, Convolution):
            spec = step.spec
            model.add(keras.layers.Conv2D(spec.filters, spec.kernel_size, strides=spec.stride, padding=spec.padding))
        elif isinstance(step, MaxPooling):
            model.add(keras.layers.MaxPooling2D(step.spec.pool_size, step.spec.stride, step.spec.padding))
        elif isinstance(step, Flatten):
            model.add(keras.layers.Flatten())
        elif isinstance(step, Linear):
            model.add(keras.layers.Dense(*step.output_shape))
        elif isinstance(step, ReLU):
            model.add(keras.layers.ReLU())
        else:
            raise TypeError(step)
    model.compile(
        optimizer=keras.optimizers.SGD(LEARNING_RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def _keras_fit(architecture: Architecture, images: Array, labels: Array, threads: int) -> Contender:
    import keras

    model = keras_model(architecture)
    return Contender(
        lambda: model.fit(images, labels, batch_size=BATCH_SIZE, shuffle=True, verbose=0),
        lambda: model.predict(images, batch_size=BATCH_SIZE, verbose=0),
        {"keras": keras.__version__},
    )


def torch_model(architecture: Architecture) -> Any:
    """Return the network as a `torch.nn.Sequential` for images (N, 1, 28, 28).

    Raises:
        SkippedError: PyTorch has no such padding.
    """
    import torch

    layers: list[Any] = []
    for step in operations(architecture):
        if isinstance(step, Convolution):
            spec = step.spec
            if spec.padding == "same" and spec.stride != 1:
                raise SkippedError("PyTorch has no same padding for a convolution with a stride")
            channels = step.input_shape[-1]
            layers.append(torch.nn.Conv2d(channels, spec.filters, spec.kernel_size, spec.stride, padding=spec.padding))
        elif isinstance(step, MaxPooling):
            size, stride, same = step.spec.pool_size, step.spec.stride, step.spec.padding == "same"
            # A ragged last window is cut off at the edge, as "same" padding does for windows of two; larger
            # windows would be padded in front too.
            if same and (size, stride) != (2, 2):
                raise SkippedError("PyTorch pools with same padding only over 2x2 windows with stride 2")
            layers.append(torch.nn.MaxPool2d(size, stride, ceil_mode=same))
        elif isinstance(step, Flatten):
            layers.append(torch.nn.Flatten())
        elif isinstance(step, Linear):
            layers.append(torch.nn.Linear(*step.kernel_shape))
        elif isinstance(step, ReLU):
            layers.append(torch.nn.ReLU())
        else:
            raise TypeError(step)
    return torch.nn.Sequential(*layers)


def _pytorch(architecture: Architecture, images: Array, labels: Array, threads: int) -> Contender:
    try:
        import torch
    except ImportError as error:
        raise SkippedError("PyTorch is not installed (torch==2.13.0)") from error
    torch.set_num_threads(threads)
    model = torch_model(architecture)
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE)
    # One channel: (N, 28, 28, 1) and (N, 1, 28, 28) are the same memory.
    inputs = torch.from_numpy(images).reshape(len(images), 1, *IMAGE_SHAPE[:2])
    targets = torch.from_numpy(labels)

    def train_epoch() -> None:
        for rows in torch.randperm(len(inputs)).split(BATCH_SIZE):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()

    def predict() -> Any:
        with torch.inference_mode():
            return torch.cat([model(batch) for batch in inputs.split(BATCH_SIZE)])

    return Contender(train_epoch, predict, {"torch": torch.__version__})


def _sklearn(architecture: Architecture, images: Array, labels: Array, threads: int) -> Contender:
    try:
        import sklearn
        from sklearn.neural_network import MLPClassifier
    except ImportError as error:
        raise SkippedError("scikit-learn is not installed") from error
    hidden = [layer.units for layer in architecture[:-1] if isinstance(layer, Dense) and layer.activation == "relu"]
    if not hidden or len(hidden) != len(architecture) - 1:
        raise SkippedError("scikit-learn's MLPClassifier has hidden dense layers only")
    model = MLPClassifier(
        hidden,
        activation="relu",
        solver="sgd",
        alpha=0,
        batch_size=BATCH_SIZE,
        learning_rate="constant",
        learning_rate_init=LEARNING_RATE,
        momentum=0,
        nesterovs_momentum=False,
        shuffle=True,
        random_state=0,
    )
    flat = images.reshape(len(images), -1)
    return Contender(
        lambda: model.partial_fit(flat, labels, classes=np.arange(NUM_CLASSES)),  # one pass over the images
        lambda: model.predict_proba(flat),
        {"scikit-learn": sklearn.__version__},
    )


def _gemm(architecture: Architecture, images: Array, labels: Array, threads: int) -> Contender:
    """No network: the large matrix products that NumPy's share of the machine is measured against."""
    rng = np.random.default_rng(0)
    left, right = (rng.random((GEMM_SIZE, GEMM_SIZE), np.float32) for _ in range(2))
    product = np.empty_like(left)

    def multiply() -> None:
        for _ in range(GEMM_PRODUCTS):
            np.matmul(left, right, out=product)

    return Contender(multiply, multiply, {})


BUILDERS: dict[str, Callable[[Architecture, Array, Array, int], Contender]] = {
    "numpy": _numpy,
    "tensorflow": _tensorflow,
    "keras_fit": _keras_fit,
    "pytorch": _pytorch,
    "sklearn": _sklearn,
    "gemm": _gemm,
}
