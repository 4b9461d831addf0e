"""One self-contained HTML page of everything that the pipeline measured.

Reads metrics, curves, figures, predictions and weights from files and fills the Jinja2 template beside this module.
The page holds no script and loads nothing: figures are inline SVG, images are data URIs, formulas are MathML. Nothing
is trained or scored here, and the same files give the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from mnist_core.class_names import ten_names
from mnist_core.models import MODELS, tuned_pairs
from mnist_core.params import Params
from mnist_core.records import read_summary
from mnist_core.report.derivations import render_derivations
from mnist_core.report.images import first_layer, gallery
from mnist_core.report.names import FAILURES, dataset_name
from mnist_core.report.results import read_comparisons
from mnist_core.report.sections import (
    ReportSources,
    comparison_section,
    figure,
    gradient_section,
    model_section,
    network_row,
    twins_rows,
)
from mnist_core.report.svg import png_uri
from mnist_core.report.tables import load_reference
from mnist_core.report.tuned_section import HYPERPARAMETER_NAMES, TunedModel


def build_report(
    params: Params, sources: ReportSources, tuned: Sequence[TunedModel] = (), *, page_directory: Path
) -> str:
    """Return the page as HTML text.

    Args:
        params: the parameters that the files were made with.
        sources: the files.
        tuned: the models of the tuned protocol, perhaps none.
        page_directory: where the page will lie; links to source files are relative to it.

    Raises:
        UserError: a file is missing or unreadable, or a formula of the derivations cannot be converted.
    """
    summary = read_summary(sources.summary)
    reference = load_reference(params.data.dataset)
    classes = ten_names(params.data.names)
    comparison = comparison_section(sources)
    twins_steps = params.active.parity.steps_within(params.active.data.train)
    lowest = min(MODELS, key=lambda model: summary[model].test_error)
    return _template().render(
        params=params,
        profile=params.active,
        full_size=_is_full_size(params),
        dataset=dataset_name(params.data.dataset),
        classes=classes,
        failures=FAILURES,
        networks=[network_row(letter, architecture) for letter, architecture in params.architectures],
        models=[
            model_section(
                model, params, sources, summary[model], comparison.details, reference[model] if reference else None
            )
            for model in MODELS
        ],
        reference=reference,
        lowest=lowest,
        lowest_scores=summary[lowest],
        test_errors_figure=figure(
            sources.figures / "test_errors.svg", "Line chart of the test error of all models after each epoch."
        ),
        comparison=comparison,
        gallery=gallery(sources, lowest, comparison.details.disputed_images),
        first_layers=[
            first_layer(model, sources, params.active.train.seeds[0], classes) for model in ("1a", "2a", "1d", "2d")
        ],
        weight_scale=png_uri(np.linspace(-1, 1, 65)[None], limit=1),
        tuned=tuned,
        tuned_pairs=read_comparisons(sources.tuned_comparisons, tuned_pairs(summary)).to_dict("records")
        if tuned
        else [],
        hyperparameter_names=HYPERPARAMETER_NAMES,
        gradients=gradient_section(sources.gradients),
        twins=twins_rows(sources.parity, twins_steps),
        twins_steps=twins_steps,
        twins_figure=figure(
            sources.figures / "parity.svg",
            "Line charts, one for each network: the test error of its TensorFlow and its NumPy twin by epoch.",
        ),
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
    return environment.get_template("template.html.j2")


def _format_power(value: float) -> Markup:
    """Return 3.2e-09 as 3.2 × 10 to the -9."""
    if value == 0:
        return Markup("0")
    mantissa, exponent = f"{value:.1e}".split("e")
    return Markup("{} × 10<sup>{}</sup>").format(mantissa, str(int(exponent)).replace("-", "−"))
