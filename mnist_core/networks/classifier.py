"""What the rest of the library needs of a network, whichever framework it is written in.

Both frameworks fulfil this protocol; training, search and evaluation know nothing else of them.
"""

from typing import Protocol

from mnist_core.arrays import Array, Weights
from mnist_core.networks.architectures import Architecture


class Classifier(Protocol):
    """A network that maps images to ten logits and learns by stochastic gradient descent."""

    @property
    def architecture(self) -> Architecture: ...

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
        """Take one gradient step per batch of `order` and return the epoch's mean training loss.

        Args:
            images: float (N, height, width, channels), values in [0, 1]. They are remembered and must not change,
                unless `order` is None.
            labels: integers (N,), values 0 to 9.
            order: int64 (M,), the rows to visit; batches are consecutive slices, the last one may be shorter. None:
                all rows as they lie, for images that will not come again.
            batch_size: examples a step.
            learning_rate: step size of SGD on the mean loss of the batch; one for all steps, or (steps,).
            momentum: of Nesterov's kind, see `numpy_nn.optimizers.NesterovSGD`; 0 is none.
            weight_decay: of kernels, see there.
            velocity: shaped like the weights, changed in place; needed if there is momentum or weight decay.

        Returns:
            The mean over the M examples of the cross-entropy (nats), each measured before its step; not finite if
            training failed.
        """
        ...

    def predict_logits(self, images: Array) -> Array:
        """Return the logits, float (N, 10), of images (N, height, width, channels)."""
        ...

    def loss_and_gradients(self, images: Array, labels: Array) -> tuple[float, Weights]:
        """Return the mean cross-entropy of one batch and its gradients.

        The gradients are keyed like the weights, and "input" holds the gradient with respect to `images`.
        """
        ...

    def get_weights(self) -> Weights:
        """Return copies of the parameters, named and shaped as `architectures.parameter_shapes` says."""
        ...

    def set_weights(self, weights: Weights) -> None:
        """Replace the parameters.

        Raises:
            ValueError: a name or a shape differs from `architectures.parameter_shapes`.
        """
        ...
