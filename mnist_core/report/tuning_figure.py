"""Figures of the tuned protocol's searches: every trial's curve, the best so far over compute, what mattered."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, LogLocator, MaxNLocator

from mnist_core.candidates import CHOICES, Search, read_search
from mnist_core.models import TUNED
from mnist_core.records import read_details, read_summary
from mnist_core.report.plotting import (
    BLACK,
    BLUE,
    VERMILLION,
    WIDTH,
    draw_curves,
    figure_style,
    label_log_axis,
    make_axes,
    save_figure,
    scale_errors,
)
from mnist_core.report.results import read_curves, read_trials
from mnist_core.report.study import first_rung, importances

_LEFT_OUT = "#8C8C8C"

TUNED_FIGURES = ("curves", "search", "best", "hyperparameters")


def write_tuned_figures(plots: Path, metrics: Path, searches: Path, output: Path) -> None:
    """Draw the figures of the tuned protocol's models, named <kind>_<model> with the kinds of `TUNED_FIGURES`.

    Args:
        plots: as in `plotting.write_figures`.
        metrics: holds summary.json, which has these models, and details.json.
        searches: holds <model>.json of each search.
        output: directory that receives SVG and PNG.

    Raises:
        UserError: an input file is missing or broken, or does not fit the others.
    """
    summary, details = read_summary(metrics / "summary.json"), read_details(metrics / "details.json")
    for model in [model for model in summary if model in TUNED]:
        curves = read_curves(plots / "curves" / f"{model}.csv", summary[model], details.num_images)
        search = read_search(searches / f"{model}.json", model)
        trials = read_trials(plots / "search" / f"{model}.csv", search)
        with figure_style():
            figures = (
                draw_curves(curves),
                draw_trials(trials, search),
                draw_best_so_far(trials),
                draw_hyperparameters(trials, search),
            )
            for kind, figure in zip(TUNED_FIGURES, figures, strict=True):
                save_figure(figure, output / f"{kind}_{model}")


def draw_trials(curves: pd.DataFrame, search: Search) -> Figure:
    """Draw the validation error of every trial over its epochs; a dot ends those that were left out, a cross failures.

    Args:
        curves: columns trial, epoch, validation_error (percent), best.
        search: the search's record.
    """
    figure, axes = make_axes("validation error (%)", height=3.6)
    whole = max(trial.epochs for trial in search.trials)
    for number, trial in enumerate(search.trials):
        curve = curves[curves["trial"] == number]
        if curve.empty:
            continue
        end: dict[str, Any] = {"color": BLUE, "linewidth": 1.1, "zorder": 3}
        if trial.failure or trial.epochs < whole:
            end = {"color": _LEFT_OUT, "linewidth": 0.8, "marker": "x" if trial.failure else "o", "markersize": 3}
        axes.plot(curve["epoch"], curve["validation_error"], markevery=[-1], **end)
    won = curves[curves["best"] == 1]
    diamond: dict[str, Any] = {
        "linestyle": "none",
        "marker": "D",
        "markersize": 6,
        "markerfacecolor": "white",
        "zorder": 5,
    }
    axes.plot(won["epoch"], won["validation_error"], color=BLACK, label="chosen", clip_on=False, **diamond)
    axes.set_xlim(1, max(whole, 2))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    scale_errors(axes, curves["validation_error"].to_numpy())
    return figure


def best_so_far(curves: pd.DataFrame) -> pd.DataFrame:
    """Return how low an error so many epochs buy: trial by trial, in the order in which they were asked for.

    That is how compute is counted, not how it passed: the trials of a batch train side by side, rung by rung.

    Args:
        curves: columns trial, epoch, validation_error (percent), ordered by the first two.

    Returns:
        Columns trained (epochs of the trials up to here) and validation_error, one row an epoch.
    """
    return pd.DataFrame(
        {
            "trained": np.arange(1, len(curves) + 1),
            "validation_error": np.minimum.accumulate(curves["validation_error"].to_numpy()),
        }
    )


def draw_best_so_far(curves: pd.DataFrame) -> Figure:
    """Draw `best_so_far`."""
    figure, axes = make_axes("lowest error so far (%)")
    best = best_so_far(curves)
    axes.step(best["trained"], best["validation_error"], where="post", color=BLUE)
    axes.set_xlabel("epochs, trial by trial")
    axes.set_xlim(1, max(len(best), 2))
    scale_errors(axes, best["validation_error"].to_numpy())
    return figure


def _rate_locator(span: float) -> Locator:
    """Return where to label an axis whose end is so many times its start, so that the labels do not touch."""
    if span < 4:
        return MaxNLocator(4, steps=(1, 2, 5, 10))
    return LogLocator(subs=(1, 2, 5) if span < 100 else (1,), numticks=9)


def draw_hyperparameters(curves: pd.DataFrame, search: Search) -> Figure:
    """Draw the error at the first rung over every hyperparameter, with its `Importance` where there is one."""
    rung, found = first_rung(search), importances(search, curves)
    at_rung = curves[curves["epoch"] == rung].set_index("trial")["validation_error"]
    sound = [number for number, trial in enumerate(search.trials) if not trial.failure]
    figure = Figure(figsize=(WIDTH, 4.2))
    panels = figure.subplots(2, 3, sharey=True)
    for axes, name in zip(panels.flat, ("learning_rate", *CHOICES), strict=True):
        values = [getattr(search.trials[number].hyperparameters, name) for number in sound]
        errors = [at_rung[number] for number in sound]
        if name == "learning_rate":
            axes.set_xscale("log")
            axes.plot(values, errors, "o", color=BLUE, markersize=4)
            label_log_axis(axes.xaxis, _rate_locator(max(values) / min(values)))
        else:
            choices = sorted(set(values))
            axes.plot([choices.index(value) for value in values], errors, "o", color=BLUE, markersize=4)
            axes.set_xticks(range(len(choices)), [f"{value:g}" if name != "schedule" else value for value in choices])
            axes.set_xlim(-0.5, len(choices) - 0.5)
        axes.tick_params(axis="x", labelrotation=30)
        axes.set_title(name.replace("_", " "), loc="left")
        if name in found:
            share, chance = 100 * found[name].share, 100 * found[name].chance
            axes.set_title(f"{share:.0f} ({chance:.0f})", loc="right", color=VERMILLION)
    epochs = "1 epoch" if rung == 1 else f"{rung} epochs"
    figure.supylabel(f"validation error after {epochs} (%)", fontsize=9)
    return figure
