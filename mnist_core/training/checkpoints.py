"""Where training runs stand, on disk, so that a stage that was killed goes on where it was.

Not among DVC's outputs, which DVC removes before it runs a stage again. A state counts only for the very same run,
data, code and library versions: all of them are in its file's name.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from mnist_core.arrays import Weights
from mnist_core.candidates import Hyperparameters
from mnist_core.data.dataset import SPLIT_NAMES
from mnist_core.errors import UserError
from mnist_core.files.arrays import read_arrays
from mnist_core.files.reading import Record, reading
from mnist_core.files.writing import output_file, remove_directory, write_arrays
from mnist_core.networks.model_file import check_weights
from mnist_core.training.divergence import Failure
from mnist_core.training.history import EpochRecord
from mnist_core.training.run import TrainingRun, TrainingState
from mnist_core.training.worker import hash_of, versions

_PROGRESS = "progress"  # no weight is named so: theirs have dots
_VELOCITY = "velocity/"  # before the name of a weight
_MAX_PROGRESS = 4 << 20  # bytes of JSON; 500 epochs, the most in the report, take 50,000


class KeptRun(Record):
    """How far a run has come, without its weights: for those who only look.

    Attributes:
        key: says which run it is, data, code and library versions included; also the name of its file.
        hyperparameters: how it learns.
        seed: see `run.TrainingRun`.
        records: see `run.TrainingState`, as is the next.
        failure: why the run has ended early, or in vain.
    """

    key: str
    hyperparameters: Hyperparameters
    seed: int
    records: Annotated[tuple[EpochRecord, ...], Field(fail_fast=True)]
    failure: Failure | None

    @model_validator(mode="after")
    def _is_one_run(self) -> Self:
        epochs = [record.epoch for record in self.records]
        if self.failure and self.failure.word == "non-finite":  # in an epoch that has no record
            epochs.append(self.failure.epoch)
        if epochs != list(range(1, len(epochs) + 1)) or len(epochs) > self.hyperparameters.epochs:
            raise ValueError("its epochs are not those of a run from its start")
        if self.failure and self.failure.epoch != len(epochs):
            raise ValueError("a run ends with its failure")
        errors = [error for record in self.records for error in record.errors.items()]
        if not all(split in SPLIT_NAMES and 0 <= error <= 1 for split, error in errors):
            raise ValueError("its errors are no fractions of a split")
        return self


class Checkpoints:
    """States of the runs of one stage, each in a file of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, run: TrainingRun) -> TrainingState | None:
        """Return how far a run has come; None if nothing is known, or the file is broken or that of another run."""
        with suppress(UserError):
            return _read_state(self._path(run), run)
        return None

    def save(self, run: TrainingRun, state: TrainingState) -> None:
        """Keep a state in place of an earlier one of the same run; whole or not at all.

        Raises:
            UserError: the file cannot be written, for want of room or permission.
        """
        target = self._path(run)
        progress = KeptRun(
            key=target.stem,
            hyperparameters=run.hyperparameters,
            seed=run.seed,
            records=state.records,
            failure=state.failure,
        )
        text = np.frombuffer(progress.model_dump_json().encode(), np.uint8)
        velocity = {_VELOCITY + name: array for name, array in state.velocity.items()}
        with output_file(target) as path:
            write_arrays(path, {**state.weights, **velocity, _PROGRESS: text})

    def _path(self, run: TrainingRun) -> Path:
        # A run is plain values, which repr() tells apart; its data are what they hold, not where they lie.
        of_data = hash_of(run.setup.data_directory)
        content = repr(replace(run, setup=replace(run.setup, data_directory=Path(of_data)))), versions()
        return self._directory / f"{hashlib.sha256(repr(content).encode()).hexdigest()[:32]}.npz"


def kept_runs(directory: Path) -> list[KeptRun]:
    """Read all states kept in a directory; none of those that go away or are broken while one looks."""
    found = []
    for path in sorted(directory.glob("*.npz")):
        with suppress(UserError):
            found.append(_read(path)[0])
    return found


def _read_state(path: Path, run: TrainingRun) -> TrainingState:
    kept_run, weights = _read(path)
    velocity = {name: weights.pop(_VELOCITY + name) for name in list(weights) if _VELOCITY + name in weights}
    state = TrainingState(weights, kept_run.records, kept_run.failure, velocity)
    architecture = run.setup.architecture
    check_weights(path, architecture, weights)
    has_none = run.hyperparameters.is_plain or (state.failure is not None and state.failure.word == "non-finite")
    check_weights(path, () if has_none else architecture, velocity)
    if any(tuple(record.errors) != run.evaluate_on for record in state.records):
        raise UserError(f"{path}: its errors are not those of the splits of this run")
    return state


def _read(path: Path) -> tuple[KeptRun, Weights]:
    """Read a file and check that it was written under this name; its arrays may be anything."""
    arrays = read_arrays(path)
    with reading(path, "a state of a training"):
        text = arrays.pop(_PROGRESS)
        if text.nbytes > _MAX_PROGRESS:
            raise ValueError(f"{text.nbytes} bytes of records")
        try:
            kept_run = KeptRun.model_validate_json(text.tobytes())
        except ValidationError as error:  # whose text may take hundreds of times the memory of the file
            raise ValueError(f"{error.error_count()} keys or values are wrong") from None
        if kept_run.key != path.stem:
            raise ValueError("it is that of another run")
    return kept_run, arrays


@contextmanager
def kept(directory: Path) -> Iterator[Checkpoints]:
    """Give the states kept in a directory, which is removed once the block has succeeded."""
    yield Checkpoints(directory)
    remove_directory(directory)
