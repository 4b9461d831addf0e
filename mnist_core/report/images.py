"""What the page shows as pictures of pixels: the images that a network gets wrong, and the weights of first layers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnist_core.arrays import IMAGE_SHAPE, Array, Weights
from mnist_core.data.dataset import load_bytes, load_manifest
from mnist_core.models import framework_and_letter
from mnist_core.networks.architectures import Architecture, Conv2D, Dense
from mnist_core.networks.model_file import load_model
from mnist_core.records import read_predictions
from mnist_core.report.names import FRAMEWORK_NAMES
from mnist_core.report.sections import ReportSources, describe_layer
from mnist_core.report.svg import png_uri

_MAX_MISTAKES = 60
_MAX_MAPS = 16


@dataclass(frozen=True)
class Mistake:
    """A test image that a network gets wrong; label and prediction are places among the classes."""

    index: int  # in the test set, from 0
    image: str
    label: int
    prediction: int
    probabilities: list[float]
    disputed: bool


@dataclass(frozen=True)
class Gallery:
    """Some of a network's mistakes."""

    mistakes: list[Mistake]
    num_wrong: int
    num_images: int


def gallery(sources: ReportSources, model: str, disputed: Sequence[int] = ()) -> Gallery:
    """Return the test images that the network of the first seed gets wrong, the surest first.

    Args:
        sources: the files.
        model: its name.
        disputed: places of the test images whose labels most people reject.
    """
    images, labels = load_bytes(sources.prepared, "test")
    data_sha256 = load_manifest(sources.prepared).sha256
    path = sources.predictions / f"{model}.npz"
    _, (probabilities, *_) = read_predictions(path, model, data_sha256, num_images=len(labels))
    predictions = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    surest_first = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
    mistakes = [
        Mistake(
            index=int(index),
            image=png_uri(images[index]),
            label=int(labels[index]),
            prediction=int(predictions[index]),
            probabilities=probabilities[index].tolist(),
            disputed=int(index) in disputed,
        )
        for index in surest_first[:_MAX_MISTAKES]
    ]
    return Gallery(mistakes, len(wrong), len(images))


@dataclass(frozen=True)
class FirstLayer:
    """Maps of the weights that read the image, as (name, data URI), or the reason why there are none."""

    model: str
    framework: str
    maps: list[tuple[str, str]]
    num_maps: int
    limit: float  # the weight that has the strongest colour
    size: int
    reason: str


def first_layer(model: str, sources: ReportSources, seed: int, classes: Sequence[str]) -> FirstLayer:
    """Return pictures of the weights that read the image; the outputs of a network of one layer are its classes."""
    expected = {"model": model, "seed": seed, "data_sha256": load_manifest(sources.prepared).sha256}
    architecture, weights = load_model(sources.models / model / f"seed_{seed}.npz", expected)
    framework = FRAMEWORK_NAMES[framework_and_letter(model)[0]]
    kernels = first_layer_kernels(architecture, weights)
    if kernels is None:
        reason = f"Its first layer is {describe_layer(architecture[0])}, which has no weights to show."
        return FirstLayer(model, framework, [], 0, 0.0, 0, reason)
    shown = kernels[:_MAX_MAPS]
    # A few extreme weights would leave all others pale.
    limit = float(np.quantile(np.abs(shown), 0.995)) or 1.0
    if len(architecture) == 1:
        names = [f"class {name}" if name.isdigit() else name for name in classes]
    else:
        noun = "filter" if isinstance(architecture[0], Conv2D) else "unit"
        names = [f"{noun} {number}" for number in range(1, len(shown) + 1)]
    maps = [(name, png_uri(kernel, limit=limit)) for name, kernel in zip(names, shown, strict=True)]
    return FirstLayer(model, framework, maps, len(kernels), limit, kernels.shape[1], "")


def first_layer_kernels(architecture: Architecture, weights: Weights) -> Array | None:
    """Return the weights that read the image, one map an output: (outputs, height, width).

    A dense layer's map has the image's 28 x 28 pixels, a convolution's the size of its kernel. None if the first layer
    has no weights.
    """
    layer = architecture[0]
    if not isinstance(layer, Dense | Conv2D):
        return None
    kernel = weights[next(iter(weights))]
    if isinstance(layer, Dense):
        maps: Array = kernel.T.reshape(layer.units, *IMAGE_SHAPE[:2])
    else:
        maps = kernel[:, :, 0, :].transpose(2, 0, 1)
    return maps
