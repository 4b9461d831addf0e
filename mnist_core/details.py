"""What a model's predictions show beyond its error: where the test set is uneven, and which labels are disputed."""

import numpy as np

from mnist_core.arrays import Array
from mnist_core.calibration import precision_and_recall, reliability_bins
from mnist_core.metrics import percent
from mnist_core.records import ModelDetails

DISPUTED_MNIST_TEST_IMAGES = (
    *(947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729),
)
"""Indices (from 0) of the test images of MNIST whose labels most people reject.

Northcutt, Athalye and Mueller, "Pervasive label errors in test sets destabilize machine learning benchmarks", 2021.
"""

_WHOLE_TEST_SET = 10_000


def disputed_images(dataset: str, num_images: int) -> tuple[int, ...]:
    """Return the places of the disputed images; none of another data set, or of a slice, whose places are others."""
    return DISPUTED_MNIST_TEST_IMAGES if dataset == "mnist" and num_images == _WHOLE_TEST_SET else ()


def model_details(
    probabilities: Array, labels: Array, *, dataset: str, validation_error: float, final_validation_error: float
) -> ModelDetails:
    """Describe one model.

    The first 5,000 test images of MNIST were written by students, the last 5,000 by census employees (Yadav and
    Bottou, "Cold case: the lost MNIST digits", 2019), who write more clearly. A slice has images of both halves, in
    the same order.

    Args:
        probabilities: float32 (S, N, 10), of S seeds.
        labels: integers (N,).
        dataset: "mnist" or "fashion_mnist", which has no such halves.
        validation_error: the search's minimum (percent).
        final_validation_error: of the final models (percent).
    """
    wrong = probabilities.argmax(axis=-1) != labels  # (S, N)
    first, second = np.array_split(wrong, 2, axis=1)
    has_halves = dataset == "mnist" and wrong.shape[1] > 1
    disputed = disputed_images(dataset, len(labels))
    undisputed = np.delete(wrong, disputed, axis=1)
    precision, recall = precision_and_recall(probabilities, labels)
    return ModelDetails(
        first_half_error=percent(first.mean()) if has_halves else None,
        second_half_error=percent(second.mean()) if has_halves else None,
        error_without_disputed=percent(undisputed.mean()) if disputed else None,
        validation_error=validation_error,
        final_validation_error=final_validation_error,
        optimism=round(final_validation_error - validation_error, 4),
        precision=precision,
        recall=recall,
        reliability=reliability_bins(probabilities, labels),
    )
