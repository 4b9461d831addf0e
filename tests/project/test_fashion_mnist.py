"""The table of docs/fashion_mnist.md shows docs/fashion_mnist.csv, which holds what a run has written."""

import re
from pathlib import Path

import pandas as pd

from mnist_core.models import MODELS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_shows_the_committed_results():
    results = pd.read_csv(DOCS / "fashion_mnist.csv", index_col="model")
    shown = re.findall(r"^\| ([12][a-d]) \| (.*) \|$", (DOCS / "fashion_mnist.md").read_text(), re.MULTILINE)
    assert [model for model, _ in shown] == list(results.index) == list(MODELS)
    for model, cells in shown:
        row = results.loc[model]
        assert cells.split(" | ") == [
            f"{row.learning_rate:g}",
            f"{row.epochs:g}",
            f"{row.train_error:.2f}",
            f"{row.test_error:.2f} ± {row.test_error_std:.2f}",
            f"{row.low:.2f} to {row.high:.2f}",
        ]
