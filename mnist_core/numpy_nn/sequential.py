"""Layers in a row: forward from the first to the last, backward from the last to the first."""

import functools
from collections.abc import Sequence
from typing import TypeAlias

from mnist_core.arrays import Array, Weights
from mnist_core.numpy_nn import layers
from mnist_core.numpy_nn.pixels import DenseOnLeadingColumns

NamedLayer: TypeAlias = tuple[str, layers.Layer]


class Network:
    """Layers in a row, each with the name whose parameters it uses ("" for those without)."""

    def __init__(self, named_layers: Sequence[NamedLayer]) -> None:
        self._named_layers = named_layers

    def forward(self, images: Array) -> Array:
        """Return the logits (N, classes) of images (N, H, W, C) or, for a first dense layer, of their sorted pixels."""
        outputs = images
        for _, layer in self._named_layers:
            outputs = layer.forward(outputs)
        return outputs

    def predict(self, images: Array) -> Array:
        """Return what `forward` returns, without remembering what only a backward pass needs."""
        outputs = images
        for _, layer in self._named_layers:
            outputs = (layer.predict if isinstance(layer, layers.PredictingLayer) else layer.forward)(outputs)
        return outputs

    def backward(self, grad_logits: Array) -> Array:
        """Fill every layer's gradients and return the gradient with respect to the images of the last `forward`."""
        gradient = grad_logits
        for _, layer in reversed(self._named_layers):
            gradient = layer.backward(gradient)
        return gradient

    def backward_parameters(self, grad_logits: Array) -> None:
        """Fill every layer's gradients; stop at the first layer that has parameters."""
        gradient = grad_logits
        for _, layer in reversed(self._named_layers[self._first_trained + 1 :]):
            gradient = layer.backward(gradient)
        first = self._named_layers[self._first_trained][1]
        assert isinstance(first, layers.TrainableLayer)
        first.backward_parameters(gradient)

    @functools.cached_property
    def _first_trained(self) -> int:
        return next(
            index for index, (_, layer) in enumerate(self._named_layers) if isinstance(layer, layers.TrainableLayer)
        )

    @property
    def leading_columns_kernel(self) -> str | None:
        """The name of the kernel of the first layer with parameters if that is a `DenseOnLeadingColumns`."""
        name, first = self._named_layers[self._first_trained]
        return f"{name}.kernel" if isinstance(first, DenseOnLeadingColumns) else None

    def gradients(self) -> Weights:
        """Return the gradients of the last backward pass as "<layer>.kernel" and "<layer>.bias"."""
        return {
            f"{name}.{kind}": gradient
            for name, layer in self._named_layers
            for kind, gradient in layer.gradients.items()
        }
