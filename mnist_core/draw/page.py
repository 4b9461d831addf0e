"""One self-contained page: the published weights, and the JavaScript beside this module that runs them.

The page loads nothing and asks nobody, which its Content-Security-Policy enforces. The same models give the same bytes.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from mnist_core.arrays import Array
from mnist_core.class_names import ten_names
from mnist_core.errors import UserError
from mnist_core.files.reading import REMEDY, read_text
from mnist_core.models import framework_and_letter, tuned
from mnist_core.networks.architectures import architecture_to_dicts, has_convolutions
from mnist_core.networks.model_file import load_model
from mnist_core.published import DIGITS, RECORD, read_published, sha256

LARGEST_PAGE = 6_000_000  # bytes
_HERE = Path(__file__).parent
_SCRIPTS = ("preprocessing.js", "network.js", "draw.js")


def build_page(published: Path, *, report: Callable[[str], None] = lambda _: None) -> str:
    """Return the page as HTML text; the largest networks are left out until it is small enough to be sent about.

    Args:
        published: directory with published.json and the .npz file of each model in it.
        report: receives one line for each network that is left out.

    Raises:
        UserError: a file is missing or damaged or another model's, the models do not share their classes, or not one
            network fits.
    """
    models, networks = [], {}
    known = read_published(published)
    names = {record.classes for record in known.values()}
    if len(names) != 1:
        raise UserError(f"{published / RECORD}: not one set of classes for all models; {REMEDY}")
    (classes,) = names
    for name, record in known.items():
        if tuned(name) in known:  # the tuned one is drawn; all would be too large a page
            continue
        path = published / f"{name}.npz"
        if sha256(path) != record.sha256:
            raise UserError(f"{path}: not the file that {RECORD} describes; {REMEDY}")
        architecture, weights = load_model(path, {"model": name, **record.learned_with})
        models.append(
            {
                "name": name,
                "framework": {"tensorflow": "TensorFlow", "numpy": "NumPy"}[framework_and_letter(name)[0]],
                "test_error": f"{record.test_error:.2f}",
                "has_maps": has_convolutions(architecture),
            }
        )
        # Names, numbers and base64: nothing that could end a script element.
        networks[name] = json.dumps(
            {
                "name": name,
                "architecture": architecture_to_dicts(architecture),
                "weights": {key: _base64(array) for key, array in weights.items()},
            }
        )
    return _fitting_page(published, models, networks, classes, report)


def _fitting_page(
    published: Path,
    models: list[dict[str, Any]],
    networks: dict[str, str],
    classes: tuple[str, ...],
    report: Callable[[str], None],
) -> str:
    """Render the page, each time without the largest of `networks` (model -> JSON), until it fits."""
    left_out: list[str] = []
    while True:
        page = _template().render(
            models=[model for model in models if model["name"] in networks],
            left_out=left_out,
            classes=classes,
            outputs=ten_names(classes),
            are_digits=classes == DIGITS,
            weights=Markup(f"[{', '.join(networks.values())}]"),
            style=Markup(read_text(_HERE / "style.css")),
            script=Markup("\n".join(read_text(_HERE / script) for script in _SCRIPTS)),
        )
        size = len(page.encode())
        if size <= LARGEST_PAGE:
            return page
        excess = f"the page would have {size:,} bytes, more than {LARGEST_PAGE:,}"
        largest = max(networks, key=lambda name: len(networks[name]))
        if len(networks) == 1:
            raise UserError(f"{published}: with {largest} alone {excess}; make `architectures` in params.yaml smaller")
        report(f"{largest}: left out, since {excess}")
        del networks[largest]
        left_out.append(largest)


def _base64(array: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("draw.html.j2")
