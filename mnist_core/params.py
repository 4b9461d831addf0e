"""Typed, strict view of params.yaml: an unknown key, a wrong type or an impossible value is an error naming the key."""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

import annotated_types
import psutil
from pydantic import Field, PositiveFloat, StrictBool, StrictInt, model_validator
from tqdm import tqdm

from mnist_core.candidates import MAX_SHIFT, MAX_TRIAL_EPOCHS, Schedule
from mnist_core.data.params import Count, DataParams, SplitSizes
from mnist_core.files.reading import Section, read_yaml, validate
from mnist_core.models import ALL_MODELS, framework_and_letter, protocol_of
from mnist_core.networks.architectures import Architecture, CheckedArchitecture, operations, training_bytes

Rate: TypeAlias = Annotated[PositiveFloat, Field(allow_inf_nan=False, strict=True, le=1e38)]  # float32 ends there
Seed: TypeAlias = Annotated[StrictInt, annotated_types.Interval(ge=0, lt=2**32)]


class GridSearch(Section):
    """Try the given learning rates."""

    strategy: Literal["grid"]
    learning_rates: Annotated[tuple[Rate, ...], Field(min_length=1)]
    seed: Seed

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.learning_rates)) < len(self.learning_rates):
            raise ValueError("learning_rates must differ from each other")
        return self

    def trial_epochs(self, epochs: int) -> int:
        """Return how many epochs all trials train together, at most, if each trains so many."""
        return len(self.learning_rates) * epochs


class ProbeSearch(Section):
    """Find the largest power of ten that trains, probing downward; try it and its tenths."""

    strategy: Literal["probe"]
    largest_learning_rate: Rate
    num_learning_rates: Annotated[Count, annotated_types.Le(10)]
    seed: Seed

    def trial_epochs(self, epochs: int) -> int:
        """As `GridSearch.trial_epochs`; rates that do not train at all are not counted."""
        return self.num_learning_rates * epochs


SearchParams: TypeAlias = GridSearch | ProbeSearch


class TunedSearch(Section):
    """How the tuned protocol searches: batches of trials that are asked for together and thinned out on rungs.

    Attributes:
        strategy: one of Optuna's samplers.
        seed: of the sampler and of all trials.
        num_batches: how often the sampler is asked, each time knowing what came before.
        trials_per_batch: how many trials it is asked for.
        num_rungs: how often validation errors are compared; the last time is at the end of training.
        reduction: one of so many trials goes on to the next rung, which is so many times further.
        choice_seeds: the best three configurations are trained again with each of these.
    """

    strategy: Literal["random", "qmc", "tpe"]
    seed: Seed
    num_batches: Annotated[Count, annotated_types.Le(1000)]
    trials_per_batch: Annotated[Count, annotated_types.Le(1000)]
    num_rungs: Annotated[Count, annotated_types.Le(10)]
    reduction: Annotated[StrictInt, annotated_types.Interval(ge=2, le=1000)]
    choice_seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _other_seeds(self) -> Self:
        if len({self.seed, *self.choice_seeds}) <= len(self.choice_seeds):
            raise ValueError("choice_seeds must differ from each other and from seed")
        return self

    def rung_epochs(self, epochs: int) -> list[int]:
        """Return after how many epochs trials are compared, ascending; the last are all."""
        shares = [self.reduction**power for power in reversed(range(self.num_rungs))]
        return sorted({max(1, round(epochs / share)) for share in shares})

    def num_promoted(self, num_trials: int) -> int:
        """Return how many of the trials at a rung go on."""
        return max(1, num_trials // self.reduction)

    def trial_epochs(self, epochs: int) -> int:
        """As `GridSearch.trial_epochs`; the choice among the best comes on top."""
        of_batch, trials, before = 0, self.trials_per_batch, 0
        for rung in self.rung_epochs(epochs):
            of_batch += trials * (rung - before)
            trials, before = self.num_promoted(trials), rung
        return self.num_batches * of_batch


class LearningRates(Section):
    """A range, sampled on a logarithmic scale."""

    low: Rate
    high: Rate

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


class SearchSpace(Section):
    """What the tuned protocol searches for one network: a range of learning rates, and choices, in ascending order."""

    learning_rate: LearningRates
    batch_size: Annotated[tuple[Count, ...], Field(min_length=1)]
    momentum: Annotated[tuple[Annotated[float, Field(ge=0, lt=1, strict=True)], ...], Field(min_length=1)]
    weight_decay: Annotated[
        tuple[Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)], ...], Field(min_length=1)
    ]
    schedule: Annotated[tuple[Schedule, ...], Field(min_length=1)]
    shift: Annotated[
        tuple[Annotated[StrictInt, annotated_types.Interval(ge=0, le=MAX_SHIFT)], ...], Field(min_length=1)
    ]


class EpochsParams(Section):
    """How long each network of the search trains, by the letter of its architecture."""

    a: Count
    b: Count
    c: Count
    d: Count


class _Searched(Section):
    """Four networks that are searched."""

    search: GridSearch | ProbeSearch | TunedSearch
    epochs: EpochsParams

    @model_validator(mode="after")
    def _short_enough(self) -> Self:
        for letter, epochs in self.epochs:
            if (total := self.search.trial_epochs(epochs)) > MAX_TRIAL_EPOCHS:
                raise ValueError(
                    f"the trials of network {letter} would train {total} epochs in all, and at most {MAX_TRIAL_EPOCHS}"
                    f" are allowed; lower epochs.{letter} or the number of trials"
                )
        return self


class FrameworkParams(_Searched):
    """What the four models of one framework share, and how long each of them is searched."""

    batch_size: Count
    search: Annotated[SearchParams, Field(discriminator="strategy")]


class SpacesParams(Section):
    """What is searched, by the letter of the network."""

    a: SearchSpace
    b: SearchSpace
    c: SearchSpace
    d: SearchSpace


class TunedParams(_Searched):
    """The tuned protocol, the same for both frameworks; `epochs` is how long a trial trains that is never left out."""

    search: TunedSearch
    space: SpacesParams

    def space_of(self, model: str) -> SearchSpace:
        """Return what is searched for a model, such as "2d_tuned"."""
        space: SearchSpace = getattr(self.space, framework_and_letter(model)[1])
        return space


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
    tolerance: Annotated[Rate, annotated_types.Le(0.01)]


class ParityParams(Section):
    """Side-by-side training of the twins."""

    seed: Seed
    learning_rate: Rate
    batch_size: Count
    momentum: Annotated[Rate, annotated_types.Lt(1)]
    weight_decay: Rate
    steps: Annotated[tuple[Count, ...], Field(min_length=1)]
    epochs: Annotated[Count, annotated_types.Le(1000)]

    def steps_within(self, num_images: int) -> tuple[int, ...]:
        """Return those of `steps` that so many training images give; few of one's own give fewer."""
        last = self.epochs * -(-num_images // self.batch_size)
        return tuple(step for step in self.steps if step <= last)


class ProfileParams(Section):
    """Everything whose size depends on how long one is ready to wait."""

    data: SplitSizes
    train: TrainParams
    tensorflow: FrameworkParams
    numpy: FrameworkParams
    tuned: TunedParams
    gradcheck: GradcheckParams
    parity: ParityParams

    def framework(self, model: str) -> FrameworkParams:
        """Return what a model, such as "2d", shares with the others of its framework."""
        params: FrameworkParams = getattr(self, framework_and_letter(model)[0])
        return params

    def search_epochs(self, model: str) -> int:
        """Return how many epochs each trial of a model's search trains."""
        settings = self.tuned if protocol_of(model) == "tuned" else self.framework(model)
        epochs: int = getattr(settings.epochs, framework_and_letter(model)[1])
        return epochs

    def batch_size(self, model: str) -> int:
        """Return the images a step of a model; the largest of them where it is searched."""
        if protocol_of(model) == "tuned":
            return max(self.tuned.space_of(model).batch_size)
        return self.framework(model).batch_size


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
        if unprintable := [name for name in self.profiles if not name.isprintable()]:
            raise ValueError(f"profiles: {unprintable[0]!r} is no name that can be printed")
        if self.profile not in self.profiles:
            raise ValueError(f"profile: {self.profile!r} is none of {', '.join(self.profiles)}")
        return self

    @model_validator(mode="after")
    def _fits_memory(self) -> Self:
        memory = psutil.virtual_memory().total
        for letter, architecture in self.architectures:
            largest_batch = max(self.active.batch_size(name) for name in ALL_MODELS if ALL_MODELS[name][1] == letter)
            batch_size = min(largest_batch, self.active.data.train)
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
