"""What one stage writes and another reads: the keys and columns of the files in metrics/, plots/ and data/.

A file that lacks a key, has one too many, or holds NaN, an infinity or an impossible number is refused in one line.
So is what stage evaluate wrote of another model, or on other data, than the one asked for.
Errors are percent.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from mnist_core.arrays import NUM_CLASSES, Array
from mnist_core.candidates import Candidate, Percent
from mnist_core.errors import UserError, printable
from mnist_core.files.arrays import read_arrays
from mnist_core.files.reading import REMEDY, Record, read_csv, read_record, reading
from mnist_core.models import ALL_MODELS, MODELS, tuned

Points: TypeAlias = Annotated[float, Field(ge=-100, le=100)]
"""A difference of percents."""
Deviation: TypeAlias = Annotated[float, Field(ge=0, le=71)]
"""Standard deviation (n - 1) of percents: of 0 and 100 it is 70.7."""
Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Count: TypeAlias = Annotated[int, Field(ge=0, lt=2**31)]
Epoch: TypeAlias = Annotated[int, Field(ge=1, lt=2**31)]
Verdict: TypeAlias = Literal["different", "alike", "undecided"]
_LETTERS = {letter for _, letter in MODELS.values()}

ERROR_KEYS = ("train_error", "train_error_std", "test_error", "test_error_std")

# Columns of the CSV files, each with its values' type.
CURVE_COLUMNS = {"epoch": Epoch, **dict.fromkeys(ERROR_KEYS, Percent)}
TEST_ERROR_COLUMNS = {"model": str, "epoch": Epoch, "test_error": Percent}
PARITY_COLUMNS = {"letter": str, "framework": str, "epoch": Epoch, "test_error": Percent}
TRIAL_COLUMNS = {"learning_rate": PositiveFloat, "epoch": Epoch, "validation_error": Percent}
TUNED_TRIAL_COLUMNS = {"trial": Count, **TRIAL_COLUMNS, "best": Annotated[int, Field(ge=0, le=1)]}
INTERVAL_COLUMNS = {"model": str, "test_error": Percent, "low": Percent, "high": Percent}
COMPARISON_COLUMNS = {
    "model": str,
    "other": str,
    **dict.fromkeys(("difference", "low", "high"), Points),
    **dict.fromkeys(("only_model_wrong", "only_other_wrong"), Count),
    **dict.fromkeys(("p_value", "p_holm"), Probability),
    "verdict": Verdict,
}


class Scores(Candidate):
    """metrics/summary.json, of each model: what it was trained with, and its scores over the seeds."""

    train_error: Percent
    train_error_std: Deviation
    test_error: Percent
    test_error_std: Deviation
    final_validation_error: Percent
    final_validation_error_std: Deviation
    negative_log_likelihood: Annotated[NonNegativeFloat, Field(le=88)]  # `calibration_scores` says why
    brier_score: Annotated[NonNegativeFloat, Field(le=2)]
    expected_calibration_error: Percent


class ModelScores(Scores):
    """data/scores/<model>.json: scores, and whose they are.

    Written as `data.dataset.Dataset.sha256` and `architectures.architecture_to_dicts` say.
    """

    model: str
    data_sha256: str
    architecture: list[dict[str, Any]]
    seeds: list[NonNegativeInt]


Method: TypeAlias = Literal["finite_difference", "tensorflow", "naive"]
_Errors: TypeAlias = Annotated[dict[Method, NonNegativeFloat], Field(min_length=1)]
RelativeErrors: TypeAlias = dict[str, Annotated[dict[str, _Errors], Field(min_length=1)]]
"""Layer or network -> tensor -> method -> largest relative error."""


class GradientChecks(Record):
    """metrics/gradients.json."""

    layers: RelativeErrors
    networks: RelativeErrors
    largest: NonNegativeFloat
    tolerance: PositiveFloat

    @model_validator(mode="after")
    def _passed(self) -> Self:
        if set(self.networks) != _LETTERS:
            raise ValueError(f"networks are not {', '.join(sorted(_LETTERS))}")
        checked = [*self.layers.values(), *self.networks.values()]
        errors = [error for tensors in checked for methods in tensors.values() for error in methods.values()]
        if self.largest != max(errors):
            raise ValueError(f"largest is {self.largest:g}, and the largest error {max(errors):g}")
        if self.largest > float(f"{self.tolerance:.1e}"):  # rounded as the errors are
            raise ValueError(f"largest is {self.largest:g}, above the tolerance {self.tolerance:g}")
        return self


class CrossLoaded(Record):
    """Predictions of weights that one framework saved and the other loaded."""

    predictions: PositiveInt
    disagreements: NonNegativeInt
    near_ties: NonNegativeInt
    unexplained: NonNegativeInt
    logit_difference: NonNegativeFloat
    rounding: NonNegativeFloat

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        explained = self.disagreements - self.unexplained
        if not (0 <= explained <= self.near_ties and max(self.disagreements, self.near_ties) <= self.predictions):
            raise ValueError("predictions, disagreements, near_ties and unexplained do not add up")
        return self


class Twins(Record):
    """metrics/parity.json, of each letter: largest difference of a logit after so many steps, as text."""

    same_start: Literal[True]  # else the rest means nothing
    logit_difference: dict[str, NonNegativeFloat]
    logit_difference_float64: dict[str, NonNegativeFloat]
    logit_difference_momentum_float64: dict[str, NonNegativeFloat]
    logit_difference_one_rounding: dict[str, NonNegativeFloat]
    largest_error_gap: Percent
    cross_loaded: CrossLoaded


class ComparisonRule(Record, strict=False):
    """How sure to be, how often seeds and images are drawn again, and which difference (points) is the least to matter.

    The last is a choice, made before any interval was seen: 0.2 points are 20 of 10,000 images.
    """

    confidence: Annotated[float, Field(gt=0, lt=1)]
    num_resamples: PositiveInt
    smallest_difference: Annotated[float, Field(ge=0, le=100)]


class ReliabilityBin(Record, strict=False):
    """Predictions of about the same confidence: how many, how sure they were, and how many were right (fractions)."""

    low: Probability
    high: Probability
    count: Count
    confidence: Probability | None  # means; None in an empty bin
    accuracy: Probability | None

    @model_validator(mode="after")
    def _within(self) -> Self:
        if {self.confidence is None, self.accuracy is None} != {self.count == 0}:
            raise ValueError("confidence and accuracy are those of a count above 0")
        if self.confidence is not None and not self.low <= self.confidence <= self.high:
            raise ValueError("confidence is not between low and high")
        return self


_OfClasses: TypeAlias = Annotated[tuple[Percent | None, ...], Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)]


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

    first_half_error: Percent | None
    second_half_error: Percent | None
    error_without_disputed: Percent | None
    validation_error: Percent
    final_validation_error: Percent
    optimism: Points
    precision: _OfClasses
    recall: _OfClasses
    reliability: Annotated[tuple[ReliabilityBin, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.optimism != round(self.final_validation_error - self.validation_error, 4):
            raise ValueError("optimism is not final_validation_error minus validation_error")
        lows, highs = [place.low for place in self.reliability], [place.high for place in self.reliability]
        if [*lows, 1] != [0, *highs]:
            raise ValueError("the bins of reliability are not side by side from 0 to 1")
        return self


class Details(Record, strict=False):
    """The content of metrics/details.json: what was compared, by which rule, and the models.

    Attributes:
        seeds: those of the final training; McNemar's test takes the first.
        num_images: in the test split.
        rule: of the comparison.
        disputed_images: indices (from 0) into the test images; empty where none are known.
        models: by name.
    """

    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]
    num_images: PositiveInt
    rule: ComparisonRule
    disputed_images: tuple[NonNegativeInt, ...]
    models: dict[str, ModelDetails]

    @model_validator(mode="after")
    def _within(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds do not differ from each other")
        if self.disputed_images and max(self.disputed_images) >= self.num_images:
            raise ValueError("disputed_images are not within num_images")
        return self


def read_scores(path: Path, model: str, data_sha256: str) -> ModelScores:
    """Read data/scores/<model>.json; `data_sha256` is that of the prepared data.

    Raises:
        UserError: it is missing or damaged, as in all readers here, or of another model or other data.
    """
    scores = read_record(path, ModelScores)
    _check_origin(path, (scores.model, scores.data_sha256), (model, data_sha256))
    return scores


def read_predictions(path: Path, model: str, data_sha256: str, *, num_images: int) -> tuple[tuple[int, ...], Array]:
    """Read data/predictions/<model>.npz: model and data_sha256 (UTF-8), probabilities and seeds.

    Args:
        path: the file.
        model: whose predictions they must be.
        data_sha256: of the prepared data.
        num_images: N, of the prepared test images.

    Returns:
        The seeds, S of them and all different, and what the model predicts with each: float32 (S, N, 10), each row
        from 0 to 1 with sum 1.

    Raises:
        UserError: the file is missing, damaged, or of another model or other data.
    """
    arrays = read_arrays(path)
    for name in ("model", "data_sha256", "probabilities", "seeds"):
        if name not in arrays:
            raise UserError(f"{path}: no array {name}; {REMEDY}")
    with reading(path, "predictions of a model"):  # not str(array), a SystemError if its letters are no Unicode
        found = arrays["model"].tobytes().decode(), arrays["data_sha256"].tobytes().decode()
    _check_origin(path, found, (model, data_sha256))
    probabilities, seeds = arrays["probabilities"], arrays["seeds"]
    wanted = (seeds.size, num_images, NUM_CLASSES)
    if probabilities.shape != wanted or seeds.ndim != 1 or not seeds.size:
        raise UserError(f"{path}: probabilities have the shape {probabilities.shape}, not {wanted}; {REMEDY}")
    is_float = probabilities.dtype == np.float32
    if not is_float or not (probabilities >= 0).all() or (abs(probabilities.sum(axis=-1) - 1) > _ROUNDING).any():
        raise UserError(f"{path}: its probabilities are not float32 from 0 to 1 with sum 1; {REMEDY}")
    if seeds.dtype != np.int64 or (seeds < 0).any() or len(np.unique(seeds)) < seeds.size:
        raise UserError(f"{path}: its seeds are not int64 from 0 on, all different; {REMEDY}")
    return tuple(seeds.tolist()), probabilities


_ROUNDING = 1e-3  # of a sum of ten probabilities, many times what float32 does


def is_near(percent: float, other: float, num_images: int) -> bool:
    """Return whether two errors (percent) are the same of so many images, but for near ties."""
    return abs(percent - other) * num_images / 100 < _NEAR_TIES + 0.5  # whole numbers of images, but for rounding


_NEAR_TIES = 2
"""Test images about which a network may change its mind between training and scoring: sums are added up in another
order on another number of threads."""


def _check_origin(path: Path, found: tuple[str, str], wanted: tuple[str, str]) -> None:
    """Refuse a file whose model and data_sha256 are not those that were asked for."""
    for name, own, other in zip(("model", "data_sha256"), found, wanted, strict=True):
        if own != other:
            raise UserError(f"{path}: it is of {name} {printable(own, 64)}, not {other}; {REMEDY}")


def read_summary(path: Path) -> dict[str, Scores]:
    """Read the scores of the eight models by name, and of those of the tuned protocol, from metrics/summary.json."""
    summary = read_record(path, dict[str, Scores])
    _check_names(path, summary, MODELS, ALL_MODELS)
    return summary


def read_details(path: Path) -> Details:
    """Read metrics/details.json, which has the eight models and maybe those of the tuned protocol."""
    details = read_record(path, Details)
    _check_names(path, details.models, MODELS, ALL_MODELS)
    return details


def read_twins(path: Path) -> dict[str, Twins]:
    """Read metrics/parity.json: letter of an architecture -> its twins, all four letters."""
    twins = read_record(path, dict[str, Twins])
    _check_names(path, twins, sorted(_LETTERS), _LETTERS)
    return twins


def _check_names(path: Path, found: Collection[str], needed: Collection[str], allowed: Collection[str]) -> None:
    """Refuse a file that lacks one of the names that later stages look up, or has one that they do not know."""
    if not set(needed) <= set(found) <= set(allowed):
        names = printable(", ".join(found)) or "no model"
        raise UserError(f"{path}: holds {names} instead of {', '.join(needed)}; {REMEDY}")


def evaluated_models(scores: Path) -> list[str]:
    """Return the eight models, and those of the tuned protocol that can stand beside them.

    `make tuned` may come later, and what it left in this directory may be of other images, layers or seeds.
    """
    found = list(MODELS)
    for model in MODELS:
        path = scores / f"{tuned(model)}.json"
        if path.exists() and _made_with(path) == _made_with(scores / f"{model}.json"):
            found.append(tuned(model))
    return found


def _made_with(path: Path) -> tuple[object, ...]:
    scores = read_record(path, ModelScores)
    return scores.data_sha256, scores.architecture, scores.seeds


def read_confusion(path: Path) -> Array:
    """Read plots/confusion/<model>.csv as int64 (10, 10): actual classes in rows, predicted ones in columns."""
    frame = read_csv(path, ("actual", "predicted", "count"))
    pairs = frame[["actual", "predicted"]].to_numpy()
    counts = frame["count"].to_numpy()
    every_pair = [[actual, predicted] for actual in range(NUM_CLASSES) for predicted in range(NUM_CLASSES)]
    are_counts = ((counts >= 0) & (counts < 2**31) & (counts % 1 == 0)).all()  # of images
    if sorted(pairs.tolist()) != every_pair or not are_counts:
        raise UserError(f"{path}: not one count for each pair of the {NUM_CLASSES} classes; {REMEDY}")
    matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
    matrix[tuple(pairs.astype(int).T)] = counts
    return matrix
