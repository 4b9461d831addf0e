"""Tables for figures and page, each held against the records that say what it must hold.

A CSV file does not say whose it is. So a search's trials are compared with the search's record, curves with the scores
of the saved models, counts of errors with the history of the training, and comparisons with the models that there are.
"""

from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd

from mnist_core.arrays import Array
from mnist_core.candidates import Percent, Search
from mnist_core.errors import UserError
from mnist_core.files.reading import REMEDY, read_csv
from mnist_core.models import MODELS, TUNED
from mnist_core.records import (
    COMPARISON_COLUMNS,
    CURVE_COLUMNS,
    INTERVAL_COLUMNS,
    PARITY_COLUMNS,
    TEST_ERROR_COLUMNS,
    TRIAL_COLUMNS,
    TUNED_TRIAL_COLUMNS,
    Scores,
    is_near,
    read_confusion,
)
from mnist_core.report.names import FRAMEWORK_NAMES


def read_trials(path: Path, search: Search) -> pd.DataFrame:
    """Read plots/search/<model>.csv, the validation errors behind a search's record.

    Returns:
        Columns learning_rate, epoch, validation_error (percent); of the tuned protocol also trial and best.

    Raises:
        UserError: as all readers here, the file is missing, broken, or does not fit what it is held against.
    """
    is_tuned = search.model in TUNED
    trials = read_csv(path, TUNED_TRIAL_COLUMNS if is_tuned else TRIAL_COLUMNS)
    fits = _are_trials_of(search, trials) and (_has_winner if is_tuned else _has_candidates)(search, trials)
    if not fits:
        raise UserError(f"{path}: its trials, epochs or errors are not those of the search of {search.model}; {REMEDY}")
    return trials


def _are_trials_of(search: Search, trials: pd.DataFrame) -> bool:
    lengths = [trial.epochs for trial in search.trials]
    if sum(lengths) != len(trials):
        return False
    numbers = np.repeat(np.arange(len(lengths)), lengths)
    rates = np.repeat([trial.learning_rate for trial in search.trials], lengths)
    epochs = np.concatenate([np.arange(1, length + 1) for length in lengths])
    best = {
        (number, trial.best_epoch, trial.best_validation_error)
        for number, trial in enumerate(search.trials)
        if trial.best_epoch is not None
    }
    return (
        np.array_equal(trials["learning_rate"], rates)
        and np.array_equal(trials["epoch"], epochs)
        and np.array_equal(trials.get("trial", numbers), numbers)
        and best <= set(zip(numbers, epochs, trials["validation_error"], strict=True))
    )


def _has_candidates(search: Search, trials: pd.DataFrame) -> bool:
    """Return whether every candidate is a row: in the report's protocol each epoch that a trial survived is one."""
    candidates = {(found.learning_rate, found.epochs, found.validation_error) for found in search.candidates}
    return candidates <= set(trials[[*TRIAL_COLUMNS]].itertuples(index=False, name=None))


def _has_winner(search: Search, trials: pd.DataFrame) -> bool:
    """Return whether the one row that is called best is the last epoch of a trial of the record's hyperparameters."""
    won = trials[trials["best"] == 1].to_dict("records")
    trial = search.trials[won[0]["trial"]] if len(won) == 1 else None
    return trial is not None and (trial.hyperparameters, trial.epochs) == (search.hyperparameters, won[0]["epoch"])


def read_curves(path: Path, scores: Scores, num_images: int) -> pd.DataFrame:
    """Read plots/curves/<model>.csv, the mean errors (percent) after each epoch of the final training.

    Args:
        path: the file.
        scores: what the saved models score; it must be where the curves end.
        num_images: in the test split.
    """
    curves = read_csv(path, CURVE_COLUMNS)
    _check_end(path, curves, scores, num_images)
    return curves


def read_test_errors(path: Path, summary: dict[str, Scores], num_images: int) -> pd.DataFrame:
    """Read plots/test_errors.csv, all models' test errors (percent); otherwise as `read_curves`."""
    test_errors = read_csv(path, TEST_ERROR_COLUMNS)
    if set(test_errors["model"]) != set(MODELS):
        raise UserError(f"{path}: its models are not {', '.join(MODELS)}; {REMEDY}")
    for model, curve in test_errors.groupby("model"):
        _check_end(path, curve, summary[str(model)], num_images, f"{model}: ")
    return test_errors


def _check_end(path: Path, curve: pd.DataFrame, scores: Scores, num_images: int, model: str = "") -> None:
    if len(curve) != scores.epochs or not np.array_equal(curve["epoch"], np.arange(1, len(curve) + 1)):
        raise UserError(f"{path}: {model}its epochs are not 1 to {scores.epochs}, as the model was trained; {REMEDY}")
    end = curve["test_error"].iloc[-1]
    if not is_near(end, scores.test_error, num_images):
        raise UserError(
            f"{path}: {model}test_error ends at {end:g}, and the saved models have {scores.test_error:g}; {REMEDY}"
        )


def read_first_confusion(path: Path, history: Path, num_images: int) -> Array:
    """Read plots/confusion/<model>.csv as `read_confusion` does.

    Args:
        path: the file.
        history: CSV of the first seed's training, whose network's errors were counted.
        num_images: in the test split.
    """
    counts = read_confusion(path)
    test_error = float(read_csv(history, {"test_error": Percent})["test_error"].iloc[-1])
    num_errors, total = int(counts.sum() - counts.trace()), int(counts.sum())
    if total != num_images or not is_near(100 * num_errors / total, test_error, num_images):
        raise UserError(
            f"{path}: {num_errors} errors on {total} images, and {history} ends at {test_error:g} % of {num_images};"
            f" {REMEDY}"
        )
    return counts


def read_intervals(path: Path) -> pd.DataFrame:
    """Read metrics/intervals.csv: a row for each of the eight models, errors in percent."""
    intervals = read_csv(path, INTERVAL_COLUMNS)
    _check_rows(path, intervals["model"].tolist(), list(MODELS), "models")
    return intervals


def read_comparisons(path: Path, pairs: Sequence[tuple[str, str]] = tuple(combinations(MODELS, 2))) -> pd.DataFrame:
    """Read metrics/comparisons.csv, differences in points: a row for each of these pairs of models.

    The pairs are every two of the report's protocol, or those of `models.tuned_pairs`.
    """
    comparisons = read_csv(path, COMPARISON_COLUMNS)
    found = list(zip(comparisons["model"], comparisons["other"], strict=True))
    _check_rows(path, found, list(pairs), "pairs of models")
    return comparisons


def _check_rows(path: Path, found: Sequence[object], wanted: Sequence[object], what: str) -> None:
    if found != wanted:
        raise UserError(f"{path}: not a row for each of the {len(wanted)} {what}, in their order; {REMEDY}")


def read_parity(path: Path) -> pd.DataFrame:
    """Read plots/parity.csv, the test errors (percent) of twins side by side: as many epochs of every network."""
    parity = read_csv(path, PARITY_COLUMNS)
    networks = list(product({letter for _, letter in MODELS.values()}, FRAMEWORK_NAMES))
    epochs = range(1, len(parity) // len(networks) + 1)
    rows = parity[["letter", "framework", "epoch"]].itertuples(index=False, name=None)
    if sorted(rows) != sorted((*network, epoch) for network, epoch in product(networks, epochs)):
        raise UserError(f"{path}: not the same epochs of both twins of every network; {REMEDY}")
    return parity
