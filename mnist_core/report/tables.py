"""The error table, ours beside the 2017 report's, as CSV, Markdown and LaTeX.

Reads numbers that evaluation wrote; computes none. All errors here are percent, as in the files.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from mnist_core.files.reading import read_json
from mnist_core.models import COLUMNS, MODELS, tuned
from mnist_core.records import Scores, evaluated_models, read_scores
from mnist_core.report.results import read_curves

Results: TypeAlias = Mapping[str, Mapping[str, float | None]]
"""Model name -> its numbers by name, such as "test_error" (percent); None where there is none."""

# As many decimals as the report prints: one of its 55,000 training images is 0.002 %, one of 10,000 test images 0.01 %.
_ROWS = (("Training", "train_error", 3), ("Test", "test_error", 2))
_MISSING = "-"


def load_reference(dataset: str) -> Results | None:
    """Return the report's published learning rate, epochs, train_error and test_error (percent) of each model.

    They are about MNIST and would mislead beside another data set, which gets None. All are None for 2d, which the
    report left out. Its NumPy networks sum the loss over the batch where ours take the mean, so its learning rates of
    2a to 2c correspond to ours divided by the batch size.
    """
    if dataset != "mnist":
        return None
    results: Results = read_json(Path(__file__).with_name("reference_results.json"))
    return results


def read_all_scores(scores: Path, data_sha256: str) -> Results:
    """Gather `<model>.json` of all evaluated models from a directory of scores, as in metrics/summary.json.

    Raises:
        UserError: a file is missing or damaged, or of another model or other data than these.
    """
    return {
        model: read_scores(scores / f"{model}.json", model, data_sha256).model_dump(
            include=set(Scores.model_fields), exclude_defaults=True
        )
        for model in evaluated_models(scores)
    }


def gather_test_errors(curves: Path, results: Results, num_images: int) -> pd.DataFrame:
    """Gather the mean test error (percent) after each epoch from `<model>.csv` of all eight models.

    Args:
        curves: directory of these files.
        results: the scores at which they end.
        num_images: in the test split.

    Returns:
        Columns model, epoch, test_error.

    Raises:
        UserError: a file is missing or damaged, or not of these models.
    """
    frames = [
        read_curves(curves / f"{model}.csv", Scores(**results[model]), num_images).assign(model=model)  # type: ignore[arg-type]
        for model in MODELS
    ]
    return pd.concat(frames, ignore_index=True)[["model", "epoch", "test_error"]]


def tuned_results(results: Results) -> Results | None:
    """Return the results of the tuned protocol by the names in the report; None if there are none."""
    return {model: results[tuned(model)] for model in MODELS if tuned(model) in results} or None


def error_table_frame(results: Results, reference: Results | None) -> pd.DataFrame:
    """Return mean, standard deviation and published value of both errors (percent), a column for each model.

    Missing values are "-", so the columns hold objects. Without a reference the rows of the report are left out.
    """
    rows = []
    for _, key, _ in _ROWS:
        for name, source, field in (
            (f"{key}_mean", results, key),
            (f"{key}_std", results, f"{key}_std"),
            (f"{key}_tuned_mean", tuned_results(results), key),
            (f"{key}_tuned_std", tuned_results(results), f"{key}_std"),
            (f"{key}_report", reference, key),
        ):
            if source is None:
                continue
            cells: dict[str, str | float] = {"percent": name}
            for model, column in COLUMNS.items():
                value = source.get(model, {}).get(field)
                cells[column] = _MISSING if value is None else float(value)
            rows.append(cells)
    return pd.DataFrame(rows, dtype=object)


def error_table_markdown(results: Results, reference: Results | None) -> str:
    """Return the table in GitHub's Markdown: mean ± standard deviation, and the report's value, if any, below."""
    lines = [
        _markdown_row(["Error rate (%)", *COLUMNS.values()]),
        _markdown_row(["---"] + ["---:"] * len(COLUMNS)),
        _markdown_row(["Model", *COLUMNS]),
    ]
    for name, key, decimals in _ROWS:
        means, deviations = _format(results, key, decimals), _format(results, f"{key}_std", decimals)
        ours = [f"{mean} ± {std}" for mean, std in zip(means, deviations, strict=True)]
        lines.append(_markdown_row([f"{name} error, ours", *ours]))
        if (better := tuned_results(results)) is not None:
            means, deviations = _format(better, key, decimals), _format(better, f"{key}_std", decimals)
            cells = [
                mean if mean == _MISSING else f"{mean} ± {std}" for mean, std in zip(means, deviations, strict=True)
            ]
            lines.append(_markdown_row([f"{name} error, ours, tuned", *cells]))
        if reference is not None:
            lines.append(_markdown_row([f"{name} error, 2017 report", *_format(reference, key, decimals)]))
    return "\n".join(lines) + "\n"


def error_table_latex(results: Results, reference: Results | None) -> str:
    r"""Return the table as a LaTeX `tabular` that needs \usepackage{booktabs}.

    Mean and standard deviation are rows of their own: side by side, eight columns are wider than a page.
    Without a reference the rows of the report are left out.
    """
    lines = [
        "% Needs \\usepackage{booktabs}.",
        f"\\begin{{tabular}}{{@{{}}l*{{{len(COLUMNS)}}}{{r}}@{{}}}}",
        "\\toprule",
        _latex_row(["Error rate (%)", *COLUMNS.values()]),
        _latex_row(["Model", *COLUMNS]),
    ]
    for name, key, decimals in _ROWS:
        rows = {
            f"{name}, mean": _format(results, key, decimals),
            f"{name}, standard deviation": _format(results, f"{key}_std", decimals),
        }
        if (better := tuned_results(results)) is not None:
            rows[f"{name}, tuned, mean"] = _format(better, key, decimals)
            rows[f"{name}, tuned, standard deviation"] = _format(better, f"{key}_std", decimals)
        if reference is not None:
            rows[f"{name}, 2017 report"] = _format(reference, key, decimals)
        lines.append("\\midrule")
        for label, cells in rows.items():
            lines.append(_latex_row([label, *("--" if cell == _MISSING else cell for cell in cells)]))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _format(source: Results, field: str, decimals: int) -> list[str]:
    values = [source.get(model, {}).get(field) for model in COLUMNS]
    return [_MISSING if value is None else f"{value:.{decimals}f}" for value in values]


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
