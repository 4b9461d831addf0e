"""Reads what earlier stages wrote: JSON records and CSV tables."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_core.errors import UserError

REMEDY = "run `dvc repro` to write it again"
"""What to do about a file of an earlier stage that is missing or broken."""

ERROR_KEYS = ("train_error", "train_error_std", "test_error", "test_error_std")
SEARCH_KEYS = ("model", "learning_rate", "epochs", "validation_error", "trials")
CURVE_COLUMNS = ("epoch", *ERROR_KEYS)
CONFUSION_COLUMNS = ("actual", "predicted", "count")


def read_json(path: Path, keys: Iterable[str] = ()) -> Any:
    """Read a JSON file that an earlier stage wrote; with `keys`, an object that has them all.

    Raises:
        UserError: it is missing, is not JSON or lacks a key.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {REMEDY}") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON; {REMEDY}") from error
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            raise UserError(f"{path}: no key {key}; {REMEDY}")
    return content


def read_csv(path: Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read a CSV file that an earlier stage wrote, with these columns and at least one row.

    Raises:
        UserError: it is missing, is not CSV, lacks a column or has no rows.
    """
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {REMEDY}") from error
    except ValueError as error:  # pandas' parser and empty-file errors among them
        raise UserError(f"{path}: not valid CSV; {REMEDY}") from error
    for column in columns:
        if column not in frame.columns:
            raise UserError(f"{path}: no column {column}; {REMEDY}")
    if frame.empty:
        raise UserError(f"{path}: no rows; {REMEDY}")
    return frame
