"""Loads saved models from disk and scores them, with the framework that trained them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mnist_core.arrays import Array
from mnist_core.data.dataset import Dataset
from mnist_core.errors import UserError
from mnist_core.metrics import error_rate, mean_and_std, percent
from mnist_core.models import Framework
from mnist_core.networks.model_file import load_model
from mnist_core.registry import build_classifier


@dataclass(frozen=True)
class Evaluation:
    """Error rates (fractions) of one saved model, and its logits on the test images, float32 (N, 10)."""

    train_error: float
    test_error: float
    test_logits: Array


def evaluate_model(framework: Framework, path: Path, dataset: Dataset) -> Evaluation:
    """Score one saved model.

    Raises:
        UserError: the file is missing or damaged.
    """
    architecture, weights = load_model(path)
    try:
        classifier = build_classifier(framework, architecture, weights)
    except ValueError as error:
        raise UserError(f"{path}: {error}; train it again") from error
    train_predictions = classifier.predict_logits(dataset.train.images).argmax(axis=1)
    test_logits = classifier.predict_logits(dataset.test.images)
    return Evaluation(
        error_rate(train_predictions, dataset.train.labels),
        error_rate(test_logits.argmax(axis=1), dataset.test.labels),
        test_logits,
    )


def summarise(evaluations: Sequence[Evaluation]) -> dict[str, float]:
    """Return the mean and standard deviation (percent) over models of different seeds, named as in metrics/."""
    summary: dict[str, float] = {}
    for split in ("train_error", "test_error"):
        mean, std = mean_and_std([getattr(evaluation, split) for evaluation in evaluations])
        summary |= {split: percent(mean), f"{split}_std": percent(std)}
    return summary
