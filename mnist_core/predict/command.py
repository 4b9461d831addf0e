"""`mnist predict`: which digit, or which class of other data, is on a picture."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from mnist_core.arrays import Array
from mnist_core.data.dataset import load_manifest
from mnist_core.errors import UserError
from mnist_core.files.reading import reading
from mnist_core.files.writing import output_file
from mnist_core.metrics import softmax
from mnist_core.models import ALL_MODELS
from mnist_core.networks.model_file import load_model
from mnist_core.predict.pictures import SUFFIXES, decode, encode_png
from mnist_core.predict.preprocessing import to_mnist
from mnist_core.published import DIGITS, PUBLISHED, TRAINED, find_model, place_of, read_published, ten_names
from mnist_core.registry import build_classifier

STANDARD_INPUT = "-"
PREPARED = Path("data/prepared")


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--model",
    default="2d",
    show_default=True,
    type=click.Choice(list(ALL_MODELS)),
    help="2d or 2d_tuned, say.",
)
@click.option("--top", default=1, show_default=True, type=click.IntRange(1, 10), help="How many answers to print.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a line, with the probabilities of label 0 to 9."
)
@click.option("--show", type=click.Path(path_type=Path, dir_okay=False), help="Write what the network saw as PNG.")
def predict(files: tuple[str, ...], model: str, top: int, as_json: bool, show: Path | None) -> None:
    """Print the digit on each picture, and its probability; the class for a network that learned other things.

    FILE is a PNG, JPEG, BMP, GIF or WebP of one digit, a directory of such files, or - for standard input. Any size
    and colour will do, dark on light or light on dark. A file that cannot be read gets one line, and exit code 1.
    """
    try:
        path, expected, classes = find_expected(model, project_directory())
        answer = classifier_of(path, expected)
    except UserError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Model {model} from {path}", err=True)
    seen: list[Array] = []
    failed = False
    for name in list_files(files):
        try:
            image = to_mnist(decode(read_picture(name)))
        except UserError as error:
            failed = True
            fault = str(error).removeprefix(f"{Path(name)}: ")
            click.echo(f"{shown(name)}: {fault}", err=True)
            if as_json:
                click.echo(json.dumps({"file": name, "error": fault}))
            continue
        seen.append(image)
        probabilities = answer(image)
        if as_json:
            click.echo(as_json_line(name, model, probabilities, classes))
        else:
            click.echo(as_line(name, probabilities, top, classes))
    if show is not None and seen:
        try:
            with reading(show, "a place for a PNG", "choose another for --show"), output_file(show) as file:
                file.write_bytes(encode_png(seen))
        except UserError as error:
            raise click.ClickException(str(error)) from error
    if failed:
        raise SystemExit(1)


def project_directory() -> Path:
    """Return the current directory if it has models, else the checkout that this code lies in."""
    here = Path()
    return here if any((here / place).is_dir() for place in (TRAINED, PUBLISHED)) else Path(__file__).parents[2]


def find_expected(model: str, root: Path) -> tuple[Path, dict[str, Any], tuple[str, ...]]:
    """Return the file of a model, what it must be, for `load_model`, and the names of its ten outputs.

    A trained one must come from the images in data/prepared, for their manifest has the names.

    Raises:
        UserError: there is no such model, or what is known of it is missing or damaged.
    """
    path = find_model(model, root=root)
    if place_of(path) == PUBLISHED:
        record = read_published(path.parent)[model]
        return path, {"model": model, "seed": record.seed}, ten_names(record.classes)
    seed = int(path.stem.removeprefix("seed_"))
    manifest = load_manifest(root / PREPARED)
    expected = {"model": model, "seed": seed, "data_sha256": manifest.sha256}
    return path, expected, ten_names(manifest.class_names)


def classifier_of(path: Path, expected: dict[str, Any]) -> Callable[[Array], Array]:
    """Return a function from an image, uint8 (28, 28), to ten probabilities, float32 (10,).

    Every model runs in NumPy, those that TensorFlow trained too: their files are the same, and it starts at once.

    Raises:
        UserError: the file is missing, is no model or is another one than was expected.
    """
    classifier = build_classifier("numpy", *load_model(path, expected))

    def answer(image: Array) -> Array:
        scaled = np.divide(image, np.float32(255), dtype=np.float32)
        return np.asarray(softmax(classifier.predict_logits(scaled[np.newaxis, ..., np.newaxis])[0]))

    return answer


def list_files(names: tuple[str, ...]) -> Iterator[str]:
    """Yield the files: of a directory all pictures below it, by their suffixes and in order of name."""
    for name in names:
        if is_directory(name):
            found = sorted(str(path) for path in Path(name).rglob("*") if path.suffix.lower() in SUFFIXES)
            yield from found or [name]
        else:
            yield name


def is_directory(name: str) -> bool:
    """Return whether an argument is a directory; where none can tell, it is not, and reading it will say why."""
    return name != STANDARD_INPUT and os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises for too long a name


def read_picture(name: str) -> bytes:
    """Return the bytes of a file, or of standard input for "-"; UserError if it is missing or unreadable."""
    path = Path(name)
    if is_directory(name):
        raise UserError(f"{name}: no picture in this directory; names must end in {', '.join(SUFFIXES)}")
    with reading(path, "a picture", "check the name"):
        if name != STANDARD_INPUT:
            return path.read_bytes()
        return sys.stdin.buffer.read() if sys.stdin else b""  # None where a shell has closed it


def shown(name: str) -> str:
    """Return a name in one line, with escapes for what a terminal would obey or cannot print."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def as_line(name: str, probabilities: Array, top: int, classes: Sequence[str]) -> str:
    """Return the likeliest classes, such as "seven.png: 7 (99.2 %), 1 (0.5 %)"."""
    labels = np.argsort(-probabilities, kind="stable")[:top]
    answers = ", ".join(f"{shown(classes[label])} ({100 * probabilities[label]:.1f} %)" for label in labels)
    return f"{shown(name)}: {answers}"


def as_json_line(name: str, model: str, probabilities: Array, classes: Sequence[str]) -> str:
    """Return one JSON object with the digit, else label and class, its probability and those of all ten labels."""
    label = int(probabilities.argmax())
    rounded = [round(float(probability), 6) for probability in probabilities]
    answer = {"digit": label} if classes == DIGITS else {"label": label, "class": classes[label]}
    return json.dumps({"file": name, "model": model, **answer, "probability": rounded[label], "probabilities": rounded})
