"""What one stage writes and another reads: the keys and columns of the small files in metrics/, plots/ and data/.

A file that lacks a key, has one too many, or holds NaN, an infinity or an impossible number is refused in one line.
Errors are percent.
"""

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from mnist_core.arrays import NUM_CLASSES, Array
from mnist_core.candidates import Candidate, Percent
from mnist_core.errors import UserError
from mnist_core.files.reading import REMEDY, Record, read_csv, read_record
from mnist_core.models import ALL_MODELS, MODELS, TUNED

ERROR_KEYS = ("train_error", "train_error_std", "test_error", "test_error_std")
CURVE_COLUMNS = ("epoch", *ERROR_KEYS)
TRIAL_COLUMNS = ("learning_rate", "epoch", "validation_error")
INTERVAL_NUMBERS = ("test_error", "low", "high")
COMPARISON_NUMBERS = ("difference", "low", "high", "only_model_wrong", "only_other_wrong", "p_value", "p_holm")
COMPARISON_TEXTS = ("model", "other", "verdict")


class Scores(Candidate):
    """data/scores/<model>.json: what a model was trained with, and its scores over the seeds."""

    train_error: Percent
    train_error_std: Percent
    test_error: Percent
    test_error_std: Percent
    final_validation_error: Percent
    final_validation_error_std: Percent
    negative_log_likelihood: NonNegativeFloat
    brier_score: NonNegativeFloat
    expected_calibration_error: Percent


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

    same_start: bool
    logit_difference: dict[str, NonNegativeFloat]
    logit_difference_float64: dict[str, NonNegativeFloat]
    logit_difference_momentum_float64: dict[str, NonNegativeFloat]
    logit_difference_one_rounding: dict[str, NonNegativeFloat]
    largest_error_gap: NonNegativeFloat
    cross_loaded: CrossLoaded


class ComparisonRule(Record, strict=False):
    """How sure to be, how often seeds and images are drawn again, and which difference (points) is the least to matter.

    The last is a choice, made before any interval was seen: 0.2 points are 20 of 10,000 images.
    """

    confidence: float
    num_resamples: int
    smallest_difference: float


class ReliabilityBin(Record, strict=False):
    """Predictions of about the same confidence: how many, how sure they were, and how many were right (fractions)."""

    low: float
    high: float
    count: int
    confidence: float | None  # means; None in an empty bin
    accuracy: float | None


class ModelDetails(Record, strict=False):
    """What one model's predictions show beyond its error. Errors in percent, means over seeds.

    Attributes:
        first_half_error: test error on the first half of the test images; None where the halves mean nothing.
        second_half_error: on the second half.
        error_without_disputed: test error without the images whose labels are disputed; None where they are not known.
        validation_error: the search's minimum.
        final_validation_error: of the final models.
        optimism: final minus minimum (points).
        precision: by class, percent of the predictions of this class that are right; None if there are none.
        recall: by class, percent of the images of this class that are found; None if there are none.
        reliability: of all seeds' predictions together.
    """

    first_half_error: float | None
    second_half_error: float | None
    error_without_disputed: float | None
    validation_error: float
    final_validation_error: float
    optimism: float
    precision: tuple[float | None, ...]
    recall: tuple[float | None, ...]
    reliability: tuple[ReliabilityBin, ...]


class Details(Record, strict=False):
    """The content of metrics/details.json: what was compared, by which rule, and the models.

    Attributes:
        seeds: those of the final training; McNemar's test takes the first.
        num_images: in the test split.
        rule: of the comparison.
        disputed_images: indices (from 0) into the test images; empty where none are known.
        models: by name.
    """

    seeds: tuple[int, ...]
    num_images: int
    rule: ComparisonRule
    disputed_images: tuple[int, ...]
    models: dict[str, ModelDetails]


def read_scores(path: Path) -> Scores:
    """Read data/scores/<model>.json; UserError if it is missing or damaged, as in all readers here."""
    return read_record(path, Scores)


def read_summary(path: Path) -> dict[str, Scores]:
    """Read the scores of the eight models by name, and of those of the tuned protocol, from metrics/summary.json."""
    summary = read_record(path, dict[str, Scores])
    if not set(MODELS) <= set(summary) <= set(ALL_MODELS):
        raise UserError(f"{path}: holds {', '.join(summary) or 'no model'} instead of {', '.join(MODELS)}; {REMEDY}")
    return summary


def evaluated_models(scores: Path) -> list[str]:
    """Return the eight models, and those of the tuned protocol that have been evaluated: `make tuned` may come later.

    Args:
        scores: directory with <model>.json of each.
    """
    return [*MODELS, *(model for model in TUNED if (scores / f"{model}.json").exists())]


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
