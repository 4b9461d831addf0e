"""Framework name -> network. The frameworks are imported only when one is asked for."""

from typing import Literal, TypeAlias

import numpy as np

from mnist_core.architectures import IMAGE_SHAPE, Architecture, Shape
from mnist_core.classifier import Classifier

Framework: TypeAlias = Literal["tensorflow", "numpy"]

_FRAMEWORKS: dict[str, Framework] = {"1": "tensorflow", "2": "numpy"}
MODELS: dict[str, tuple[Framework, str]] = {
    f"{number}{letter}": (framework, letter) for number, framework in _FRAMEWORKS.items() for letter in "abcd"
}
"""Model name of the report -> (framework, letter of its architecture)."""


def build_classifier(
    framework: Framework,
    architecture: Architecture,
    *,
    rng: np.random.Generator,
    input_shape: Shape = IMAGE_SHAPE,
    dtype: str = "float32",
) -> Classifier:
    """Build a network with fresh weights drawn from `rng`: He normal before ReLU, Glorot uniform before the softmax.

    Args:
        framework: "numpy" or "tensorflow".
        architecture: the layers.
        rng: source of the initial weights.
        input_shape: (height, width, channels) of one image.
        dtype: "float32" or "float64", of the weights and of all arithmetic.
    """
    if framework == "tensorflow":
        from mnist_core.tensorflow_nn.network import TensorFlowClassifier

        return TensorFlowClassifier(architecture, rng=rng, input_shape=input_shape, dtype=dtype)
    from mnist_core.numpy_nn.network import NumPyClassifier

    return NumPyClassifier(architecture, rng=rng, input_shape=input_shape, dtype=dtype)
