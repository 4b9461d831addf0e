"""Framework name -> network. The frameworks are imported only when one is asked for."""

import functools

import numpy as np

from mnist_core.arrays import IMAGE_SHAPE, Shape, Weights
from mnist_core.models import Framework
from mnist_core.networks.architectures import Architecture, has_convolutions
from mnist_core.networks.classifier import Classifier


def build_classifier(
    framework: Framework,
    architecture: Architecture,
    *,
    rng: np.random.Generator,
    input_shape: Shape = IMAGE_SHAPE,
    dtype: str = "float32",
    num_threads: int | None = None,
) -> Classifier:
    """Build a network with fresh weights drawn from `rng`: He normal before ReLU, Glorot uniform before the softmax.

    Args:
        framework: "numpy" or "tensorflow".
        architecture: the layers.
        rng: source of the initial weights.
        input_shape: (height, width, channels) of one image.
        dtype: "float32" or "float64", of the weights and of all arithmetic.
        num_threads: for NumPy's networks with convolutions, which then compute the same bytes on any number, only
            faster on more; by default OMP_NUM_THREADS or all cores. The others leave threads to BLAS or TensorFlow,
            which add in another order on another number of them.
    """
    if framework == "tensorflow":
        from mnist_core.tensorflow_nn.classifier import TensorFlowClassifier

        return TensorFlowClassifier(architecture, rng=rng, input_shape=input_shape, dtype=dtype)
    from mnist_core.numpy_nn.classifier import NumPyClassifier

    return NumPyClassifier(architecture, rng=rng, input_shape=input_shape, dtype=dtype, num_threads=num_threads)


def loaded_classifier(
    framework: Framework, architecture: Architecture, weights: Weights, *, num_threads: int | None = None
) -> Classifier:
    """Return a network with these weights; the next call may give the same object with other weights.

    Args:
        framework: "numpy" or "tensorflow".
        architecture: the layers.
        weights: named and shaped as `architectures.parameter_shapes` says.
        num_threads: see `build_classifier`.

    Raises:
        ValueError: the layers do not end in ten logits, or the weights do not fit them.
    """
    uses_threads = framework == "numpy" and has_convolutions(architecture)
    classifier = _kept_classifier(framework, architecture, num_threads if uses_threads else None)
    classifier.set_weights(weights)
    return classifier


@functools.lru_cache(maxsize=1)
def _kept_classifier(framework: Framework, architecture: Architecture, num_threads: int | None) -> Classifier:
    # Kept, because TensorFlow compiles a graph for each, and both frameworks keep the images in a form of their own.
    return build_classifier(framework, architecture, rng=np.random.default_rng(0), num_threads=num_threads)
