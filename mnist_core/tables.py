"""The error table, ours beside the 2017 report's, as CSV, Markdown and LaTeX.

Reads numbers that evaluation wrote; computes none. All errors here are percent, as in the files.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from mnist_core.errors import UserError
from mnist_core.registry import MODELS

Results: TypeAlias = Mapping[str, Mapping[str, float | None]]
"""Model name -> its numbers by name, such as "test_error" (percent); None where there is none."""

COLUMNS = {
    "1a": "P1:a",
    "1b": "P1:b",
    "1c": "P1:c",
    "1d": "P1:d",
    "2a": "P2:b",
    "2b": "P2:c",
    "2c": "P2:d",
    "2d": "P2:e",
}
"""Model name -> problem name, the heading of its column in the report."""

# As many decimals as the report prints: one of its 55,000 training images is 0.002 %, one of 10,000 test images 0.01 %.
_ROWS = (("Training", "train_error", 3), ("Test", "test_error", 2))
_MISSING = "-"


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote.

    Raises:
        UserError: it is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; dvc repro makes it") from error
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON; remove it and run dvc repro") from error


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file that an earlier stage wrote.

    Raises:
        UserError: it is missing or is not CSV.
    """
    try:
        return pd.read_csv(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; dvc repro makes it") from error
    except ValueError as error:  # pandas' parser and empty-file errors among them
        raise UserError(f"{path}: not valid CSV; remove it and run dvc repro") from error


def load_reference() -> Results:
    """Return the report's published learning rate, epochs, train_error and test_error (percent) of each model.

    All are None for 2d, which the report left out. Its NumPy networks sum the loss over the batch where ours take the
    mean, so its learning rates of 2a to 2c correspond to ours divided by the batch size.
    """
    results: Results = read_json(Path(__file__).with_name("reference_results.json"))
    return results


def read_summary(metrics: Path) -> Results:
    """Gather `<model>.json` of all eight models from a directory of metrics.

    Raises:
        UserError: a file is missing or is not JSON.
    """
    return {model: read_json(metrics / f"{model}.json") for model in MODELS}


def read_test_errors(curves: Path) -> pd.DataFrame:
    """Gather the mean test error (percent) after each epoch from `<model>.csv` of all eight models.

    Returns:
        Columns model, epoch, test_error.

    Raises:
        UserError: a file is missing or is not CSV.
    """
    frames = [read_csv(curves / f"{model}.csv")[["epoch", "test_error"]].assign(model=model) for model in MODELS]
    return pd.concat(frames, ignore_index=True)[["model", "epoch", "test_error"]]


def error_table_frame(results: Results, reference: Results) -> pd.DataFrame:
    """Return mean, standard deviation and published value of both errors (percent), a column for each model.

    Missing values are "-", so the columns hold objects.
    """
    rows = []
    for _, key, _ in _ROWS:
        for name, source, field in (
            (f"{key}_mean", results, key),
            (f"{key}_std", results, f"{key}_std"),
            (f"{key}_report", reference, key),
        ):
            cells: dict[str, str | float] = {"percent": name}
            for model, column in COLUMNS.items():
                value = source[model][field]
                cells[column] = _MISSING if value is None else float(value)
            rows.append(cells)
    return pd.DataFrame(rows, dtype=object)


def error_table_markdown(results: Results, reference: Results) -> str:
    """Return the table in GitHub's Markdown: mean ± standard deviation, and the report's value below."""
    lines = [
        _markdown_row(["Error rate (%)", *COLUMNS.values()]),
        _markdown_row(["---"] + ["---:"] * len(COLUMNS)),
        _markdown_row(["Model", *COLUMNS]),
    ]
    for name, key, decimals in _ROWS:
        means, deviations, published = _formatted_rows(results, reference, key, decimals)
        ours = [f"{mean} ± {std}" for mean, std in zip(means, deviations, strict=True)]
        lines.append(_markdown_row([f"{name} error, ours", *ours]))
        lines.append(_markdown_row([f"{name} error, 2017 report", *published]))
    return "\n".join(lines) + "\n"


def error_table_latex(results: Results, reference: Results) -> str:
    r"""Return the table as a LaTeX `tabular` that needs \usepackage{booktabs}.

    Mean and standard deviation are rows of their own: side by side, eight columns are wider than a page.
    """
    lines = [
        "% Needs \\usepackage{booktabs}.",
        f"\\begin{{tabular}}{{@{{}}l*{{{len(COLUMNS)}}}{{r}}@{{}}}}",
        "\\toprule",
        _latex_row(["Error rate (%)", *COLUMNS.values()]),
        _latex_row(["Model", *COLUMNS]),
    ]
    for name, key, decimals in _ROWS:
        labels = (f"{name}, mean", f"{name}, standard deviation", f"{name}, 2017 report")
        lines.append("\\midrule")
        for label, cells in zip(labels, _formatted_rows(results, reference, key, decimals), strict=True):
            lines.append(_latex_row([label, *("--" if cell == _MISSING else cell for cell in cells)]))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _formatted_rows(
    results: Results, reference: Results, key: str, decimals: int
) -> tuple[list[str], list[str], list[str]]:
    def row(source: Results, field: str) -> list[str]:
        values = [source[model][field] for model in COLUMNS]
        return [_MISSING if value is None else f"{value:.{decimals}f}" for value in values]

    return row(results, key), row(results, f"{key}_std"), row(reference, key)


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(escape_latex(cell) for cell in cells) + " \\\\"


_LATEX_ESCAPES = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
)


def escape_latex(text: str) -> str:
    """Return text in which LaTeX finds no command."""
    return text.translate(_LATEX_ESCAPES)
