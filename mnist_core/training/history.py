"""What training leaves behind: one record an epoch, and its CSV form.

Errors are fractions in memory and percent in files, where the column names say nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mnist_core.metrics import mean_and_std, percent


@dataclass(frozen=True)
class EpochRecord:
    """The state after one epoch: mean training loss (nats) during it, error rates (fractions) at its end."""

    epoch: int
    loss: float
    errors: dict[str, float]


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
