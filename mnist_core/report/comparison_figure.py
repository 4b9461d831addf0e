"""Figures of how far the numbers can be believed: errors and differences with their intervals, and calibration."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mnist_core.models import MODELS, are_twins, framework_and_letter
from mnist_core.records import ComparisonRule, Details, ModelDetails, Verdict, read_details
from mnist_core.report.names import FRAMEWORK_NAMES
from mnist_core.report.plotting import BLACK, BLUE, GREY, ORANGE, VERMILLION, WIDTH, figure_style, save_figure
from mnist_core.report.results import read_comparisons, read_intervals

# Verdict -> colour and marker; the marker tells them apart in black and white.
_VERDICTS: dict[Verdict, tuple[str, str]] = {
    "different": (VERMILLION, "s"),
    "undecided": (BLACK, "D"),
    "alike": (BLUE, "o"),
}
_FEW = 20  # predictions in a bin, of all seeds together: with fewer its accuracy is mostly chance


def write_comparison_figures(metrics: Path, output: Path) -> None:
    """Draw the figures `intervals`, `differences` and `reliability` as SVG and PNG.

    Args:
        metrics: holds intervals.csv, comparisons.csv and details.json.
        output: directory that receives the figures.

    Raises:
        UserError: an input file is missing or broken.
    """
    intervals = read_intervals(metrics / "intervals.csv")
    comparisons = read_comparisons(metrics / "comparisons.csv")
    details = read_details(metrics / "details.json")
    with figure_style():
        save_figure(draw_intervals(intervals, details), output / "intervals")
        save_figure(draw_differences(comparisons, details.rule), output / "differences")
        save_figure(draw_reliability(details), output / "reliability")


def draw_intervals(intervals: pd.DataFrame, details: Details) -> Figure:
    """Draw each model's test error with its interval, one row a model.

    Args:
        intervals: columns model, test_error, low, high (percent).
        details: what the intervals cover.
    """
    figure = Figure(figsize=(WIDTH, 2.6))
    axes = figure.add_subplot()
    _draw_rows(axes, intervals, "test_error", [(BLUE, "o")] * len(intervals))
    labels = [f"{model} {FRAMEWORK_NAMES[framework_and_letter(model)[0]]}" for model in intervals["model"]]
    axes.set_yticks(range(len(intervals)), labels)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"test error (%), mean of {len(details.seeds)} seeds, {100 * details.rule.confidence:g} % interval")
    return figure


def draw_differences(comparisons: pd.DataFrame, rule: ComparisonRule) -> Figure:
    """Draw the difference of every pair of models with its interval, one row a pair, and what it amounts to.

    The axis is linear up to one point and logarithmic beyond, since linear classifiers are many points away.

    Args:
        comparisons: columns model, other, difference, low and high (points), and verdict.
        rule: says which difference is the smallest that matters.
    """
    figure = Figure(figsize=(WIDTH, 1.0 + 0.19 * len(comparisons)))
    axes = figure.add_subplot()
    axes.axvspan(-rule.smallest_difference, rule.smallest_difference, color=GREY, linewidth=0)
    axes.axvline(0, color=BLACK, linewidth=0.8)
    for verdict, (colour, marker) in _VERDICTS.items():
        label = f"{verdict}: {(comparisons['verdict'] == verdict).sum()}"
        axes.plot([], [], color=colour, marker=marker, linestyle="none", label=label)
    _draw_rows(axes, comparisons, "difference", [_VERDICTS[verdict] for verdict in comparisons["verdict"]])
    pairs = list(comparisons[["model", "other"]].itertuples(index=False, name=None))
    axes.set_yticks(range(len(pairs)), [f"{model} \N{MINUS SIGN} {other}" for model, other in pairs])
    for tick, (model, other) in zip(axes.get_yticklabels(), pairs, strict=True):
        tick.set_fontweight("bold" if are_twins(model, other) else "normal")
    axes.set_xscale("symlog", linthresh=1, linscale=1.5)
    axes.xaxis.set_major_locator(FixedLocator([-50, -20, -10, -5, -2, -1, -0.5, 0, 0.5, 1, 2, 5, 10, 20, 50]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}")))
    axes.set_xlabel(
        f"difference of test errors (points), {100 * rule.confidence:g} % interval\n"
        f"grey: less than {rule.smallest_difference:g}; bold: twins"
    )
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), handlelength=1)
    return figure


def draw_reliability(details: Details) -> Figure:
    """Draw accuracy over confidence, one small panel a model; on the diagonal a confidence can be taken at its word."""
    figure = Figure(figsize=(WIDTH, 3.2))
    panels = figure.subplots(2, len(MODELS) // 2, sharex=True, sharey=True)
    for axes, model in zip(panels.flat, MODELS, strict=True):
        _draw_bins(axes, details.models[model])
        axes.set_title(model, loc="left")
        axes.set_aspect("equal")
        axes.set_xlim(0, 1.03)
        axes.set_ylim(0, 1.03)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    figure.supxlabel(f"confidence (hollow: fewer than {_FEW} predictions)", fontsize=9)
    figure.supylabel("accuracy", fontsize=9)
    return figure


def _draw_bins(axes: Axes, model: ModelDetails) -> None:
    axes.plot([0, 1], [0, 1], color=BLACK, linewidth=0.8)
    filled = [place for place in model.reliability if place.confidence is not None and place.accuracy is not None]
    points = np.array([(place.confidence, place.accuracy) for place in filled], float).reshape(-1, 2)
    few = np.array([place.count < _FEW for place in filled])
    axes.plot(*points.T, color=ORANGE, linewidth=0.8)
    faces = np.where(few, "white", VERMILLION).tolist()
    axes.scatter(points[:, 0], points[:, 1], s=16, c=faces, edgecolors=VERMILLION, zorder=3, clip_on=False)


def _draw_rows(axes: Axes, rows: pd.DataFrame, value: str, styles: list[tuple[str, str]]) -> None:
    """Draw one interval a row, the first on top."""
    for place, (row, (colour, marker)) in enumerate(zip(rows.to_dict("records"), styles, strict=True)):
        axes.plot([row["low"], row["high"]], [place, place], color=colour)
        axes.plot(row[value], place, color=colour, marker=marker, markersize=4)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
