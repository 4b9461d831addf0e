"""Where trained models lie: all seeds in data/models after a training, else the first seed of each in data/published.

The first comes from the pipeline and is not in git; the second is, so that a clone answers without training.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from mnist_core.arrays import NUM_CLASSES
from mnist_core.candidates import HYPERPARAMETERS, read_choice
from mnist_core.errors import UserError
from mnist_core.files.reading import Record, read_record, reading

TRAINED = Path("data/models")  # <model>/seed_<seed>.npz, hyperparameters.json
PUBLISHED = Path("data/published")  # <model>.npz and .onnx
RECORD = "published.json"
DIGITS = tuple("0123456789")


class PublishedModel(Record):
    """What published.json says of one file: of exactly these weights, not of the mean over seeds."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    test_error: Annotated[NonNegativeFloat, Field(le=100)]  # percent
    seed: NonNegativeInt
    learning_rate: PositiveFloat
    epochs: PositiveInt
    classes: Annotated[tuple[str, ...], Field(strict=False, min_length=1, max_length=NUM_CLASSES)] = DIGITS

    @property
    def learned_with(self) -> dict[str, Any]:
        """What the file must say of its training, for `load_model`."""
        return self.model_dump(include={"seed", "learning_rate", "epochs"})


def find_model(model: str, seed: int | None = None, *, root: Path = Path()) -> Path:
    """Return the file of a model with this seed, by default the lowest that there is.

    Where data/models has the model, that is the place; only without it data/published.

    Args:
        model: its name, such as "2d".
        seed: the seed that it was trained with.
        root: the project's directory.

    Raises:
        UserError: neither place has it, or the published one was trained with another seed.
    """
    trained = root / TRAINED / model
    if _is_directory(trained):
        names = [path.name for path in trained.iterdir()]
        seeds = [int(match[1]) for name in names if (match := re.fullmatch(r"seed_(\d{1,10})\.npz", name))]
        if seed is None and not seeds:
            raise UserError(f"{trained}: holds no seed_*.npz; train the model again (dvc repro)")
        return trained / f"seed_{min(seeds) if seed is None else seed}.npz"
    path = root / PUBLISHED / f"{model}.npz"
    if not _is_file(path):
        raise UserError(f"{model}: no model in {root / TRAINED} nor {root / PUBLISHED}; train it (dvc repro)")
    record = read_published(root / PUBLISHED).get(model)
    if record is None or sha256(path) != record.sha256:
        raise UserError(f"{path}: not the file that {RECORD} describes; restore it with git checkout {path.parent}")
    if seed not in (None, record.seed):
        raise UserError(f"{path}: published with seed {record.seed}, not {seed}; train it (dvc repro)")
    return path


def is_there(model: str, *, root: Path = Path()) -> bool:
    """Return whether `find_model` has any file of a model."""
    return _is_directory(root / TRAINED / model) or _is_file(root / PUBLISHED / f"{model}.npz")


def _is_file(path: Path) -> bool:
    with reading(path, "a file", "let this user look there"):
        return path.is_file()


def _is_directory(path: Path) -> bool:
    with reading(path, "a directory", "let this user look there"):
        if not path.is_dir():
            return False
        os.scandir(path).close()  # who may not list it hears so here
        return True


def place_of(path: Path) -> Path:
    """Return which of the two places a file of `find_model` lies in."""
    return PUBLISHED if path.parent.name == PUBLISHED.name else TRAINED


def seeds_of(model: str, seeds: list[int] | tuple[int, ...], *, root: Path = Path()) -> list[int]:
    """Return those seeds that `find_model` has: all where the model was trained here, else the published one.

    Raises:
        UserError: the model is in neither place.
    """
    if _is_directory(root / TRAINED / model):
        return list(seeds)
    record = read_published(root / PUBLISHED).get(model)
    if record is None:
        raise UserError(f"{model}: no model in {root / TRAINED} nor {root / PUBLISHED}; train it (dvc repro)")
    return [record.seed]


def learned_with(model: str, *, root: Path = Path()) -> dict[str, Any]:
    """Return what is on record of how the files of `find_model` were trained, for `load_model`.

    Raises:
        UserError: the record is missing or damaged, or about another model.
    """
    trained = root / TRAINED / model
    if _is_directory(trained):
        return read_choice(trained / HYPERPARAMETERS, model).hyperparameters.model_dump(exclude_none=True)
    return read_published(root / PUBLISHED)[model].learned_with


def read_published(directory: Path) -> dict[str, PublishedModel]:
    """Read published.json: model -> what is known of its file; UserError if it is missing or damaged."""
    remedy = "restore it with git checkout data/published, or train the models (dvc repro)"
    return read_record(directory / RECORD, dict[str, PublishedModel], remedy)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with reading(path, "a file", "run `dvc repro` to write it again"):
        return hashlib.sha256(path.read_bytes()).hexdigest()
