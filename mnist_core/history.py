"""What training leaves behind: one record an epoch, and its CSV form.

Errors are fractions in memory and percent in files, where the column names say nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

PERCENT_DECIMALS = 4


@dataclass(frozen=True)
class EpochRecord:
    """The state after one epoch: mean training loss (nats) during it, error rates (fractions) at its end."""

    epoch: int
    loss: float
    errors: dict[str, float]


def percent(fraction: float) -> float:
    """Return a fraction as percent, rounded so that files stay stable and diffs readable."""
    return round(100 * float(fraction), PERCENT_DECIMALS)


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the sample standard deviation (n - 1); one value has deviation 0."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def history_frame(records: Sequence[EpochRecord]) -> pd.DataFrame:
    """Return columns epoch, loss, <split>_error (percent), one row an epoch."""
    return pd.DataFrame(
        [
            {"epoch": record.epoch, "loss": round(record.loss, 6)}
            | {f"{split}_error": percent(error) for split, error in record.errors.items()}
            for record in records
        ]
    )


def curves_frame(histories: Sequence[Sequence[EpochRecord]]) -> pd.DataFrame:
    """Average the histories of several seeds.

    Returns:
        Columns epoch, then <split>_error and <split>_error_std (percent) for each split, one row an epoch.
    """
    rows = []
    for records in zip(*histories, strict=True):
        row: dict[str, float] = {"epoch": records[0].epoch}
        for split in records[0].errors:
            mean, std = mean_and_std([record.errors[split] for record in records])
            row |= {f"{split}_error": percent(mean), f"{split}_error_std": percent(std)}
        rows.append(row)
    return pd.DataFrame(rows)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame with Unix line ends and no index, making its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, lineterminator="\n")
