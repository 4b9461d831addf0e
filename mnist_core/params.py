"""Typed, strict view of params.yaml: an unknown key, a wrong type or an impossible value is an error naming the key."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

import annotated_types
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    StrictInt,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mnist_core.architectures import Architecture, Conv2D, Dense, MaxPool2D, check_classifier
from mnist_core.errors import UserError
from mnist_core.registry import MODELS, Framework

Rate: TypeAlias = Annotated[PositiveFloat, Field(allow_inf_nan=False, strict=True)]
Seed: TypeAlias = Annotated[StrictInt, annotated_types.Ge(0)]
Count: TypeAlias = Annotated[PositiveInt, Field(strict=True)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataParams(_Section):
    """Where the images come from."""

    dataset: Literal["mnist", "fashion_mnist"]
    directory: str


class SplitSizes(_Section):
    """Images in each split: the training file gives validation, then train; the test file gives test."""

    train: Count
    validation: Count
    test: Annotated[Count, annotated_types.Le(10_000)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.train + self.validation > 60_000:
            raise ValueError("train + validation must be at most 60000, the images in the training file")
        return self


class GridSearch(_Section):
    """Try the given learning rates."""

    strategy: Literal["grid"]
    learning_rates: Annotated[tuple[Rate, ...], Field(min_length=1)]
    epochs: Count
    seed: Seed


class ProbeSearch(_Section):
    """Find the largest power of ten that trains, probing downward; try it and its tenths."""

    strategy: Literal["probe"]
    largest_learning_rate: Rate
    num_learning_rates: Count
    epochs: Count
    seed: Seed


SearchParams: TypeAlias = GridSearch | ProbeSearch


class ModelParams(_Section):
    """Hyperparameters of one model."""

    batch_size: Count
    search: Annotated[SearchParams, Field(discriminator="strategy")]


class ModelsParams(_Section):
    """The four models of one framework, by the letter of their architecture."""

    a: ModelParams
    b: ModelParams
    c: ModelParams
    d: ModelParams


class TrainParams(_Section):
    """Final training."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds must differ from each other")
        return self


class GradcheckParams(_Section):
    """Gradient checks: random seeds, and the largest relative error that passes."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    tolerance: Rate


class ParityParams(_Section):
    """Side-by-side training of the twins."""

    seed: Seed
    learning_rate: Rate
    batch_size: Count
    steps: Annotated[tuple[Count, ...], Field(min_length=1)]
    epochs: Count


class ProfileParams(_Section):
    """Everything whose size depends on how long one is ready to wait."""

    data: SplitSizes
    train: TrainParams
    tensorflow: ModelsParams
    numpy: ModelsParams
    gradcheck: GradcheckParams
    parity: ParityParams

    def model(self, name: str) -> ModelParams:
        """Return the hyperparameters of a model by its name in the report, such as "2d"."""
        framework, letter = framework_and_letter(name)
        params: ModelParams = getattr(getattr(self, framework), letter)
        return params


_LAYER_SIZES = {field.name for spec in (Dense, Conv2D, MaxPool2D) for field in fields(spec) if field.type is int}


def _whole_sizes(layer: Any) -> Any:
    # pydantic takes "3", 3.0 and true for 3 here, and its strict mode takes no mapping for a dataclass.
    if isinstance(layer, dict):
        for key, value in layer.items():
            if key in _LAYER_SIZES and type(value) is not int:
                raise ValueError(f"{key} must be a whole number, not {value!r}")
    return layer


_Layer: TypeAlias = Annotated[
    Annotated[Dense | Conv2D | MaxPool2D, Field(discriminator="type")], BeforeValidator(_whole_sizes)
]


def _checked(architecture: Architecture) -> Architecture:
    check_classifier(architecture)
    return architecture


CheckedArchitecture: TypeAlias = Annotated[tuple[_Layer, ...], AfterValidator(_checked)]


class ArchitecturesParams(_Section):
    """The four networks that both frameworks build."""

    a: CheckedArchitecture
    b: CheckedArchitecture
    c: CheckedArchitecture
    d: CheckedArchitecture


class Params(_Section):
    """The whole of params.yaml."""

    profile: str
    data: DataParams
    architectures: ArchitecturesParams
    profiles: Annotated[dict[str, ProfileParams], Field(min_length=1)]

    @model_validator(mode="after")
    def _known_profile(self) -> Self:
        if self.profile not in self.profiles:
            raise ValueError(f"profile: {self.profile!r} is none of {', '.join(self.profiles)}")
        return self

    @property
    def active(self) -> ProfileParams:
        """The profile that `profile` names."""
        return self.profiles[self.profile]

    def architecture(self, name: str) -> Architecture:
        """Return the layers of a model by its name in the report, such as "2d"."""
        architecture: Architecture = getattr(self.architectures, framework_and_letter(name)[1])
        return architecture


def framework_and_letter(name: str) -> tuple[Framework, str]:
    """Split a model's name in the report.

    Raises:
        UserError: there is no such model.
    """
    if name not in MODELS:
        raise UserError(f"unknown model {name!r}: use one of {', '.join(MODELS)}")
    return MODELS[name]


def load_params(path: Path) -> Params:
    """Read and validate params.yaml (YAML 1.2, so 1e-3 is a number).

    Raises:
        UserError: the file is missing, is not YAML, or a key in it is unknown, missing or has an impossible value.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; run from the project's root") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        # A misspelt key is reported as unknown and as missing: the unknown one shows the spelling.
        faults = sorted(error.errors(), key=lambda fault: fault["type"] not in _UNKNOWN_KEY)
        raise UserError(f"{path}: {_describe(faults[0])}") from error


def _describe(fault: Any) -> str:
    # Tags of discriminated unions appear in pydantic's location but not in the file.
    key = ".".join(str(part) for part in fault["loc"] if part not in _UNION_TAGS)
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] in _UNKNOWN_KEY:
        return f"{key}: unknown key; remove it or correct its spelling"
    if fault["type"] == "missing":
        return f"{key}: missing; add it"
    value = "" if isinstance(fault["input"], dict | list) else f" (found {fault['input']!r})"
    return f"{key}: {message}{value}" if key else f"{message}"


_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
_UNION_TAGS = ("grid", "probe", "dense", "conv2d", "max_pool2d")
