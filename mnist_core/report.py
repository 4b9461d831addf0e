"""One self-contained HTML page of everything that the pipeline measured.

Reads metrics, curves, figures, predictions and weights from files and fills the Jinja2 template beside this module.
The page holds no script and loads nothing: figures are inline SVG, images are data URIs, formulas are MathML. Nothing
is trained or scored here, and the same files give the same bytes.
"""

import base64
import io
import itertools
import os
import posixpath
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import jinja2
import latex2mathml.converter
import matplotlib.image
import numpy as np
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mdit_py_plugins.dollarmath import dollarmath_plugin

from mnist_core.architectures import (
    IMAGE_SHAPE,
    NUM_CLASSES,
    Architecture,
    Conv2D,
    Dense,
    LayerSpec,
    layer_names,
    parameter_shapes,
)
from mnist_core.classifier import Array, Weights
from mnist_core.errors import UserError
from mnist_core.model_file import load_model
from mnist_core.params import Params, framework_and_letter
from mnist_core.plotting import BLUE, FRAMEWORK_NAMES, VERMILLION, figure_style
from mnist_core.registry import MODELS
from mnist_core.results import CONFUSION_COLUMNS, CURVE_COLUMNS, ERROR_KEYS, REMEDY, SEARCH_KEYS, read_csv, read_json
from mnist_core.tables import COLUMNS, load_reference

MAX_GALLERY = 60
MAX_MAPS = 16
_MILESTONES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_DATASETS = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}


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


def build_report(params: Params, sources: ReportSources, *, page_directory: Path) -> str:
    """Return the page as HTML text.

    Args:
        params: the parameters that the files were made with.
        sources: the files.
        page_directory: where the page will lie; links to source files are relative to it.

    Raises:
        UserError: a file is missing or unreadable, or a formula of the derivations cannot be converted.
    """
    summary = read_json(sources.summary, MODELS)
    for model, key in itertools.product(MODELS, ERROR_KEYS):
        if key not in summary[model]:
            raise UserError(f"{sources.summary}: no key {key} in {model}; {REMEDY}")
    reference = load_reference(params.data.dataset)
    best = min(MODELS, key=lambda model: summary[model]["test_error"])
    return _template().render(
        params=params,
        profile=params.active,
        full_size=_is_full_size(params),
        dataset=_DATASETS[params.data.dataset],
        architectures=[_architecture_row(letter, params) for letter in "abcd"],
        models=[
            _model_section(model, params, sources, summary[model], reference[model] if reference else None)
            for model in MODELS
        ],
        reference=reference,
        best=best,
        best_metrics=summary[best],
        test_errors_figure=_figure(
            sources.figures / "test_errors.svg", "Line chart of the test error of all eight models after each epoch."
        ),
        gallery=_gallery(sources, best),
        first_layers=[_first_layer(model, sources, params.active.train.seeds[0]) for model in ("1a", "2a", "1d", "2d")],
        weight_scale=_png_uri(np.linspace(-1, 1, 65)[None], limit=1),
        gradients=_gradient_checks(sources.gradients),
        parity=_parity_rows(sources.parity, params.active.parity.steps),
        parity_figure=_parity_figure(sources.parity_curves),
        derivations=render_derivations(sources.derivations, page_directory=page_directory),
    )


def _is_full_size(params: Params) -> bool:
    sizes = params.active.data
    return sizes.train + sizes.validation == 60_000 and sizes.test == 10_000


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "rate": "{:g}".format,
        "count": "{:,}".format,
        "power": _format_power,
        "fixed": lambda value, decimals=2: f"{value:.{decimals}f}",
    }
    return environment.get_template("report_template.html.j2")


def _format_power(value: float) -> Markup:
    """Return 3.2e-09 as 3.2 × 10 to the -9."""
    if value == 0:
        return Markup("0")
    mantissa, exponent = f"{value:.1e}".split("e")
    return Markup("{} × 10<sup>{}</sup>").format(mantissa, str(int(exponent)).replace("-", "−"))


# --- files ---


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {REMEDY}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable ({error}); {REMEDY}") from error


def _load_array(path: Path, key: str | None = None) -> Array:
    try:
        with path.open("rb") as file:  # np.load leaves a broken file open that it opened itself
            loaded = np.load(file, allow_pickle=False)
            array: Array = loaded if key is None else loaded[key]
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {REMEDY}") from error
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not the array that was expected; {REMEDY}") from error
    return array


# --- figures and images ---

_SVG_NAMESPACE = "{http://www.w3.org/2000/svg}"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_REFERENCE_PATTERN = re.compile(r"url\(#([^)]+)\)")


def inline_svg(source: str, *, prefix: str, label: str) -> Markup:
    """Turn an SVG file into an element for an HTML page that holds many of them.

    Prolog, metadata and style sheets go (a style sheet would apply to the whole page); identifiers that nothing refers
    to go; the others get `prefix`, so that figures do not take each other's clip paths and markers.

    Args:
        source: text of the SVG file.
        prefix: put before every identifier; unique on the page.
        label: what the figure shows, for those who do not see it.

    Raises:
        ElementTree.ParseError: `source` is not XML.
    """
    root = ElementTree.fromstring(source)
    _drop(root, {f"{_SVG_NAMESPACE}{name}" for name in ("metadata", "style", "title")})
    references = set(_REFERENCE_PATTERN.findall(source)) | set(re.findall(r'href="#([^"]+)"', source))
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG_NAMESPACE)
        attributes = {name: _prefixed(value, prefix) for name, value in element.attrib.items()}
        if _XLINK_HREF in attributes:
            attributes["href"] = attributes.pop(_XLINK_HREF)
        if attributes.get("href", "").startswith("#"):
            attributes["href"] = f"#{prefix}{attributes['href'][1:]}"
        if "id" in attributes:
            identifier = attributes.pop("id")
            if identifier in references:
                attributes["id"] = prefix + identifier
        element.attrib.clear()
        element.attrib.update(attributes)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    # What matplotlib's style sheet says of every element, said once.
    root.set("style", "stroke-linejoin:round;stroke-linecap:butt")
    root.set("role", "img")
    root.set("aria-label", label)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _prefixed(value: str, prefix: str) -> str:
    return _REFERENCE_PATTERN.sub(rf"url(#{prefix}\1)", value)


def _drop(element: ElementTree.Element, tags: set[str]) -> None:
    for child in list(element):
        if child.tag in tags:
            element.remove(child)
        else:
            _drop(child, tags)


def _figure(path: Path, label: str) -> Markup:
    try:
        return inline_svg(_read_text(path), prefix=f"{path.stem}-", label=label)
    except ElementTree.ParseError as error:
        raise UserError(f"{path}: not an SVG figure; {REMEDY}") from error


def _png_uri(pixels: Array, *, limit: float | None = None) -> str:
    """Return an image as data URI: ink on white for 0 to 255, or blue to red for -limit to limit if that is given."""
    buffer = io.BytesIO()
    ink = {"cmap": "gray_r", "vmin": 0, "vmax": 255}
    signed = {"cmap": "RdBu_r", "vmin": -(limit or 0), "vmax": limit}
    # Without its usual metadata, which names matplotlib's version.
    matplotlib.image.imsave(
        buffer, pixels, format="png", metadata={"Software": ""}, **(ink if limit is None else signed)
    )
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


# --- one model ---


@dataclass(frozen=True)
class _ArchitectureRow:
    letter: str
    layers: list[str]
    num_parameters: int


def _architecture_row(letter: str, params: Params) -> _ArchitectureRow:
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


def _model_section(
    model: str, params: Params, sources: ReportSources, metrics: dict[str, Any], published: Mapping[str, Any] | None
) -> _ModelSection:
    framework, letter = framework_and_letter(model)
    model_params = params.active.model(model)
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
        search_figure=_figure(
            sources.figures / f"search_{model}.svg",
            f"Line chart: validation error of model {model} after each epoch, one line for each learning rate.",
        ),
        curves_figure=_figure(
            sources.figures / f"curves_{model}.svg",
            f"Line chart: training and test error of model {model} after each epoch, mean over the seeds.",
        ),
        confusion_figure=_figure(
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


# --- errors of the best model ---


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


def _gallery(sources: ReportSources, model: str) -> _Gallery:
    images = _load_array(sources.prepared / "test_images.npy")
    labels = _load_array(sources.prepared / "test_labels.npy")
    path = sources.predictions / f"{model}.npz"
    probabilities = _load_array(path, "probabilities")
    if not len(images) == len(labels) == len(probabilities):
        raise UserError(f"{path}: {len(probabilities)} predictions for {len(labels)} test images; {REMEDY}")
    predictions = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    surest_first = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
    mistakes = [
        _Mistake(
            index=int(index),
            image=_png_uri(images[index]),
            label=int(labels[index]),
            prediction=int(predictions[index]),
            probabilities=[float(value) for value in probabilities[index]],
        )
        for index in surest_first[:MAX_GALLERY]
    ]
    return _Gallery(mistakes, len(wrong), len(images))


# --- first layers ---


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


def _first_layer(model: str, sources: ReportSources, seed: int) -> _FirstLayer:
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
    maps = [_Map(f"{noun} {number}", _png_uri(kernel, limit=limit)) for number, kernel in enumerate(shown, start=first)]
    return _FirstLayer(model, framework, maps, len(kernels), limit, kernels.shape[1], "")


def first_layer_kernels(architecture: Architecture, weights: Weights) -> Array | None:
    """Return the weights that read the image, one map an output: (outputs, height, width).

    A dense layer's map has the image's 28 x 28 pixels, a convolution's the size of its kernel. None if the first layer
    has no weights.
    """
    layer = architecture[0]
    if not isinstance(layer, Dense | Conv2D):
        return None
    kernel = weights[f"{layer_names(architecture)[0]}.kernel"]
    if isinstance(layer, Dense):
        maps: Array = kernel.T.reshape(layer.units, *IMAGE_SHAPE[:2])
    else:
        maps = kernel[:, :, 0, :].transpose(2, 0, 1)
    return maps


# --- gradient checks and parity ---

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


def _gradient_checks(path: Path) -> _GradientChecks:
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


def _parity_rows(path: Path, steps: Sequence[int]) -> list[_ParityRow]:
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


def _parity_figure(path: Path) -> Markup:
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


# --- derivations ---

_LONG_FORMULA = 24  # characters
_BOLD_DIGITS = str.maketrans("0123456789", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")
_FUNCTION = re.compile(r"(\\(?:log|exp))(?![A-Za-z])(?!\s*(?:\(|\\left|\^|_))")
_SCROLLS = 'role="group" aria-label="Formula" tabindex="0"'  # by keyboard too


def render_derivations(path: Path, *, page_directory: Path) -> Markup:
    """Turn the Markdown derivations into HTML with MathML, to stand below a heading of level 2.

    The document's title goes (the page has its own), its other headings move one level down, and its links, written
    relative to the document, become relative to `page_directory`.

    Raises:
        UserError: the file is missing, or a formula cannot be converted.
    """
    text = _read_text(path)

    def render_formula(formula: str, options: dict[str, Any]) -> str:
        try:
            mathml = formula_to_mathml(formula, display=options["display_mode"])
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error
        if options["display_mode"]:
            return f'<div class="displayed" {_SCROLLS}>{mathml}</div>'
        # Formulas do not break across lines: on a phone a long one takes a line of its own, which scrolls.
        long = len("".join(ElementTree.fromstring(mathml).itertext())) > _LONG_FORMULA
        return f'<span class="long" {_SCROLLS}>{mathml}</span>' if long else mathml

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.use(dollarmath_plugin, renderer=render_formula, allow_labels=False, double_inline=True)
    tokens = _without_title(markdown.parse(text))
    _adapt_headings(tokens)
    for token in tokens:
        if token.type == "th_open":
            token.attrSet("scope", "col")
        for child in token.children or []:
            if child.type == "link_open":
                child.attrSet("href", _adapt_link(str(child.attrGet("href")), path.parent, page_directory))
    return Markup(markdown.renderer.render(tokens, markdown.options, {}))


def _without_title(tokens: list[Token]) -> list[Token]:
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        return tokens[3:]
    return tokens


def _adapt_headings(tokens: list[Token]) -> None:
    used: dict[str, int] = {}
    for position, token in enumerate(tokens):
        if token.type == "heading_open":
            # GitHub's rule for anchors, so that links inside the document keep working.
            slug = re.sub(r"[^\w\- ]", "", tokens[position + 1].content.lower()).strip().replace(" ", "-")
            used[slug] = used.get(slug, -1) + 1
            token.attrSet("id", f"derivations-{slug}" + (f"-{used[slug]}" if used[slug] else ""))
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{max(3, min(6, int(token.tag[1]) + 1))}"


def _adapt_link(target: str, document_directory: Path, page_directory: Path) -> str:
    if target.startswith("#"):
        return f"#derivations-{target[1:]}"
    if urlsplit(target).scheme:
        return target
    up = Path(os.path.relpath(document_directory, page_directory)).as_posix()
    return posixpath.normpath(posixpath.join(up, target))


def formula_to_mathml(formula: str, *, display: bool) -> str:
    """Convert a LaTeX formula.

    Raises:
        ValueError: a part of it is not understood; the converter alone would show it as it stands or drop it.
    """
    latex = _FUNCTION.sub(r"\1\,", formula)
    try:
        mathml = latex2mathml.converter.convert(latex, display="block" if display else "inline")
        math = ElementTree.fromstring(mathml.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', ""))
    except Exception as error:  # the converter has no common base class for its errors
        raise ValueError(f"formula {formula!r} cannot be converted ({error or type(error).__name__})") from error
    for element in math.iter():
        _adapt_math(element)
    # The converter drops the name of an environment that it does not know; none is needed here.
    leftover = re.search(r"\\begin\{[^}]*\}", formula) or re.search(r"\\\S*", "".join(math.itertext()))
    if leftover:
        raise ValueError(f"{leftover.group()} in formula {formula!r} is not known; write it another way")
    return ElementTree.tostring(math, encoding="unicode")


def _adapt_math(element: ElementTree.Element) -> None:
    """Set spaces as TeX does, and spell bold digits as characters: browsers know no mathvariant but "normal"."""
    if element.tag == "mo" and element.text in ("/", "∂", ".", "∞", "|"):
        element.attrib |= {"lspace": "0", "rspace": "0"}
    if element.tag == "mn" and element.text and element.get("mathvariant") == "bold":
        element.text = element.text.translate(_BOLD_DIGITS)
        del element.attrib["mathvariant"]
