"""What the sections of the page say, as plain values for the template: networks, models, gradient checks, twins.

Each function takes the paths of its files, reads them, and returns one value; what is shown as a picture of pixels
stands in `images.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never, get_args

import numpy as np
from markupsafe import Markup

from mnist_core.candidates import HYPERPARAMETERS, Choice, FailedCandidate, Search, read_choice, read_search
from mnist_core.errors import UserError
from mnist_core.files.reading import REMEDY, read_record, read_text, reading
from mnist_core.models import COLUMNS, framework_and_letter
from mnist_core.networks.architectures import Architecture, Conv2D, Dense, LayerSpec, MaxPool2D, parameter_shapes
from mnist_core.params import Params
from mnist_core.records import (
    Details,
    GradientChecks,
    Method,
    RelativeErrors,
    Scores,
    Twins,
    read_details,
    read_twins,
)
from mnist_core.report.comparison_text import comparison_paragraph
from mnist_core.report.names import FRAMEWORK_NAMES
from mnist_core.report.results import read_comparisons, read_curves, read_first_confusion
from mnist_core.report.svg import inline_svg

_MILESTONES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_METHOD_NAMES: dict[Method, str] = {
    "finite_difference": "finite differences",
    "tensorflow": "TensorFlow",
    "naive": "naive loops",
}


@dataclass(frozen=True)
class ReportSources:
    """The files that the page is made of; directories hold one file a model, named after it."""

    summary: Path  # metrics of all models, JSON
    gradients: Path  # gradient checks, JSON
    parity: Path  # side-by-side training, JSON
    comparisons: Path  # of the models pair by pair, CSV
    details: Path  # what predictions show beyond the error, JSON
    derivations: Path  # Markdown
    tuned_comparisons: Path  # of the tuned protocol with the report's, and of its twins, CSV
    search: Path  # directory of JSON
    trials: Path  # directory of CSV
    curves: Path  # directory of CSV
    confusion: Path  # directory of CSV
    figures: Path  # directory of SVG
    predictions: Path  # directory of npz
    models: Path  # directory of <model>/seed_<seed>.npz, <model>/seed_<seed>.csv and <model>/hyperparameters.json
    prepared: Path  # directory of the prepared test images and labels


def figure(path: Path, label: str) -> Markup:
    """Return an SVG file as an element of the page; UserError if it is missing or none that matplotlib writes."""
    with reading(path, "an SVG figure of matplotlib"):
        return inline_svg(read_text(path), prefix=f"{path.stem}-", label=label)


@dataclass(frozen=True)
class ComparisonSection:
    """Which differences are real, and what the predictions show beyond the error; figures as elements of the page."""

    paragraph: str
    intervals_figure: Markup
    differences_figure: Markup
    reliability_figure: Markup
    details: Details


def comparison_section(sources: ReportSources) -> ComparisonSection:
    """Gather what stage compare found."""
    details = read_details(sources.details)
    return ComparisonSection(
        comparison_paragraph(read_comparisons(sources.comparisons), details),
        figure(sources.figures / "intervals.svg", "The test error of every model with its interval."),
        figure(sources.figures / "differences.svg", "The difference of every pair of models with its interval."),
        figure(
            sources.figures / "reliability.svg",
            "A chart for each model: how often a model is right when it is so sure.",
        ),
        details,
    )


@dataclass(frozen=True)
class NetworkRow:
    """One of the networks: its layers in words and the number of its parameters."""

    letter: str
    layers: list[str]
    num_parameters: int


def network_row(letter: str, architecture: Architecture) -> NetworkRow:
    """Describe one of the networks."""
    num_parameters = int(sum(np.prod(shape) for shape in parameter_shapes(architecture).values()))
    return NetworkRow(letter, [describe_layer(layer) for layer in architecture], num_parameters)


def describe_layer(layer: LayerSpec) -> str:
    """Return a layer in words."""
    if isinstance(layer, Dense):
        text = f"dense {layer.units}"
    elif isinstance(layer, Conv2D):
        stride = f", stride {layer.stride}" if layer.stride > 1 else ""
        text = f"{layer.kernel_size}×{layer.kernel_size} convolution, {layer.filters} filters{stride}"
        text += f", {layer.padding} padding"
    elif isinstance(layer, MaxPool2D):
        return f"{layer.pool_size}×{layer.pool_size} max pooling, stride {layer.stride}, {layer.padding} padding"
    else:
        assert_never(layer)
    return text + (", ReLU" if layer.activation == "relu" else "")


@dataclass(frozen=True)
class ModelSection:
    """All that the page says of one model."""

    name: str
    problem: str
    framework: str
    letter: str
    twin: str
    batch_size: int
    search_seed: int
    strategy: str
    scores: Scores
    published: Mapping[str, Any] | None  # in the 2017 report
    search: Search
    choice: Choice
    passed_over: FailedCandidate | None  # why the choice is not the pair with the lowest validation error, if it is not
    last_epoch_won: bool
    largest_rate_won: bool
    search_figure: Markup
    curves_figure: Markup
    confusion_figure: Markup
    confusion: list[list[int]]
    num_errors: int
    num_images: int
    epochs: list[dict[str, float]]  # epoch, and mean and deviation of both errors
    milestones: list[dict[str, float]]  # some of them


def model_section(
    model: str,
    params: Params,
    sources: ReportSources,
    scores: Scores,
    details: Details,
    published: Mapping[str, Any] | None,
) -> ModelSection:
    """Gather all that the page says of one model; UserError if a file is missing or broken."""
    framework, letter = framework_and_letter(model)
    model_params = params.active.framework(model)
    search = read_search(sources.search / f"{model}.json", model)
    choice = read_choice(sources.models / model / HYPERPARAMETERS, model, search)
    curves = read_curves(sources.curves / f"{model}.csv", scores, details.num_images)
    epochs: list[dict[str, float]] = curves.to_dict("records")  # type: ignore[assignment]
    history = sources.models / model / f"seed_{details.seeds[0]}.csv"
    confusion = read_first_confusion(sources.confusion / f"{model}.csv", history, details.num_images)
    rates = [trial.learning_rate for trial in search.trials]
    is_lowest = (choice.learning_rate, choice.epochs) == (search.learning_rate, search.epochs)
    return ModelSection(
        name=model,
        problem=COLUMNS[model],
        framework=FRAMEWORK_NAMES[framework],
        letter=letter,
        twin=("2" if framework == "tensorflow" else "1") + letter,
        batch_size=model_params.batch_size,
        search_seed=model_params.search.seed,
        strategy=model_params.search.strategy,
        scores=scores,
        published=published,
        search=search,
        choice=choice,
        passed_over=None if is_lowest else choice.why_not(search),
        last_epoch_won=(choice.learning_rate, choice.epochs)
        in [(trial.learning_rate, trial.epochs) for trial in search.trials],
        largest_rate_won=len(rates) > 1 and choice.learning_rate == max(rates),
        search_figure=figure(
            sources.figures / f"search_{model}.svg",
            f"Line chart: validation error of model {model} after each epoch, one line for each learning rate.",
        ),
        curves_figure=figure(
            sources.figures / f"curves_{model}.svg",
            f"Line chart: training and test error of model {model} after each epoch, mean over the seeds.",
        ),
        confusion_figure=figure(
            sources.figures / f"confusion_{model}.svg",
            f"Confusion matrix of model {model}. The table below it holds the same counts.",
        ),
        confusion=confusion.tolist(),
        num_errors=int(confusion.sum() - confusion.trace()),
        num_images=int(confusion.sum()),
        epochs=epochs,
        milestones=[row for row in epochs if row["epoch"] in _MILESTONES or row is epochs[-1]],
    )


@dataclass(frozen=True)
class GradientRow:
    """The largest relative errors of a gradient, one a method; None where the method does not apply."""

    tensor: str
    errors: list[float | None]


@dataclass(frozen=True)
class GradientSection:
    """The gradient checks: layer or network -> its rows."""

    methods: list[str]
    layers: dict[str, list[GradientRow]]
    networks: dict[str, list[GradientRow]]
    largest: float
    tolerance: float


def gradient_section(path: Path) -> GradientSection:
    """Read the record of the gradient checks."""
    checks = read_record(path, GradientChecks)
    return GradientSection(
        [_METHOD_NAMES[method] for method in get_args(Method)],
        _gradient_rows(checks.layers),
        _gradient_rows(checks.networks),
        checks.largest,
        checks.tolerance,
    )


def _gradient_rows(errors: RelativeErrors) -> dict[str, list[GradientRow]]:
    return {
        subject: [
            GradientRow(tensor, [by_method.get(method) for method in get_args(Method)])
            for tensor, by_method in tensors.items()
        ]
        for subject, tensors in errors.items()
    }


@dataclass(frozen=True)
class TwinsRow:
    """The twins of one letter, side by side."""

    letter: str
    differences: dict[str, list[float]]  # what is compared -> largest difference of logits after each number of steps
    record: Twins


def twins_rows(path: Path, steps: Sequence[int]) -> list[TwinsRow]:
    """Read the record of the twins side by side; UserError if it was made with other numbers of steps."""
    rows = []
    for letter, record in read_twins(path).items():
        compared = {
            "twins, 32 bits": record.logit_difference,
            "NumPy and itself, 32 bits": record.logit_difference_one_rounding,
            "twins, 64 bits": record.logit_difference_float64,
            "twins with momentum, 64 bits": record.logit_difference_momentum_float64,
        }
        if any(str(step) not in differences for step in steps for differences in compared.values()):
            raise UserError(f"{path}: not after {', '.join(map(str, steps))} steps, as params.yaml says; {REMEDY}")
        rows.append(
            TwinsRow(
                letter,
                {name: [differences[str(step)] for step in steps] for name, differences in compared.items()},
                record,
            )
        )
    return rows
