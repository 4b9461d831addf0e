"""The sections of params.yaml that say which images are used, and how many."""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

import annotated_types
from pydantic import Field, PositiveInt, model_validator

from mnist_core.errors import UserError
from mnist_core.files import Section, read_yaml, validate

Count: TypeAlias = Annotated[PositiveInt, Field(strict=True)]


class DataParams(Section):
    """Where the images come from."""

    dataset: Literal["mnist", "fashion_mnist"]
    directory: str


class SplitSizes(Section):
    """Images in each split: the training file gives validation, then train; the test file gives test."""

    train: Count
    validation: Count
    test: Annotated[Count, annotated_types.Le(10_000)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.train + self.validation > 60_000:
            raise ValueError("train + validation must be at most 60000, the images in the training file")
        return self


def load_data_params(path: Path) -> DataParams:
    """Read the section `data` of params.yaml.

    Raises:
        UserError: the file is missing or not YAML, or a key of the section is unknown, missing or impossible.
    """
    return validate(_at(path, "data"), DataParams, path=path, section="data")


def load_split_sizes(path: Path) -> SplitSizes:
    """Read the sizes of the active profile's splits in params.yaml.

    Raises:
        UserError: the file is missing or not YAML, or a key of the section is unknown, missing or impossible.
    """
    profile = _at(path, "profile")
    keys = ("profiles", str(profile), "data")
    return validate(_at(path, *keys), SplitSizes, path=path, section=".".join(keys))


def _at(path: Path, *keys: str) -> object:
    content = read_yaml(path)
    for number, key in enumerate(keys, start=1):
        if not isinstance(content, dict) or key not in content:
            raise UserError(f"{path}: {'.'.join(keys[:number])}: missing; add it")
        content = content[key]
    return content
