"""Figures for print, drawn with matplotlib from the CSV and JSON files that the stages leave.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; line styles and written numbers carry the same
meaning in black and white. Sizes are final: put into a page unscaled, no text is smaller than 8 points. Figures have no
title: the caption below says what they show.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, Locator, MaxNLocator, NullLocator

from mnist_core.arrays import Array
from mnist_core.candidates import HYPERPARAMETERS, Choice, Search, read_choice, read_search
from mnist_core.models import MODELS
from mnist_core.records import read_details, read_summary
from mnist_core.report.names import FRAMEWORK_NAMES
from mnist_core.report.results import read_curves, read_first_confusion, read_parity, read_test_errors, read_trials

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#D9D9D9"

WIDTH = 5.0  # inches
_LINE_STYLES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 2, 1, 2)))
_ARCHITECTURE_COLOURS = {"a": BLUE, "b": ORANGE, "c": GREEN, "d": PURPLE}
_FRAMEWORK_STYLES = {"tensorflow": _LINE_STYLES[0], "numpy": _LINE_STYLES[1]}
_ERRORS_MAP = LinearSegmentedColormap.from_list("errors", ["#FFFFFF", "#FDD0A2", "#F16913", "#A63603", "#5A1D02"])
_FEW_EPOCHS = 20  # more are drawn on a logarithmic axis: most happens in the first

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "lines.linewidth": 1.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E2E2E2",
    "grid.linewidth": 0.6,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 200,
    "svg.hashsalt": "mnist",  # else the ids inside an SVG differ from run to run
}


def write_figures(
    plots: Path, metrics: Path, searches: Path, models: Path, output: Path, classes: Sequence[str]
) -> None:
    """Draw every figure as SVG and PNG; the same input gives the same bytes.

    Args:
        plots: holds curves/<model>.csv, confusion/<model>.csv, search/<model>.csv, test_errors.csv and parity.csv.
        metrics: holds summary.json and details.json.
        searches: holds <model>.json of each search.
        models: holds <model>/hyperparameters.json and <model>/seed_<seed>.csv.
        output: directory that receives curves_<model>, confusion_<model>, search_<model>, test_errors and parity.
        classes: names of the ten classes.

    Raises:
        UserError: an input file is missing or broken, or does not fit the others.
    """
    summary, details = read_summary(metrics / "summary.json"), read_details(metrics / "details.json")
    for model in MODELS:
        history = models / model / f"seed_{details.seeds[0]}.csv"
        confusion = read_first_confusion(plots / "confusion" / f"{model}.csv", history, details.num_images)
        curves = read_curves(plots / "curves" / f"{model}.csv", summary[model], details.num_images)
        search = read_search(searches / f"{model}.json", model)
        trials = read_trials(plots / "search" / f"{model}.csv", search)
        choice = read_choice(models / model / HYPERPARAMETERS, model, search)
        with figure_style():
            save_figure(draw_curves(curves), output / f"curves_{model}")
            save_figure(draw_confusion(confusion, classes), output / f"confusion_{model}")
            save_figure(draw_search(trials, search, choice), output / f"search_{model}")
    test_errors = read_test_errors(plots / "test_errors.csv", summary, details.num_images)
    parity = read_parity(plots / "parity.csv")
    with figure_style():
        save_figure(draw_test_errors(test_errors), output / "test_errors")
        save_figure(draw_parity(parity), output / "parity")


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw and save with this project's style, whatever matplotlibrc says, and restore the settings afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def save_figure(figure: Figure, path: Path) -> None:
    """Write <path>.svg and <path>.png without date or version, inside `figure_style`."""
    figure.savefig(path.with_name(f"{path.name}.svg"), metadata={"Date": None, "Creator": None})
    figure.savefig(path.with_name(f"{path.name}.png"), metadata={"Software": None})


def draw_curves(curves: pd.DataFrame) -> Figure:
    """Draw train and test error over epochs: the mean over seeds, and a band of one standard deviation each side.

    Args:
        curves: columns epoch, and <split>_error and <split>_error_std (percent) for train and test.
    """
    figure, axes = make_axes("error (%)")
    epochs = curves["epoch"].to_numpy()
    drawn = []
    for split, colour, style in (("test", VERMILLION, _LINE_STYLES[0]), ("train", BLUE, _LINE_STYLES[1])):
        mean, std = curves[f"{split}_error"].to_numpy(), curves[f"{split}_error_std"].to_numpy()
        low, high = np.maximum(mean - std, 0), mean + std
        axes.fill_between(epochs, low, high, color=colour, alpha=0.25, linewidth=0)
        axes.plot(epochs, mean, color=colour, linestyle=style, label=f"{split} {mean[-1]:.2f} %")
        drawn += [low, high]
    scale_errors(axes, np.concatenate(drawn))
    _scale_epochs(axes, epochs)
    _label_ends(axes)
    return figure


def draw_search(trials: pd.DataFrame, search: Search, choice: Choice) -> Figure:
    """Draw validation error over epochs, one line for each learning rate, and mark the pair that was trained with.

    If that is not the pair with the lowest error, that one is marked too, and the legend says why it was passed over.

    Args:
        trials: columns learning_rate, epoch, validation_error (percent).
        search: the search's record.
        choice: what the model was trained with.
    """
    figure, axes = make_axes("validation error (%)", height=3.6)
    colours = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
    for place, trial in enumerate(sorted(search.trials, key=lambda trial: -trial.learning_rate)):
        curve = trials[np.isclose(trials["learning_rate"], trial.learning_rate, rtol=1e-9, atol=0)]
        axes.plot(
            curve["epoch"],
            curve["validation_error"],
            color=colours[place % len(colours)],
            linestyle=_LINE_STYLES[place % len(_LINE_STYLES)],
            label=f"rate {trial.learning_rate:g}" + (f" ({trial.failure})" if trial.failure else ""),
        )
    diamond: dict[str, Any] = {"linestyle": "none", "marker": "D", "markersize": 6, "markerfacecolor": "white"}
    marks = diamond | {"markeredgecolor": BLACK, "markeredgewidth": 1.4, "clip_on": False, "zorder": 5}
    axes.plot(choice.epochs, choice.validation_error, **marks, label=f"chosen: {_describe(choice)}")
    if (choice.learning_rate, choice.epochs) != (search.learning_rate, search.epochs):
        failed = choice.why_not(search)
        reason = f"; {failed.failure} with seed {failed.seed}" if failed else ""
        marks |= {"marker": "X", "markersize": 7, "markeredgewidth": 1}
        axes.plot(search.epochs, search.validation_error, **marks, label=f"rejected: {_describe(search)}{reason}")
    scale_errors(axes, trials["validation_error"].to_numpy())
    _scale_epochs(axes, trials["epoch"].to_numpy())
    figure.legend(loc="outside lower left", ncols=1 if len(search.trials) < 3 else 2)
    return figure


def draw_confusion(matrix: Array, classes: Sequence[str]) -> Figure:
    """Draw the confusion matrix so that the errors show: the diagonal is grey, only errors are coloured.

    Args:
        matrix: counts, int (classes, classes); actual classes in rows, predicted ones in columns.
        classes: their names.
    """
    diagonal = np.eye(len(matrix), dtype=bool)
    errors = np.where(diagonal, 0, matrix)
    most = max(int(errors.max()), 1)

    figure = Figure(figsize=(WIDTH, 4.0))
    axes = figure.add_subplot()
    axes.grid(visible=False)
    image = axes.imshow(np.ma.masked_array(errors, diagonal), cmap=_ERRORS_MAP, vmin=0, vmax=most)
    axes.set_facecolor(GREY)  # seen through the masked diagonal
    for (actual, predicted), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if errors[actual, predicted] > 0.5 * most else BLACK
            axes.text(predicted, actual, f"{count:.0f}", ha="center", va="center", fontsize=8, color=colour)
    are_long = max(map(len, classes)) > 2
    # A name is no formula, whatever dollars are in it.
    axes.set_xticks(range(len(matrix)), classes, rotation=90 if are_long else 0, parse_math=False)
    axes.set_yticks(range(len(matrix)), classes, parse_math=False)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("actual class")

    totals = matrix.sum(axis=1)
    recall = np.divide(100 * matrix.diagonal(), totals, out=np.zeros(len(matrix)), where=totals > 0)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(matrix)), [f"{value:.1f}" for value in recall])
    right.tick_params(length=0)
    axes.annotate("recall\n(%)", (1.06, -0.025), xycoords="axes fraction", ha="center", va="top", fontsize=8)
    colour_bar = figure.colorbar(image, ax=axes, label="errors (images)", shrink=0.85, pad=0.03)
    colour_bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    colour_bar.outline.set_visible(False)
    for spine in [*axes.spines.values(), *right.spines.values()]:
        spine.set_visible(False)
    return figure


def draw_test_errors(test_errors: pd.DataFrame) -> Figure:
    """Draw all models' test error over epochs; twins share a colour, and the line style tells the framework.

    Args:
        test_errors: columns model, epoch, test_error (percent).
    """
    figure, axes = make_axes("test error (%)", height=3.8)
    for model, (framework, letter) in MODELS.items():
        curve = test_errors[test_errors["model"] == model]
        axes.plot(
            curve["epoch"],
            curve["test_error"],
            color=_ARCHITECTURE_COLOURS[letter],
            linestyle=_FRAMEWORK_STYLES[framework],
            label=f"{model} {curve['test_error'].iloc[-1]:.2f} %",
        )
    scale_errors(axes, test_errors["test_error"].to_numpy())
    _scale_epochs(axes, test_errors["epoch"].to_numpy())
    _label_ends(axes)
    styles = [
        Line2D([], [], color=BLACK, linestyle=_FRAMEWORK_STYLES[framework], label=name)  # type: ignore[arg-type]
        for framework, name in FRAMEWORK_NAMES.items()
    ]
    figure.legend(handles=styles, loc="outside lower left", ncols=2)
    return figure


def draw_parity(curves: pd.DataFrame) -> Figure:
    """Draw the test error of both twins of every network: where dots lie on a line, they agree.

    Args:
        curves: columns letter, framework, epoch, test_error (percent).
    """
    letters = curves.groupby("letter")
    num_rows = (len(letters) + 1) // 2
    figure = Figure(figsize=(WIDTH, 2.1 * num_rows))
    panels = figure.subplots(num_rows, 2, sharex=True, squeeze=False)
    for axes in panels.flat[: -len(letters)]:  # the first, where their number is odd: the lowest have the epochs
        axes.remove()
    looks: dict[str, dict[str, Any]] = {
        "tensorflow": {"color": BLUE},
        "numpy": {"color": VERMILLION, "marker": "o", "markersize": 4, "linestyle": "none", "clip_on": False},
    }
    for axes, (letter, both) in zip(panels.flat[-len(letters) :], letters, strict=True):
        for framework, name in FRAMEWORK_NAMES.items():
            curve = both[both["framework"] == framework]
            axes.plot(curve["epoch"], curve["test_error"], label=name, **looks[framework])
        axes.set_title(f"network {letter}", loc="left")
        axes.set_ylim(0, 1.1 * both["test_error"].max() or 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel("test error (%)", fontsize=9)
    figure.legend(*panels[-1, -1].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def make_axes(y_label: str, height: float = 3.1) -> tuple[Figure, Axes]:
    """Begin a figure with epochs along the horizontal axis."""
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_subplot()
    axes.set_xlabel("epoch")
    axes.set_ylabel(y_label)
    return figure, axes


def _describe(pair: Choice | Search) -> str:
    epochs = "1 epoch" if pair.epochs == 1 else f"{pair.epochs} epochs"
    return f"{pair.validation_error:.2f} % after {epochs} at {pair.learning_rate:g}"


def _label_ends(axes: Axes) -> None:
    """Write every line's label at the right edge, joined to the line's end; labels that would collide move apart."""
    gap = 0.062  # of the axes' height
    lines = sorted(axes.get_lines(), key=lambda line: float(np.asarray(line.get_ydata())[-1]))
    ends = [(float(np.asarray(line.get_xdata())[-1]), float(np.asarray(line.get_ydata())[-1])) for line in lines]
    heights = axes.transAxes.inverted().transform(axes.transData.transform(ends))[:, 1]
    # Pushed up from the lowest, and down from the highest; halfway between, every gap still is wide enough.
    steps = gap * np.arange(len(lines))
    up = np.maximum.accumulate(heights - steps) + steps
    down = np.minimum.accumulate((heights - steps)[::-1])[::-1] + steps
    for line, end, height in zip(lines, ends, (up + down) / 2, strict=True):
        axes.annotate(
            str(line.get_label()),
            end,
            xytext=(1.06, height),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.6, "shrinkA": 1, "shrinkB": 0},
        )


def _scale_epochs(axes: Axes, epochs: Array) -> None:
    """Choose the scale of the epoch axis: logarithmic if there are many."""
    axes.set_xlim(1, max(int(epochs.max()), 2))
    if epochs.max() <= _FEW_EPOCHS:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
        return
    axes.set_xscale("log")
    axes.set_xlabel("epoch, logarithmic")
    label_log_axis(axes.xaxis, FixedLocator([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]))


def scale_errors(axes: Axes, percents: Array) -> None:
    """Choose the scale of the error axis: logarithmic, with a linear piece from 0 to 0.1 % where errors go so low.

    Args:
        axes: to be scaled.
        percents: all errors that are drawn, with the edges of their bands.
    """
    low, high = float(percents.min()), float(percents.max())
    if high < 2.5 * max(low, 0.02):
        margin = 0.05 * (high - low) or 0.1
        axes.set_ylim(max(0, low - margin), high + margin)
        return
    if low < 0.1:
        axes.set_yscale("symlog", linthresh=0.1, linscale=0.5)
        ticks = [0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
        axes.set_ylim(-0.01 if low == 0 else 0, high * 1.15)
    else:
        axes.set_yscale("log")
        if high > 10 * low:
            ticks = [0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20, 30, 50, 100]
        else:
            ticks = [0.1, 0.2, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50, 70, 100]
        axes.set_ylim(low / 1.2, high * 1.12)  # a mark on the lowest point stays clear of the epochs
    axes.set_ylabel(f"{axes.get_ylabel()}, logarithmic")
    label_log_axis(axes.yaxis, FixedLocator(ticks))


def label_log_axis(axis: Axis, locator: Locator) -> None:
    """Label a logarithmic axis with plain numbers, at these places only."""
    axis.set_major_locator(locator)
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
