"""Reads what earlier stages wrote: JSON records and CSV tables."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_core.errors import UserError

REMEDY = "run `dvc repro` to write it again"
"""What to do about a file of an earlier stage that is missing or broken."""


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote.

    Raises:
        UserError: it is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {REMEDY}") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON; {REMEDY}") from error


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file that an earlier stage wrote.

    Raises:
        UserError: it is missing or is not CSV.
    """
    try:
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {REMEDY}") from error
    except ValueError as error:  # pandas' parser and empty-file errors among them
        raise UserError(f"{path}: not valid CSV; {REMEDY}") from error
