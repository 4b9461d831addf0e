"""Framework name -> network. The frameworks are imported only when one is asked for."""

from mnist_core.arrays import IMAGE_SHAPE, Shape, Weights
from mnist_core.models import Framework
from mnist_core.networks.architectures import Architecture
from mnist_core.networks.classifier import Classifier


def build_classifier(
    framework: Framework,
    architecture: Architecture,
    weights: Weights,
    *,
    input_shape: Shape = IMAGE_SHAPE,
    dtype: str = "float32",
    num_threads: int | None = None,
    fast: bool = True,
) -> Classifier:
    """Build a network that starts from a copy of these weights; fresh ones come from `initializers.initial_weights`.

    Args:
        framework: "numpy" or "tensorflow".
        architecture: the layers.
        weights: named and shaped as `architectures.parameter_shapes` says.
        input_shape: (height, width, channels) of one image.
        dtype: "float32" or "float64", of the weights and of all arithmetic.
        num_threads: for NumPy's networks with convolutions, which then compute the same bytes on any number, only
            faster on more; by default OMP_NUM_THREADS or all cores. The others leave threads to BLAS or TensorFlow,
            which add in another order on another number of them.
        fast: for NumPy: false takes the readable layers alone, see `numpy_nn.build.build_network`.

    Raises:
        ValueError: the layers do not end in ten logits, or the weights do not fit them.
    """
    if framework == "tensorflow":
        from mnist_core.tensorflow_nn.classifier import TensorFlowClassifier

        return TensorFlowClassifier(architecture, weights, input_shape=input_shape, dtype=dtype)
    from mnist_core.numpy_nn.classifier import NumPyClassifier

    return NumPyClassifier(
        architecture, weights, input_shape=input_shape, dtype=dtype, num_threads=num_threads, fast=fast
    )
