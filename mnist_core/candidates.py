"""What the search finds and training uses: a learning rate with a number of epochs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from mnist_core.files import read_record


class Candidate(BaseModel, frozen=True):
    """A learning rate, a number of epochs, and the validation error (percent) that the search had with them."""

    learning_rate: PositiveFloat
    epochs: PositiveInt
    validation_error: NonNegativeFloat


def rank(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Sort by validation error; of equal ones those with fewer epochs come first, then those with the larger rate."""
    return sorted(candidates, key=lambda found: (found.validation_error, found.epochs, -found.learning_rate))


class _SearchRecord(BaseModel):
    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1)]


def read_candidates(path: Path) -> tuple[Candidate, ...]:
    """Return what a search found, the best first, from the file that stage search writes.

    Raises:
        UserError: the file is missing or damaged.
    """
    return read_record(path, _SearchRecord, "run the search first (dvc repro)").candidates


def read_choice(path: Path) -> Candidate:
    """Return what a model was trained with, from the file that stage train writes.

    Raises:
        UserError: the file is missing or damaged.
    """
    return read_record(path, Candidate, "train the model first (dvc repro)")
