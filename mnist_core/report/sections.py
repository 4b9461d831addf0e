"""What the sections of the page say, as plain values for the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup

from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Array, Weights
from mnist_core.errors import UserError
from mnist_core.files import REMEDY, read_array, read_arrays, read_csv, read_json, read_text, reading
from mnist_core.models import COLUMNS, framework_and_letter
from mnist_core.networks.architectures import Architecture, Conv2D, Dense, LayerSpec, parameter_shapes
from mnist_core.networks.model_file import load_model
from mnist_core.params import Params
from mnist_core.records import CONFUSION_COLUMNS, CURVE_COLUMNS, SEARCH_KEYS
from mnist_core.report.plotting import FRAMEWORK_NAMES
from mnist_core.report.svg import inline_svg, png_uri

MAX_GALLERY = 60


MAX_MAPS = 16


_MILESTONES = (1, 2, 5, 10, 20, 50, 100, 200, 500)


@dataclass(frozen=True)
class ReportSources:
    """The files that the page is made of; directories hold one file a model, named after it."""

    summary: Path  # metrics of all models, JSON
    gradients: Path  # gradient checks, JSON
    parity: Path  # side-by-side training, JSON
    parity_curves: Path  # its error curves, CSV
    derivations: Path  # Markdown
    search: Path  # directory of JSON
    curves: Path  # directory of CSV
    confusion: Path  # directory of CSV
    figures: Path  # directory of SVG
    predictions: Path  # directory of npz
    models: Path  # directory of <model>/seed_<seed>.npz
    prepared: Path  # directory of the prepared test images and labels


def figure(path: Path, label: str) -> Markup:
    """Return an SVG file as an element of the page; UserError if it is missing or no SVG."""
    try:
        return inline_svg(read_text(path), prefix=f"{path.stem}-", label=label)
    except ElementTree.ParseError as error:
        raise UserError(f"{path}: not an SVG figure; {REMEDY}") from error


@dataclass(frozen=True)
class _ArchitectureRow:
    letter: str
    layers: list[str]
    num_parameters: int


def architecture_row(letter: str, params: Params) -> _ArchitectureRow:
    """Describe one of the four networks."""
    architecture: Architecture = getattr(params.architectures, letter)
    shapes = parameter_shapes(architecture)
    return _ArchitectureRow(
        letter,
        [_describe_layer(layer) for layer in architecture],
        int(sum(np.prod(shape) for shape in shapes.values())),
    )


def _describe_layer(layer: LayerSpec) -> str:
    if isinstance(layer, Dense):
        text = f"dense {layer.units}"
    elif isinstance(layer, Conv2D):
        stride = f", stride {layer.stride}" if layer.stride > 1 else ""
        text = f"{layer.kernel_size}×{layer.kernel_size} convolution, {layer.filters} filters{stride}"
        text += f", {layer.padding} padding"
    else:
        return f"{layer.pool_size}×{layer.pool_size} max pooling, stride {layer.stride}, {layer.padding} padding"
    return text + (", ReLU" if layer.activation == "relu" else "")


@dataclass(frozen=True)
class _ModelSection:
    name: str
    problem: str
    framework: str
    letter: str
    twin: str
    batch_size: int
    search_seed: int
    strategy: str
    search: dict[str, Any]
    probes: list[dict[str, Any]]
    last_epoch_won: bool
    largest_rate_won: bool
    search_figure: Markup
    curves_figure: Markup
    confusion_figure: Markup
    milestones: list[dict[str, float]]
    log: str
    num_epochs: int
    metrics: dict[str, Any]
    published: Mapping[str, Any] | None
    confusion: list[list[int]]


def model_section(
    model: str, params: Params, sources: ReportSources, metrics: dict[str, Any], published: Mapping[str, Any] | None
) -> _ModelSection:
    """Gather all that the page says of one model; UserError if a file is missing or broken."""
    framework, letter = framework_and_letter(model)
    model_params = params.active.framework(model)
    search = read_json(sources.search / f"{model}.json", SEARCH_KEYS)
    rates = [trial["learning_rate"] for trial in search["trials"]]
    curves = read_csv(sources.curves / f"{model}.csv", CURVE_COLUMNS)
    rows: list[dict[str, float]] = curves.to_dict("records")  # type: ignore[assignment]
    last = rows[-1]["epoch"]
    chosen = next(trial for trial in search["trials"] if trial["learning_rate"] == metrics["learning_rate"])
    return _ModelSection(
        name=model,
        problem=COLUMNS[model],
        framework=FRAMEWORK_NAMES[framework],
        letter=letter,
        twin=("2" if framework == "tensorflow" else "1") + letter,
        batch_size=model_params.batch_size,
        search_seed=model_params.search.seed,
        strategy=model_params.search.strategy,
        search=search,
        probes=search.get("probes", []),
        last_epoch_won=metrics["epochs"] == chosen["epochs"],
        largest_rate_won=len(rates) > 1 and metrics["learning_rate"] == max(rates),
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
        milestones=[row for row in rows if row["epoch"] in _MILESTONES or row["epoch"] == last],
        log="\n".join(
            f"Epoch: {row['epoch']:.0f}, Train error: {row['train_error'] / 100:.5f}, "
            f"Test error: {row['test_error'] / 100:.5f}"
            for row in rows
        ),
        num_epochs=len(rows),
        metrics=metrics,
        published=published,
        confusion=_confusion(sources.confusion / f"{model}.csv"),
    )


def _confusion(path: Path) -> list[list[int]]:
    frame = read_csv(path, CONFUSION_COLUMNS)
    counts = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
    counts[frame["actual"], frame["predicted"]] = frame["count"]
    table: list[list[int]] = counts.tolist()
    return table


@dataclass(frozen=True)
class _Mistake:
    index: int
    image: str
    label: int
    prediction: int
    probabilities: list[float]


@dataclass(frozen=True)
class _Gallery:
    mistakes: list[_Mistake]
    num_wrong: int
    num_images: int


def gallery(sources: ReportSources, model: str) -> _Gallery:
    """Return the test images that the network of the first seed gets wrong, the surest first."""
    images = read_array(sources.prepared / "test_images.npy")
    labels = read_array(sources.prepared / "test_labels.npy")
    path = sources.predictions / f"{model}.npz"
    with reading(path, "predictions"):
        probabilities = read_arrays(path)["probabilities"]
    if not len(images) == len(labels) == len(probabilities):
        raise UserError(f"{path}: {len(probabilities)} predictions for {len(labels)} test images; {REMEDY}")
    predictions = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    surest_first = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
    mistakes = [
        _Mistake(
            index=int(index),
            image=png_uri(images[index]),
            label=int(labels[index]),
            prediction=int(predictions[index]),
            probabilities=[float(value) for value in probabilities[index]],
        )
        for index in surest_first[:MAX_GALLERY]
    ]
    return _Gallery(mistakes, len(wrong), len(images))


@dataclass(frozen=True)
class _Map:
    name: str
    image: str


@dataclass(frozen=True)
class _FirstLayer:
    model: str
    framework: str
    maps: list[_Map]
    num_maps: int
    limit: float
    size: int
    reason: str  # why there are no maps


def first_layer(model: str, sources: ReportSources, seed: int) -> _FirstLayer:
    """Return pictures of the weights that read the image."""
    architecture, weights = load_model(sources.models / model / f"seed_{seed}.npz")
    framework = FRAMEWORK_NAMES[framework_and_letter(model)[0]]
    kernels = first_layer_kernels(architecture, weights)
    if kernels is None:
        reason = f"Its first layer is {_describe_layer(architecture[0])}, which has no weights to show."
        return _FirstLayer(model, framework, [], 0, 0.0, 0, reason)
    noun = "filter" if isinstance(architecture[0], Conv2D) else "unit"
    if len(architecture) == 1:
        noun = "class"
    first = 0 if noun == "class" else 1
    shown = kernels[:MAX_MAPS]
    # A few extreme weights would leave all others pale.
    limit = float(np.quantile(np.abs(shown), 0.995)) or 1.0
    maps = [_Map(f"{noun} {number}", png_uri(kernel, limit=limit)) for number, kernel in enumerate(shown, start=first)]
    return _FirstLayer(model, framework, maps, len(kernels), limit, kernels.shape[1], "")


def first_layer_kernels(architecture: Architecture, weights: Weights) -> Array | None:
    """Return the weights that read the image, one map an output: (outputs, height, width).

    A dense layer's map has the image's 28 x 28 pixels, a convolution's the size of its kernel. None if the first layer
    has no weights.
    """
    layer = architecture[0]
    if not isinstance(layer, Dense | Conv2D):
        return None
    kernel = weights[next(iter(parameter_shapes(architecture)))]
    if isinstance(layer, Dense):
        maps: Array = kernel.T.reshape(layer.units, *IMAGE_SHAPE[:2])
    else:
        maps = kernel[:, :, 0, :].transpose(2, 0, 1)
    return maps


_METHODS = {"finite_difference": "finite differences", "tensorflow": "TensorFlow", "naive": "naive loops"}


@dataclass(frozen=True)
class _GradientRow:
    tensor: str
    errors: list[float | None]  # one for each method, None where it does not apply


@dataclass(frozen=True)
class _GradientChecks:
    methods: list[str]
    layers: dict[str, list[_GradientRow]]
    networks: dict[str, list[_GradientRow]]
    largest: float
    tolerance: float


def gradient_checks(path: Path) -> _GradientChecks:
    """Read the record of the gradient checks."""
    record = read_json(path)
    try:
        parts = {
            part: {
                subject: [
                    _GradientRow(tensor, [errors.get(method) for method in _METHODS])
                    for tensor, errors in tensors.items()
                ]
                for subject, tensors in record[part].items()
            }
            for part in ("layers", "networks")
        }
        return _GradientChecks(
            list(_METHODS.values()), **parts, largest=float(record["largest"]), tolerance=float(record["tolerance"])
        )
    except (KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: not what stage gradcheck writes; {REMEDY}") from error


_LOGIT_DIFFERENCES = {
    "logit_difference": "twins, 32 bits",
    "logit_difference_one_rounding": "NumPy and itself, 32 bits",
    "logit_difference_float64": "twins, 64 bits",
}


@dataclass(frozen=True)
class _ParityRow:
    letter: str
    differences: dict[str, list[float]]  # of logits, after each number of steps
    error_gap: float
    predictions: int
    disagreements: int
    near_ties: int
    unexplained: int


def parity_rows(path: Path, steps: Sequence[int]) -> list[_ParityRow]:
    """Read the record of the twins side by side."""
    try:
        return [
            _ParityRow(
                letter,
                {name: [record[key][str(step)] for step in steps] for key, name in _LOGIT_DIFFERENCES.items()},
                record["largest_error_gap"],
                **{
                    key: record["cross_loaded"][key]
                    for key in ("predictions", "disagreements", "near_ties", "unexplained")
                },
            )
            for letter, record in read_json(path).items()
        ]
    except (KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: not what stage parity writes with these parameters; {REMEDY}") from error
