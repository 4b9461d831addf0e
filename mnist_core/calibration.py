"""How far a model's probabilities can be believed, and how well it does with each class.

`probabilities` are float32 (S, N, 10), of S seeds and N images; `labels` are integers (N,).
"""

import numpy as np

from mnist_core.arrays import NUM_CLASSES, Array
from mnist_core.metrics import confusion_matrix, percent
from mnist_core.records import ReliabilityBin

NUM_BINS = 15  # of equal width, as in Guo et al. 2017
_DECIMALS = 4


def calibration_scores(probabilities: Array, labels: Array) -> dict[str, float]:
    """Return three scores, the mean over the seeds.

    Returns:
        negative_log_likelihood: the mean of -log p(label) in nats; a p that float32 rounded to 0 counts as its
            smallest normal number, 87 nats.
        brier_score: the mean of sum_k (p_k - [k is the label])^2, 0 to 2 (Brier 1950).
        expected_calibration_error: percent; sum_b |B_b| / N |accuracy of B_b - mean confidence of B_b| over the bins
            of `reliability_bins` (Guo et al., "On calibration of modern neural networks", 2017, equation 3).
    """
    of_label = probabilities[:, np.arange(len(labels)), labels]
    logs = np.log(np.maximum(of_label, np.finfo(np.float32).tiny).astype(np.float64))
    squares = (probabilities.astype(np.float64) - np.eye(NUM_CLASSES)[labels]) ** 2
    gaps = [_calibration_error(one_seed, labels) for one_seed in probabilities]
    return {
        "negative_log_likelihood": round(float(-logs.mean()), _DECIMALS),
        "brier_score": round(float(squares.sum(axis=-1).mean()), _DECIMALS),
        "expected_calibration_error": percent(float(np.mean(gaps))),
    }


def reliability_bins(probabilities: Array, labels: Array) -> tuple[ReliabilityBin, ...]:
    """Sort all seeds' predictions by confidence, the probability of the predicted class, into bins (low, high]."""
    counts, confidences, hits = _bins(probabilities, labels)
    edges = np.linspace(0, 1, NUM_BINS + 1)
    return tuple(
        ReliabilityBin(
            low=round(float(edges[place]), _DECIMALS),
            high=round(float(edges[place + 1]), _DECIMALS),
            count=int(count),
            confidence=round(float(confidences[place] / count), _DECIMALS) if count else None,
            accuracy=round(float(hits[place] / count), _DECIMALS) if count else None,
        )
        for place, count in enumerate(counts)
    )


def precision_and_recall(
    probabilities: Array, labels: Array
) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    """Return both in percent, by class, of all seeds' predictions together; None for a class without any."""
    predictions = probabilities.argmax(axis=-1)
    counts = confusion_matrix(predictions.ravel(), np.tile(labels, len(predictions)), num_classes=NUM_CLASSES)
    precision, recall = (
        tuple(percent(hits / total) if total else None for hits, total in zip(counts.diagonal(), totals, strict=True))
        for totals in (counts.sum(axis=0), counts.sum(axis=1))
    )
    return precision, recall


def _calibration_error(probabilities: Array, labels: Array) -> float:
    """Return the expected calibration error (a fraction) of one seed's probabilities (N, 10)."""
    _, confidences, hits = _bins(probabilities, labels)
    return float(np.abs(hits - confidences).sum() / len(labels))


def _bins(probabilities: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Return how many predictions each bin has, the sum of their confidences, and how many are right: (NUM_BINS,)."""
    confidence = probabilities.max(axis=-1).astype(np.float64).ravel()
    right = (probabilities.argmax(axis=-1) == labels).ravel()
    # Float32 softmax may give a little more than 1.
    places = np.clip(np.ceil(confidence * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)
    counts, confidences, hits = (
        np.bincount(places, weights, minlength=NUM_BINS) for weights in (None, confidence, right)
    )
    return counts, confidences, hits
