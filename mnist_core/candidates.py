"""What the search finds and training uses, and how it is read back from JSON."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from mnist_core.files import read_record


class Hyperparameters(BaseModel, frozen=True):
    """A learning rate, a number of epochs, and the validation error (percent) that the search had with them."""

    learning_rate: PositiveFloat
    epochs: PositiveInt
    validation_error: NonNegativeFloat


def rank(pairs: Iterable[Hyperparameters]) -> list[Hyperparameters]:
    """Sort by validation error; of equal ones those with fewer epochs come first, then those with the larger rate."""
    return sorted(pairs, key=lambda pair: (pair.validation_error, pair.epochs, -pair.learning_rate))


class _SearchRecord(BaseModel):
    ranking: Annotated[tuple[Hyperparameters, ...], Field(min_length=1)]


def read_ranking(path: Path) -> tuple[Hyperparameters, ...]:
    """Return what a search found, the best first, from the file that stage search writes.

    Raises:
        UserError: the file is missing or damaged.
    """
    return read_record(path, _SearchRecord, "run the search first (dvc repro)").ranking


def read_hyperparameters(path: Path) -> Hyperparameters:
    """Return those that a model was trained with, from the file that stage train writes.

    Raises:
        UserError: the file is missing or damaged.
    """
    return read_record(path, Hyperparameters, "train the model first (dvc repro)")
