"""Scores of predictions, in NumPy only."""

import numpy as np

from mnist_core.classifier import Array


def error_rate(predictions: Array, labels: Array) -> float:
    """Return the fraction of predictions that differ from the labels, both integers (N,)."""
    return float(np.mean(predictions != labels))


def confusion_matrix(predictions: Array, labels: Array, *, num_classes: int) -> Array:
    """Count the pairs (label, prediction): int64 (num_classes, num_classes), rows true, columns predicted."""
    counts = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts
