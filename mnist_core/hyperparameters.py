"""What the search finds and training uses, and how it is read back from JSON."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError

from mnist_core.errors import UserError

Record = TypeVar("Record", bound=BaseModel)


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
    return _read(path, _SearchRecord, "run the search first (dvc repro)").ranking


def read_hyperparameters(path: Path) -> Hyperparameters:
    """Return those that a model was trained with, from the file that stage train writes.

    Raises:
        UserError: the file is missing or damaged.
    """
    return _read(path, Hyperparameters, "train the model first (dvc repro)")


def _read(path: Path, kind: type[Record], advice: str) -> Record:
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {advice}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not text; {advice}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise UserError(f"{path}: {place + ': ' if place else ''}{fault['msg']}; {advice}") from error
