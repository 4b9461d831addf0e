"""Typed, strict view of params.yaml: an unknown key, a wrong type or an impossible value is an error naming the key."""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

import annotated_types
import psutil
from pydantic import Field, PositiveFloat, StrictBool, StrictInt, model_validator
from tqdm import tqdm

from mnist_core.data.params import Count, DataParams, SplitSizes
from mnist_core.files.reading import Section, read_yaml, validate
from mnist_core.models import framework_and_letter
from mnist_core.networks.architectures import Architecture, CheckedArchitecture, operations, training_bytes

Rate: TypeAlias = Annotated[PositiveFloat, Field(allow_inf_nan=False, strict=True)]
Seed: TypeAlias = Annotated[StrictInt, annotated_types.Interval(ge=0, lt=2**32)]


class GridSearch(Section):
    """Try the given learning rates."""

    strategy: Literal["grid"]
    learning_rates: Annotated[tuple[Rate, ...], Field(min_length=1)]
    seed: Seed


class ProbeSearch(Section):
    """Find the largest power of ten that trains, probing downward; try it and its tenths."""

    strategy: Literal["probe"]
    largest_learning_rate: Rate
    num_learning_rates: Annotated[Count, annotated_types.Le(10)]
    seed: Seed


SearchParams: TypeAlias = GridSearch | ProbeSearch


class EpochsParams(Section):
    """How long each network of the search trains, by the letter of its architecture."""

    a: Count
    b: Count
    c: Count
    d: Count


class FrameworkParams(Section):
    """What the four models of one framework share, and how long each of them is searched."""

    batch_size: Count
    search: Annotated[SearchParams, Field(discriminator="strategy")]
    epochs: EpochsParams


class TrainParams(Section):
    """Final training."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds must differ from each other")
        return self


class GradcheckParams(Section):
    """Gradient checks: random seeds, and the largest relative error that passes."""

    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    tolerance: Rate


class ParityParams(Section):
    """Side-by-side training of the twins."""

    seed: Seed
    learning_rate: Rate
    batch_size: Count
    momentum: Annotated[Rate, annotated_types.Lt(1)]
    weight_decay: Rate
    steps: Annotated[tuple[Count, ...], Field(min_length=1)]
    epochs: Count


class ProfileParams(Section):
    """Everything whose size depends on how long one is ready to wait."""

    data: SplitSizes
    train: TrainParams
    tensorflow: FrameworkParams
    numpy: FrameworkParams
    gradcheck: GradcheckParams
    parity: ParityParams

    def framework(self, model: str) -> FrameworkParams:
        """Return what a model, such as "2d", shares with the others of its framework."""
        params: FrameworkParams = getattr(self, framework_and_letter(model)[0])
        return params

    def search_epochs(self, model: str) -> int:
        """Return how many epochs each trial of a model's search trains."""
        epochs: int = getattr(self.framework(model).epochs, framework_and_letter(model)[1])
        return epochs


class ArchitecturesParams(Section):
    """The four networks that both frameworks build."""

    a: CheckedArchitecture
    b: CheckedArchitecture
    c: CheckedArchitecture
    d: CheckedArchitecture


class Params(Section):
    """The whole of params.yaml."""

    profile: str
    fast: StrictBool
    data: DataParams
    architectures: ArchitecturesParams
    profiles: Annotated[dict[str, ProfileParams], Field(min_length=1)]

    @model_validator(mode="after")
    def _known_profile(self) -> Self:
        if self.profile not in self.profiles:
            raise ValueError(f"profile: {self.profile!r} is none of {', '.join(self.profiles)}")
        return self

    @model_validator(mode="after")
    def _fits_memory(self) -> Self:
        memory = psutil.virtual_memory().total
        batch_size = min(max(self.active.tensorflow.batch_size, self.active.numpy.batch_size), self.active.data.train)
        for letter, architecture in self.architectures:
            sizes = {step.name: training_bytes(step, batch_size) for step in operations(architecture)}
            if (needed := sum(sizes.values())) > memory:
                largest = max(sizes, key=sizes.__getitem__)
                raise ValueError(
                    f"architectures.{letter}: training with batches of {batch_size} would take"
                    f" {tqdm.format_sizeof(needed, 'B')}, most of it for {largest};"
                    f" this machine has {tqdm.format_sizeof(memory, 'B')}: make it smaller"
                )
        return self

    @property
    def active(self) -> ProfileParams:
        """The profile that `profile` names."""
        return self.profiles[self.profile]

    def architecture(self, name: str) -> Architecture:
        """Return the layers of a model by its name in the report, such as "2d"."""
        architecture: Architecture = getattr(self.architectures, framework_and_letter(name)[1])
        return architecture


def load_params(path: Path) -> Params:
    """Read and validate params.yaml.

    Raises:
        UserError: the file is missing, is not YAML, or a key in it is unknown, missing or has an impossible value.
    """
    return validate(read_yaml(path), Params, path=path)
