"""The sections of params.yaml that say which images are used, and how many."""

import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt

from mnist_core.arrays import NUM_CLASSES
from mnist_core.errors import UserError
from mnist_core.files.reading import Section, read_yaml, validate

Count: TypeAlias = Annotated[PositiveInt, Field(strict=True, le=10_000_000)]  # what may be listed in memory

CLASS_NAMES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "custom": tuple("0123456789"),
}


def _is_list(names: object) -> object:
    if not isinstance(names, list | tuple) or len(names) > NUM_CLASSES:
        raise ValueError(f"should be a list of at most {NUM_CLASSES} names")
    return names


def _is_name(name: object) -> object:
    if not isinstance(name, str):
        raise ValueError("should be text, in quotes if it is a number")
    if not re.fullmatch(r"\S(.{0,38}\S)?", name):
        raise ValueError("should be 1 to 40 characters on one line, with no space at either end")
    if not name.isprintable():  # half of a surrogate pair, say, which no file can hold
        raise ValueError("should be printable")
    return name


def _differ(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("two classes have one name")
    return names


class DataParams(Section):
    """Where the images come from, and what their labels mean.

    `directory` is the user's own, and needed for "custom"; `class_names` names label 0, 1 and so on, and is empty for
    the names that the data set has.
    """

    dataset: Literal["mnist", "fashion_mnist", "custom"]
    directory: str
    class_names: Annotated[
        tuple[Annotated[str, BeforeValidator(_is_name)], ...], BeforeValidator(_is_list), AfterValidator(_differ)
    ]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes, at most ten."""
        return self.class_names or CLASS_NAMES[self.dataset]


class SplitSizes(Section):
    """Images in each split.

    The training file gives validation, then train, from its start. The test file gives test: half of it from the start
    of the file, half from the file's middle on (an odd one comes from the start), since the first 5,000 test images of
    MNIST were written by students and the others by census employees.
    """

    train: Count
    validation: Count
    test: Count


def load_data_params(path: Path) -> DataParams:
    """Read the section `data` of params.yaml.

    Raises:
        UserError: the file is missing or not YAML, or a key of the section is unknown, missing or impossible.
    """
    return validate(_at(path, "data"), DataParams, path=path, section="data")


def load_split_sizes(path: Path) -> tuple[SplitSizes, str]:
    """Read the sizes of the active profile's splits in params.yaml; return them and where they stand.

    Raises:
        UserError: the file is missing or not YAML, or a key of the section is unknown, missing or impossible.
    """
    keys = ("profiles", str(_at(path, "profile")), "data")
    section = ".".join(keys)
    return validate(_at(path, *keys), SplitSizes, path=path, section=section), section


def _at(path: Path, *keys: str) -> object:
    content = read_yaml(path)
    for number, key in enumerate(keys, start=1):
        if not isinstance(content, dict) or key not in content:
            raise UserError(f"{path}: {'.'.join(keys[:number])}: missing; add it")
        content = content[key]
    return content
