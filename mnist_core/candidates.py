"""What a search finds and training uses, and how each is written down.

Hyperparameters are everything but the network, the data and the seed that decides a training. A candidate is a set of
them with the error that it had. Stage search ranks them, stage train takes the best that no seed fails with.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from mnist_core.errors import UserError
from mnist_core.files.reading import Record, read_record

if TYPE_CHECKING:
    import pandas as pd

FailureWord: TypeAlias = Literal["non-finite", "dead", "spiked", "collapsed"]
"""Why a training came to nothing; `training/divergence.py` says what each word means."""
Percent: TypeAlias = Annotated[float, Field(ge=0, le=100)]
Schedule: TypeAlias = Literal["constant", "cosine"]
Momentum: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
MAX_SHIFT = 4  # pixels; the digits of MNIST have about so many black ones around them
Shift: TypeAlias = Annotated[int, Field(ge=0, le=MAX_SHIFT)]
MAX_TRIAL_EPOCHS = 5000
"""Of all trials of a search together. Its record and the tables of all searches must be of a size that is read."""
MAX_BATCH = 10_000_000  # images, no fewer than params.yaml may ask for

CHOICES = ("batch_size", "momentum", "weight_decay", "schedule", "shift")
"""Hyperparameters that the tuned protocol picks from lists; the learning rate comes from a range."""
HYPERPARAMETERS = "hyperparameters.json"
"""Beside the files of a trained model: its `Choice`."""


class Hyperparameters(Record):
    """How a network learns. Whatever is not said is as in the 2017 report: plain stochastic gradient descent.

    Attributes:
        learning_rate: of the first step.
        epochs: passes over the training images; a schedule ends with the last of them.
        batch_size: images a step; None leaves it to the model.
        momentum: of Nesterov's kind; 0 is none.
        weight_decay: added to the gradient of a kernel, times the kernel; biases do not decay.
        schedule: "constant", or "cosine" from the learning rate down to 0, anew at every step.
        shift: each image is moved by up to so many pixels, up or down and left or right, anew in every epoch.
    """

    learning_rate: PositiveFloat
    epochs: Annotated[PositiveInt, Field(le=MAX_TRIAL_EPOCHS)]
    batch_size: Annotated[PositiveInt, Field(le=MAX_BATCH)] | None = None
    momentum: Momentum = 0.0
    weight_decay: NonNegativeFloat = 0.0
    schedule: Schedule = "constant"
    shift: Shift = 0

    @property
    def is_plain(self) -> bool:
        """Whether a step remembers nothing of the steps before."""
        return self.momentum == 0 and self.weight_decay == 0


class Candidate(Hyperparameters):
    """Hyperparameters, and the validation error (percent) that the search had with them.

    Written without the values that are those of the 2017 report (`exclude_defaults`).
    """

    validation_error: Percent

    @property
    def hyperparameters(self) -> Hyperparameters:
        """Everything but the error."""
        return Hyperparameters(**self.model_dump(include=set(Hyperparameters.model_fields)))

    @property
    def learned(self) -> tuple[Hyperparameters, float]:
        """The hyperparameters and their error, by which records of any kind are compared."""
        return self.hyperparameters, self.validation_error


class Trial(Record):
    """One learning rate of a search: how it failed, if it did, the epochs it ran, and the best of those it survived.

    Of the tuned protocol: one set of `hyperparameters`. Its only candidate is its last epoch; that it ran for fewer
    than it should, without a failure, means that others did better.
    """

    learning_rate: PositiveFloat
    failure: FailureWord | None
    epochs: NonNegativeInt
    best_epoch: PositiveInt | None
    best_validation_error: Percent | None
    hyperparameters: Hyperparameters | None = None

    @model_validator(mode="after")
    def _best_is_whole(self) -> Self:
        has_best = self.best_epoch is not None
        if has_best != (self.best_validation_error is not None) or not (has_best or self.failure):
            raise ValueError("a trial has a best epoch with its validation error, or a failure")
        return self


class Probe(Record):
    """Whether a network learns in one epoch at a learning rate."""

    learning_rate: PositiveFloat
    learns: bool


class Finalist(Record):
    """One of the best trials of the tuned protocol, trained again with other seeds.

    Attributes:
        trial: its place among the trials.
        search_error: validation error (percent) in the search.
        validation_errors: of the other seeds; None where training failed.
        validation_error: their mean; None if training failed.
        difference: that minus the search's error (points): how much luck there was in being best, unless the trial was
            left out; then it has trained for longer, too.
    """

    trial: NonNegativeInt
    search_error: Percent
    validation_errors: list[Percent | None]
    validation_error: Percent | None
    difference: float | None


class Search(Candidate):
    """data/search/<model>.json: the best candidate, how it was found, and every candidate from best to worst.

    Of the tuned protocol, the candidates are the finalists.

    Attributes:
        data_sha256: `data.dataset.Dataset.sha256` of what was trained on.
        architecture: of the network, as `architectures.architecture_to_dicts` gives it.
    """

    model: str
    data_sha256: str
    architecture: list[dict[str, Any]]
    trials: Annotated[list[Trial], Field(min_length=1)]
    probes: list[Probe]
    candidates: Annotated[list[Candidate], Field(min_length=1)]
    finalists: list[Finalist] = Field(default_factory=list)

    @model_validator(mode="after")
    def _best_first(self) -> Self:
        errors = [found.validation_error for found in self.candidates]
        if errors != sorted(errors) or self.learned != self.candidates[0].learned:
            raise ValueError("the first of candidates is not the best, or not what stands on top")
        return self

    @model_validator(mode="after")
    def _from_trials(self) -> Self:
        if any(finalist.trial >= len(self.trials) for finalist in self.finalists):
            raise ValueError("one of finalists is no trial")
        if self.finalists:
            errors = [(found.validation_error, found.trial) for found in self.finalists]
            ranked = sorted((pair for pair in errors if pair[0] is not None), key=itemgetter(0))  # as they were written
            ended = [(self.trials[trial].hyperparameters, error) for error, trial in ranked]
            fit = ended == [found.learned for found in self.candidates]
        else:
            lasted = {trial.learning_rate: trial.epochs for trial in self.trials}
            fit = all(
                found.epochs <= lasted.get(found.learning_rate, 0)
                and found.hyperparameters == Hyperparameters(learning_rate=found.learning_rate, epochs=found.epochs)
                for found in self.candidates
            )
        if not fit:
            raise ValueError("candidates are not what trials and finalists found")
        return self


@dataclass(frozen=True)
class SearchResult:
    """What a search gives to be written down.

    Attributes:
        candidates: the best first.
        trials: what is behind them.
        curves: every validation error (percent).
        probes: of the report's protocol.
        finalists: of the tuned protocol.
    """

    candidates: tuple[Candidate, ...]
    trials: tuple[Trial, ...]
    curves: "pd.DataFrame"
    probes: tuple[Probe, ...] = ()
    finalists: tuple[Finalist, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return everything but the curves as in `Search`, ready for JSON, with the best candidate on top."""
        content = {
            **self.candidates[0].model_dump(exclude_defaults=True),
            "trials": [trial.model_dump(exclude_defaults=True) for trial in self.trials],
            "probes": [probe.model_dump() for probe in self.probes],
            "candidates": [candidate.model_dump(exclude_defaults=True) for candidate in self.candidates],
        }
        if self.finalists:
            content["finalists"] = [finalist.model_dump() for finalist in self.finalists]
        return content


class FailedCandidate(Record):
    """A candidate that was passed over because training failed with one seed, and in which epoch."""

    learning_rate: PositiveFloat
    epochs: PositiveInt
    seed: int
    failure: FailureWord
    epoch: PositiveInt


class Choice(Candidate):
    """data/models/<model>/hyperparameters.json: what a model was trained with, and what was passed over before."""

    model: str
    failures: list[FailedCandidate]

    def why_not(self, candidate: Candidate) -> FailedCandidate | None:
        """Return what speaks against a candidate: its own failure, or another one at the same rate."""
        same_rate = [failed for failed in self.failures if failed.learning_rate == candidate.learning_rate]
        return next((failed for failed in same_rate if failed.epochs == candidate.epochs), next(iter(same_rate), None))


def rank(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Sort by validation error; of equal ones those with fewer epochs come first, then those with the larger rate."""
    return sorted(candidates, key=lambda found: (found.validation_error, found.epochs, -found.learning_rate))


def read_search(path: Path, model: str, expected: Mapping[str, Any] | None = None) -> Search:
    """Read the record of a model's search.

    Args:
        path: the file.
        model: its name.
        expected: what it must have been made with: "data_sha256" and "architecture". Without it, anything.

    Raises:
        UserError: the file is missing, damaged, about another model, or made with something else.
    """
    remedy = "run the search first (dvc repro)"
    search = read_record(path, Search, remedy)
    _check_model(path, search.model, model, remedy)
    for name, value in (expected or {}).items():
        if getattr(search, name) != value:
            raise UserError(f"{path}: it was made with another {name}; {remedy}")
    return search


def read_choice(path: Path, model: str, search: Search | None = None) -> Choice:
    """Read what a model was trained with; if its search is given, one of the candidates of that.

    Raises:
        UserError: the file is missing, damaged, about another model, or does not fit the search.
    """
    remedy = "train the model first (dvc repro)"
    choice = read_record(path, Choice, remedy)
    _check_model(path, choice.model, model, remedy)
    if search and choice.hyperparameters not in [found.hyperparameters for found in search.candidates]:
        raise UserError(
            f"{path}: learning rate {choice.learning_rate:g} with {choice.epochs} epochs is no candidate of its search;"
            f" {remedy}"
        )
    if search and choice.learned not in [found.learned for found in search.candidates]:
        raise UserError(f"{path}: validation_error {choice.validation_error:g} is not that of its search; {remedy}")
    return choice


def _check_model(path: Path, found: str, expected: str, remedy: str) -> None:
    if found != expected:
        raise UserError(f"{path}: it is about model {found}, not {expected}; {remedy}")
