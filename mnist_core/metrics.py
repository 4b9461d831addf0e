"""Scores of predictions, in NumPy only."""

from collections.abc import Sequence

import numpy as np

from mnist_core.arrays import Array


def error_rate(predictions: Array, labels: Array) -> float:
    """Return the fraction of predictions that differ from the labels, both integers (N,)."""
    return float(np.mean(predictions != labels))


def is_constant(predictions: Array) -> bool:
    """Return whether all predictions (N,) are the same."""
    return bool((predictions == predictions[0]).all())


def confusion_matrix(predictions: Array, labels: Array, *, num_classes: int) -> Array:
    """Count the pairs (label, prediction): int64 (num_classes, num_classes), rows true, columns predicted."""
    counts = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def cross_entropy(logits: Array, labels: Array) -> float:
    """Return the mean of -log softmax(logits)[label] in nats: logits (N, classes), labels integers (N,)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    return float(np.mean(log_sums - shifted[np.arange(len(labels)), labels], dtype=np.float64))


def softmax(logits: Array) -> Array:
    """Return probabilities exp(z_i) / sum_j exp(z_j) along the last axis; the maximum is subtracted first.

    The subtraction cancels in the ratio and keeps exp from overflowing (Goodfellow et al., Deep Learning, 2016, 4.1).
    """
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Array = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


PERCENT_DECIMALS = 4


def percent(fraction: float) -> float:
    """Return a fraction as percent, rounded so that files stay stable and diffs readable."""
    return round(100 * float(fraction), PERCENT_DECIMALS)


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the sample standard deviation (n - 1); one value has deviation 0."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
