"""What the search finds and training uses: a learning rate with a number of epochs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from mnist_core.errors import UserError
from mnist_core.files import read_record


class Candidate(BaseModel, frozen=True):
    """A learning rate, a number of epochs, and the validation error (percent) that the search had with them."""

    learning_rate: Annotated[PositiveFloat, Field(allow_inf_nan=False)]
    epochs: PositiveInt
    validation_error: Annotated[NonNegativeFloat, Field(allow_inf_nan=False)]


def rank(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Sort by validation error; of equal ones those with fewer epochs come first, then those with the larger rate."""
    return sorted(candidates, key=lambda found: (found.validation_error, found.epochs, -found.learning_rate))


class _SearchRecord(BaseModel):
    model: str
    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1)]


class _Choice(Candidate, frozen=True):
    model: str


def read_candidates(path: Path, model: str) -> tuple[Candidate, ...]:
    """Return what a model's search found, the best first, from the file that stage search writes.

    Raises:
        UserError: the file is missing, damaged, or another model's.
    """
    remedy = "run the search first (dvc repro)"
    record = read_record(path, _SearchRecord, remedy)
    _check_model(path, record.model, model, remedy)
    return record.candidates


def read_choice(path: Path, model: str) -> Candidate:
    """Return what a model was trained with, from the file that stage train writes.

    Raises:
        UserError: the file is missing, damaged, or another model's.
    """
    remedy = "train the model first (dvc repro)"
    choice = read_record(path, _Choice, remedy)
    _check_model(path, choice.model, model, remedy)
    return Candidate(**choice.model_dump(exclude={"model"}))


def _check_model(path: Path, found: str, expected: str, remedy: str) -> None:
    if found != expected:
        raise UserError(f"{path}: it is about model {found}, not {expected}; {remedy}")
