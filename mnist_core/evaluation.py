"""Scores trained networks, with the framework that trained them. Reports; chooses nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mnist_core.arrays import NUM_CLASSES, Array, Weights
from mnist_core.data.dataset import SPLIT_NAMES
from mnist_core.metrics import confusion_matrix, error_rate, mean_and_std, percent, softmax
from mnist_core.models import Framework
from mnist_core.networks.architectures import Architecture
from mnist_core.registry import build_classifier
from mnist_core.training.loop import cached_split, split_error


@dataclass(frozen=True)
class Evaluation:
    """Error rates (fractions) of one saved model, and its logits on the test images, float32 (N, 10)."""

    train_error: float
    final_validation_error: float
    test_error: float
    test_logits: Array


def evaluate(framework: Framework, architecture: Architecture, weights: Weights, data_directory: Path) -> Evaluation:
    """Score one network with the framework that trained it; a job that may run on a worker.

    Args:
        framework: "tensorflow" or "numpy".
        architecture: the layers.
        weights: what it has learned.
        data_directory: the prepared data, as an absolute path.

    Raises:
        UserError: the data are missing or damaged.
    """
    classifier = build_classifier(framework, architecture, weights)
    train, validation, test = (cached_split(data_directory, name) for name in SPLIT_NAMES)
    logits = classifier.predict_logits(test.images)
    test_error = error_rate(logits.argmax(axis=1), test.labels)
    return Evaluation(split_error(classifier, train), split_error(classifier, validation), test_error, logits)


def summarise(evaluations: Sequence[Evaluation]) -> dict[str, float]:
    """Return the mean and standard deviation (percent) over models of different seeds, named as in data/scores."""
    summary: dict[str, float] = {}
    for split in ("train_error", "test_error", "final_validation_error"):
        mean, std = mean_and_std([getattr(evaluation, split) for evaluation in evaluations])
        summary |= {split: percent(mean), f"{split}_std": percent(std)}
    return summary


def probabilities(evaluations: Sequence[Evaluation]) -> Array:
    """Return what every seed's network gave the test images, float32 (seeds, N, 10)."""
    return np.stack([softmax(evaluation.test_logits) for evaluation in evaluations])


def confusion_frame(evaluation: Evaluation, labels: Array) -> pd.DataFrame:
    """Count how often each class of `labels` (N,) was taken for each: columns actual, predicted, count."""
    counts = confusion_matrix(evaluation.test_logits.argmax(axis=1), labels, num_classes=NUM_CLASSES)
    actual, predicted = np.indices(counts.shape).reshape(2, -1)
    return pd.DataFrame({"actual": actual, "predicted": predicted, "count": counts.ravel()})
