"""Figures for print, drawn with matplotlib from the CSV and JSON files that the stages leave.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; line styles and written numbers carry the same
meaning in black and white. Sizes are final: put into a page unscaled, no text is smaller than 8 points.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from mnist_core.files import read_csv, read_json
from mnist_core.models import MODELS
from mnist_core.records import CONFUSION_COLUMNS, CURVE_COLUMNS, SEARCH_KEYS
from mnist_core.report.svg import inline_svg

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#D9D9D9"
FRAMEWORK_NAMES = {"tensorflow": "TensorFlow", "numpy": "NumPy"}

_LINE_STYLES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 2, 1, 2)))
_ARCHITECTURE_COLOURS = {"a": BLUE, "b": ORANGE, "c": GREEN, "d": PURPLE}
_ARCHITECTURE_MARKERS = {"a": "o", "b": "s", "c": "^", "d": "D"}
_FRAMEWORK_STYLES = {"tensorflow": _LINE_STYLES[0], "numpy": _LINE_STYLES[1]}
_ERRORS_MAP = LinearSegmentedColormap.from_list("errors", ["#FFFFFF", "#FDD0A2", "#F16913", "#A63603", "#5A1D02"])

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 9,
    "axes.titlesize": 10,
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


def write_figures(plots: Path, searches: Path, output: Path) -> None:
    """Draw every figure of the eight models as SVG and PNG; the same input gives the same bytes.

    Args:
        plots: holds curves/<model>.csv, confusion/<model>.csv, search/<model>.csv and test_errors.csv.
        searches: holds <model>.json of each search.
        output: directory that receives curves_<model>, confusion_<model>, search_<model> and test_errors.

    Raises:
        UserError: an input file is missing or broken.
    """
    for model in MODELS:
        curves = read_csv(plots / "curves" / f"{model}.csv", CURVE_COLUMNS)
        counts = read_csv(plots / "confusion" / f"{model}.csv", CONFUSION_COLUMNS)
        trials = read_csv(plots / "search" / f"{model}.csv", ["learning_rate", "epoch", "validation_error"])
        search = read_json(searches / f"{model}.json", SEARCH_KEYS)
        with figure_style():
            save_figure(draw_curves(curves, model), output / f"curves_{model}")
            save_figure(draw_confusion(counts, model), output / f"confusion_{model}")
            save_figure(draw_search(trials, search), output / f"search_{model}")
    test_errors = read_csv(plots / "test_errors.csv", ["model", "epoch", "test_error"])
    with figure_style():
        save_figure(draw_test_errors(test_errors), output / "test_errors")


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


def draw_curves(curves: pd.DataFrame, model: str) -> Figure:
    """Draw train and test error over epochs: the mean over seeds, and a band of one standard deviation each side.

    Args:
        curves: columns epoch, and <split>_error and <split>_error_std (percent) for train and test.
        model: its name, for the title.
    """
    figure, axes = _axes(f"{_describe(model)}: train and test error", "epoch", "error (%)")
    epochs = curves["epoch"].to_numpy()
    for split, colour, style in (("test", VERMILLION, _LINE_STYLES[0]), ("train", BLUE, _LINE_STYLES[1])):
        mean, std = curves[f"{split}_error"].to_numpy(), curves[f"{split}_error_std"].to_numpy()
        axes.fill_between(epochs, np.maximum(mean - std, 0), mean + std, color=colour, alpha=0.25, linewidth=0)
        axes.plot(epochs, mean, color=colour, linestyle=style, label=f"{split}: {mean[-1]:.2f} % at the end")
    _scale_errors(axes, curves[["train_error", "test_error"]].to_numpy())
    _scale_epochs(axes, epochs)
    axes.legend(title="mean and one standard deviation", title_fontsize=8, alignment="left")
    return figure


def draw_search(trials: pd.DataFrame, search: Mapping[str, Any]) -> Figure:
    """Draw validation error over epochs, one line for each learning rate, and mark the pair that won.

    Args:
        trials: columns learning_rate, epoch, validation_error (percent).
        search: the search's record: model, the winning learning_rate, epochs and validation_error, and its trials.
    """
    figure, axes = _axes(f"{_describe(search['model'])}: search for the learning rate", "epoch", "validation error (%)")
    colours = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
    ordered = sorted(search["trials"], key=lambda trial: -trial["learning_rate"])
    for place, trial in enumerate(ordered):
        rate = trial["learning_rate"]
        curve = trials[np.isclose(trials["learning_rate"], rate, rtol=1e-9, atol=0)]
        axes.plot(
            curve["epoch"],
            curve["validation_error"],
            color=colours[place % len(colours)],
            linestyle=_LINE_STYLES[place % len(_LINE_STYLES)],
            label=f"{rate:g}" + (" (diverged)" if trial["diverged"] else ""),
        )
    axes.plot(
        search["epochs"],
        search["validation_error"],
        linestyle="none",
        marker="D",
        markersize=6,
        markerfacecolor="white",
        markeredgecolor=BLACK,
        markeredgewidth=1.4,
        clip_on=False,
        zorder=5,
        label=f"best: {search['validation_error']:.2f} % at epoch {search['epochs']}",
    )
    _scale_errors(axes, trials["validation_error"].to_numpy())
    _scale_epochs(axes, trials["epoch"].to_numpy())
    # Beside the lines, which may lie anywhere.
    axes.legend(title="learning rate", title_fontsize=8, alignment="left", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_confusion(counts: pd.DataFrame, model: str) -> Figure:
    """Draw the confusion matrix so that the errors show: the diagonal is grey, only errors are coloured.

    Args:
        counts: columns actual, predicted, count, one row for each pair of classes.
        model: its name, for the title.
    """
    matrix = counts.pivot_table(index="actual", columns="predicted", values="count", aggfunc="sum").to_numpy()
    errors = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    most = max(int(errors.max()), 1)

    figure = Figure(figsize=(5.2, 4.4))
    axes = figure.add_subplot()
    axes.grid(visible=False)
    image = axes.imshow(
        np.ma.masked_array(errors, np.eye(len(matrix), dtype=bool)), cmap=_ERRORS_MAP, vmin=0, vmax=most
    )
    axes.set_facecolor(GREY)  # seen through the masked diagonal
    for (actual, predicted), count in np.ndenumerate(matrix):
        if count:
            dark = errors[actual, predicted] > 0.5 * most
            axes.text(
                predicted,
                actual,
                f"{count:.0f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else BLACK,
            )
    classes = range(len(matrix))
    axes.set_xticks(classes)
    axes.set_yticks(classes)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("actual class")
    total = int(matrix.sum())
    axes.set_title(f"{_describe(model)}: {errors.sum():,.0f} errors on {total:,} test images")

    totals = matrix.sum(axis=1)
    recall = np.divide(100 * matrix.diagonal(), totals, out=np.zeros(len(matrix)), where=totals > 0)
    right = axes.secondary_yaxis("right")
    right.set_yticks(classes, [f"{value:.1f}" for value in recall])
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
    figure, axes = _axes("Test error of all models", "epoch (logarithmic)", "test error (%), mean over seeds")
    for model, (framework, letter) in MODELS.items():
        curve = test_errors[test_errors["model"] == model]
        axes.plot(
            curve["epoch"],
            curve["test_error"],
            color=_ARCHITECTURE_COLOURS[letter],
            linestyle=_FRAMEWORK_STYLES[framework],
            marker=_ARCHITECTURE_MARKERS[letter],  # tells the twins apart without colour
            markersize=4.5,
            markevery=[-1],
            clip_on=False,
            label=f"{model} {FRAMEWORK_NAMES[framework]}: {curve['test_error'].iloc[-1]:.2f} %",
        )
    _scale_errors(axes, test_errors["test_error"].to_numpy())
    axes.set_xscale("log")
    _label_log_axis(axes.xaxis, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000])
    axes.set_xlim(1, max(int(test_errors["epoch"].max()), 2))
    axes.legend(title="error at the end", title_fontsize=8, alignment="left", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _axes(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.4))
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure, axes


def _describe(model: str) -> str:
    return f"Model {model} ({FRAMEWORK_NAMES[MODELS[model][0]]})"


def _scale_epochs(axes: Axes, epochs: Any) -> None:
    axes.set_xlim(min(1, epochs.min()), max(epochs.max(), 2))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))


def _scale_errors(axes: Axes, percents: Any) -> None:
    """Choose the scale of the error axis: logarithmic, with a linear piece from 0 to 0.1 % where errors go so low."""
    low, high = float(np.nanmin(percents)), float(np.nanmax(percents))
    ticks = [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50, 70, 100]
    if high < 2.5 * max(low, 0.02):
        axes.set_ylim(bottom=max(0, axes.get_ylim()[0]))
        return
    if low < 0.1:
        axes.set_yscale("symlog", linthresh=0.1, linscale=0.5)
        ticks = [0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
        axes.set_ylim(-0.01 if low == 0 else 0, high * 1.15)
    else:
        axes.set_yscale("log")
        ticks = [0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20, 30, 50, 100] if high > 10 * low else [0.1, 0.2, 0.5, *ticks]
        axes.set_ylim(low / 1.12, high * 1.12)
    axes.set_ylabel(f"{axes.get_ylabel()}, logarithmic")
    _label_log_axis(axes.yaxis, ticks)


def _label_log_axis(axis: Axis, ticks: list[float]) -> None:
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def parity_figure(path: Path) -> Markup:
    """Draw the test error of both twins: where one line hides the other they agree."""
    curves = read_csv(path, ["letter", "framework", "epoch", "test_error"])
    with figure_style():
        figure = Figure(figsize=(6.4, 4.4))
        panels = figure.subplots(2, 2, sharex=True)
        for axes, (letter, both) in zip(panels.flat, curves.groupby("letter"), strict=True):
            for framework, name in FRAMEWORK_NAMES.items():
                curve = both[both["framework"] == framework]
                style = (
                    {"color": VERMILLION, "marker": "o", "linestyle": "none"}
                    if framework == "numpy"
                    else {"color": BLUE}
                )
                axes.plot(curve["epoch"], curve["test_error"], label=name, **style)
            axes.set_title(f"network {letter}", loc="left")
            axes.set_ylim(0, 1.1 * both["test_error"].max() or 1)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[0, 0].legend()
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel("test error (%)", fontsize=9)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return inline_svg(
        buffer.getvalue(),
        prefix="parity-",
        label="Four line charts, one for each network: the test error of its TensorFlow and its NumPy twin by epoch.",
    )
