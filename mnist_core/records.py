"""What one stage writes and another reads: the keys and columns of the small files in metrics/, plots/ and data/.

A file that lacks a key, has one too many, or holds NaN, an infinity or an impossible number is refused in one line.
Errors are percent.
"""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic import model_validator as check_together

from mnist_core.arrays import NUM_CLASSES, Array
from mnist_core.errors import UserError
from mnist_core.files import REMEDY, read_csv, read_record
from mnist_core.models import MODELS

ERROR_KEYS = ("train_error", "train_error_std", "test_error", "test_error_std")
CURVE_COLUMNS = ("epoch", *ERROR_KEYS)
TRIAL_COLUMNS = ("learning_rate", "epoch", "validation_error")

FailureWord: TypeAlias = Literal["non-finite", "dead", "collapsed", "spiked"]
"""Why a training came to nothing; `training/divergence.py` says what each word means."""
Percent: TypeAlias = Annotated[float, Field(ge=0, le=100)]


class Record(BaseModel):
    """A JSON object: only the keys named, no number for a string, no NaN and no infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Pair(Record):
    """A learning rate, a number of epochs, and the validation error that the search had with them."""

    learning_rate: PositiveFloat
    epochs: PositiveInt
    validation_error: Percent


class Scores(Pair):
    """metrics/<model>.json: what a model was trained with, and its errors over the seeds."""

    train_error: Percent
    train_error_std: Percent
    test_error: Percent
    test_error_std: Percent


class Trial(Record):
    """One learning rate of a search; a trial that failed has no best epoch."""

    learning_rate: PositiveFloat
    failure: FailureWord | None
    epochs: NonNegativeInt
    best_epoch: PositiveInt | None
    best_validation_error: Percent | None

    @check_together(mode="after")
    def _has_failed_or_has_a_best_epoch(self) -> Self:
        if not (self.failure is None) == (self.best_epoch is not None) == (self.best_validation_error is not None):
            raise ValueError("a trial has either a failure or a best epoch with its validation error")
        return self


class Probe(Record):
    """Whether a network learns in one epoch at a learning rate."""

    learning_rate: PositiveFloat
    learns: bool


class Search(Pair):
    """data/search/<model>.json: the best pair, every pair from the best to the worst, and how they were found."""

    model: str
    candidates: Annotated[list[Pair], Field(min_length=1)]
    trials: Annotated[list[Trial], Field(min_length=1)]
    probes: list[Probe] = []


class FailedPair(Record):
    """A pair that was passed over because training failed with one seed, and in which epoch."""

    learning_rate: PositiveFloat
    epochs: PositiveInt
    seed: int
    failure: FailureWord
    epoch: PositiveInt


class Choice(Pair):
    """data/models/<model>/hyperparameters.json: what a model was trained with, and the pairs passed over before."""

    failures: list[FailedPair]

    def why_not(self, pair: Pair) -> FailedPair | None:
        """Return what speaks against a pair: its own failure, or an earlier one at the same rate."""
        same_rate = [failed for failed in self.failures if failed.learning_rate == pair.learning_rate]
        return next((failed for failed in same_rate if failed.epochs == pair.epochs), next(iter(same_rate), None))


Method: TypeAlias = Literal["finite_difference", "tensorflow", "naive"]
RelativeErrors: TypeAlias = dict[str, dict[str, dict[Method, NonNegativeFloat]]]
"""Layer or network -> tensor -> method -> largest relative error."""


class GradientChecks(Record):
    """metrics/gradients.json."""

    layers: RelativeErrors
    networks: RelativeErrors
    largest: NonNegativeFloat
    tolerance: PositiveFloat


class CrossLoaded(Record):
    """Predictions of weights that one framework saved and the other loaded."""

    predictions: PositiveInt
    disagreements: NonNegativeInt
    near_ties: NonNegativeInt
    unexplained: NonNegativeInt
    logit_difference: NonNegativeFloat
    rounding: NonNegativeFloat


class Twins(Record):
    """metrics/parity.json, of each letter: largest difference of a logit after so many steps, as text."""

    logit_difference: dict[str, NonNegativeFloat]
    logit_difference_float64: dict[str, NonNegativeFloat]
    logit_difference_one_rounding: dict[str, NonNegativeFloat]
    largest_error_gap: NonNegativeFloat
    cross_loaded: CrossLoaded


def read_scores(path: Path) -> Scores:
    """Read metrics/<model>.json; UserError if it is missing or damaged, as in all readers here."""
    return read_record(path, Scores)


def read_summary(path: Path) -> dict[str, Scores]:
    """Read the scores of the eight models by name, from metrics/summary.json."""
    summary = read_record(path, dict[str, Scores])
    if sorted(summary) != sorted(MODELS):
        raise UserError(f"{path}: holds {', '.join(summary) or 'no model'} instead of {', '.join(MODELS)}; {REMEDY}")
    return summary


def read_search(path: Path, model: str) -> Search:
    """Read the record of a model's search."""
    search = read_record(path, Search)
    if search.model != model:
        raise UserError(f"{path}: the search of model {search.model}, not of {model}; {REMEDY}")
    return search


def read_choice(path: Path, search: Search) -> Choice:
    """Read what a model was trained with: one of the pairs of its search."""
    choice = read_record(path, Choice)
    if (choice.learning_rate, choice.epochs) not in [(pair.learning_rate, pair.epochs) for pair in search.candidates]:
        raise UserError(
            f"{path}: learning rate {choice.learning_rate:g} with {choice.epochs} epochs is no pair of the search of"
            f" {search.model}; {REMEDY}"
        )
    return choice


def read_confusion(path: Path) -> Array:
    """Read plots/confusion/<model>.csv as int64 (10, 10): actual classes in rows, predicted ones in columns."""
    frame = read_csv(path, ("actual", "predicted", "count"))
    pairs = frame[["actual", "predicted"]].to_numpy()
    counts = frame["count"].to_numpy()
    every_pair = [[actual, predicted] for actual in range(NUM_CLASSES) for predicted in range(NUM_CLASSES)]
    if sorted(pairs.tolist()) != every_pair or (counts < 0).any() or (counts % 1).any():
        raise UserError(f"{path}: not one count for each pair of the {NUM_CLASSES} classes; {REMEDY}")
    matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
    matrix[tuple(pairs.astype(int).T)] = counts
    return matrix
