"""`mnist predict`: which digit, or which class of other data, is on a picture."""

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from mnist_core.arrays import Array
from mnist_core.class_names import ten_names
from mnist_core.data.dataset import load_manifest
from mnist_core.errors import UserError
from mnist_core.files.reading import reading
from mnist_core.files.writing import output_file
from mnist_core.metrics import softmax
from mnist_core.models import ALL_MODELS
from mnist_core.networks.model_file import load_model
from mnist_core.predict.pictures import MAX_BYTES, SUFFIXES, decode, encode_png
from mnist_core.predict.preprocessing import to_mnist
from mnist_core.published import DIGITS, PUBLISHED, find_model, is_there, place_of, read_published
from mnist_core.registry import build_classifier

STANDARD_INPUT = "-"
PREPARED = Path("data/prepared")
PROJECT = ("dvc.yaml", "params.yaml", "mnist_core")  # what every checkout has; other projects of DVC have the first two


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
    and colour will do, dark on light or light on dark. A file that cannot be read gets one line, and exit code 1; one
    line counts what a directory holds besides such files.
    """
    try:
        path, expected, classes = find_expected(model, project_directory(model))
        answer = classifier_of(path, expected)
    except UserError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Model {model} from {shown(str(path))}", err=True)
    seen: list[Array] = []
    failed = False
    for name in list_files(files):
        try:
            image = to_mnist(decode(read_picture(name)))
        except UserError as error:
            failed = True
            click.echo(f"{shown(name)}: {error}", err=True)
            if as_json:
                click.echo(json.dumps({"file": name, "error": str(error)}))
            continue
        seen.append(image)
        probabilities = answer(image)
        if as_json:
            click.echo(as_json_line(name, model, probabilities, classes))
        else:
            click.echo(as_line(name, probabilities, top, classes))
    if show is not None and seen:
        try:
            content = encode_png(seen)
            with reading(show, "a place for a PNG", "choose another for --show"), output_file(show) as file:
                file.write_bytes(content)
        except UserError as error:
            raise click.ClickException(str(error)) from error
    if failed:
        raise SystemExit(1)


def project_directory(model: str) -> Path:
    """Return the current directory if it is a checkout or has the model, else the checkout that this code lies in."""
    here = Path()
    is_checkout = all((here / name).exists() for name in PROJECT)
    return here if is_checkout or is_there(model, root=here) else Path(__file__).parents[2]


def find_expected(model: str, root: Path) -> tuple[Path, dict[str, Any], tuple[str, ...]]:
    """Return the file of a model, what it must be, for `load_model`, and the names of its ten outputs.

    A trained one must come from the images in data/prepared, for their manifest has the names.

    Raises:
        UserError: there is no such model, or what is known of it is missing or damaged.
    """
    path = find_model(model, root=root)
    if place_of(path) == PUBLISHED:
        record = read_published(path.parent)[model]
        return path, {"model": model, **record.learned_with}, ten_names(record.classes)
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
    """Yield the files: of a directory all pictures below it, by their suffixes and in order of name.

    A line on standard error counts its other files, of whatever kind, for no list knows every format of pictures; those
    that are hidden, or in a hidden directory, do not count. A directory without pictures is yielded itself.
    """
    for name in names:
        if not is_directory(name):
            yield name
            continue
        below = [path for path in sorted(Path(name).rglob("*"), key=str) if not is_directory(str(path))]
        pictures = [path for path in below if path.suffix.lower() in SUFFIXES]
        others = [path for path in below if path.suffix.lower() not in SUFFIXES and not is_hidden(path, name)]
        if pictures and others:
            count = "1 file of another kind" if len(others) == 1 else f"{len(others)} files of other kinds"
            click.echo(f"{shown(name)}: {count} left out", err=True)
        yield from map(str, pictures)
        if not pictures:
            yield name


def is_hidden(path: Path, directory: str) -> bool:
    """Return whether a file, or a directory between it and the one that the user named, starts with a dot."""
    return any(part.startswith(".") for part in path.relative_to(directory).parts)


def is_directory(name: str) -> bool:
    """Return whether an argument is a directory; where none can tell, it is not, and reading it will say why."""
    return name != STANDARD_INPUT and os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises for too long a name


def read_picture(name: str) -> bytes:
    """Return the bytes of a file, or of standard input for "-"; of what is too large, one byte more than is decoded.

    Raises:
        UserError: it is missing, unreadable, a directory, or a device or pipe, which may never come to an end. The
            message does not name the file.
    """
    path = Path(name)
    if is_directory(name):
        raise UserError(f"no picture in this directory; names must end in {', '.join(SUFFIXES)}")
    try:
        if name == STANDARD_INPUT:
            return sys.stdin.buffer.read(MAX_BYTES + 1) if sys.stdin else b""  # None where a shell has closed it
        if not stat.S_ISREG(path.stat().st_mode):  # asked before it is opened: that alone waits for a pipe's other end
            raise UserError("not a regular file; redirect a device or a pipe to standard input and give -")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise UserError("no such file; check the name") from error
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror}); check the name") from error


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
