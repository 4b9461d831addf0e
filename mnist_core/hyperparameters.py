"""The value object of hyperparameters: everything but the network, the data and the seed that decides a training."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from mnist_core.files.reading import Record

Schedule: TypeAlias = Literal["constant", "cosine"]

MAX_SHIFT = 4  # pixels; the digits of MNIST have about so many black ones around them


class Hyperparameters(Record):
    """How a network learns. Whatever is not said is as in the 2017 report: plain stochastic gradient descent.

    Attributes:
        learning_rate: of the first step.
        epochs: passes over the training images; a schedule ends with the last of them.
        batch_size: images a step; None leaves it to the model.
        momentum: of Nesterov's kind; 0 is none.
        weight_decay: added to the gradient of a kernel, times the kernel; biases do not decay.
        schedule: "constant", or "cosine" from the learning rate down to 0, anew at every step.
        shift: each image is moved by up to so many pixels, up or down and left or right, anew in every epoch.
    """

    learning_rate: PositiveFloat
    epochs: PositiveInt
    batch_size: PositiveInt | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: NonNegativeFloat = 0.0
    schedule: Schedule = "constant"
    shift: Annotated[int, Field(ge=0, le=MAX_SHIFT)] = 0

    @property
    def is_plain(self) -> bool:
        """Whether a step remembers nothing of the steps before."""
        return self.momentum == 0 and self.weight_decay == 0
