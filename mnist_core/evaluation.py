"""Loads saved models from disk and scores them, with the framework that trained them. Reports; chooses nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_core.arrays import NUM_CLASSES, Array
from mnist_core.data.dataset import Dataset, Split
from mnist_core.metrics import confusion_matrix, error_rate, mean_and_std, percent, softmax
from mnist_core.models import framework_and_letter
from mnist_core.networks.classifier import Classifier
from mnist_core.networks.model_file import load_model
from mnist_core.registry import build_classifier


@dataclass(frozen=True)
class Evaluation:
    """Error rates (fractions) of one saved model, and its logits on the test images, float32 (N, 10)."""

    train_error: float
    final_validation_error: float
    test_error: float
    test_logits: Array


def evaluate_model(path: Path, dataset: Dataset, expected: Mapping[str, Any]) -> Evaluation:
    """Score one saved model.

    Args:
        path: its file.
        dataset: the data that it learned from.
        expected: "model", its name in the report, such as "2d", and what else it must be; see `load_model`.

    Raises:
        UserError: the file is missing or damaged, or holds another model or one of other data.
    """
    architecture, weights = load_model(path, {**expected, "data_sha256": dataset.sha256})
    classifier = build_classifier(framework_and_letter(expected["model"])[0], architecture, weights)
    test_logits = classifier.predict_logits(dataset.test.images)
    return Evaluation(
        _error(classifier, dataset.train),
        _error(classifier, dataset.validation),
        error_rate(test_logits.argmax(axis=1), dataset.test.labels),
        test_logits,
    )


def _error(classifier: Classifier, split: Split) -> float:
    return error_rate(classifier.predict_logits(split.images).argmax(axis=1), split.labels)


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
