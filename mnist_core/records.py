"""What one stage writes and another reads: the keys and columns of the small files in metrics/, plots/ and data/."""

from pydantic import BaseModel

ERROR_KEYS = ("train_error", "train_error_std", "test_error", "test_error_std")
SEARCH_KEYS = ("model", "learning_rate", "epochs", "validation_error", "trials")
CURVE_COLUMNS = ("epoch", *ERROR_KEYS)
CONFUSION_COLUMNS = ("actual", "predicted", "count")

INTERVAL_COLUMNS = ("model", "test_error", "low", "high")
COMPARISON_COLUMNS = (
    *("model", "other", "difference", "low", "high", "only_model_wrong", "only_other_wrong", "p_value", "p_holm"),
    "verdict",
)


class ComparisonRule(BaseModel, frozen=True):
    """How sure to be, how often seeds and images are drawn again, and which difference (points) is the least to matter.

    The last is a choice, made before any interval was seen: 0.2 points are 20 of 10,000 images.
    """

    confidence: float
    num_resamples: int
    smallest_difference: float


class ReliabilityBin(BaseModel, frozen=True):
    """Predictions of about the same confidence: how many, how sure they were, and how many were right (fractions)."""

    low: float
    high: float
    count: int
    confidence: float | None  # means; None in an empty bin
    accuracy: float | None


class ModelDetails(BaseModel, frozen=True):
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


class Details(BaseModel, frozen=True):
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
