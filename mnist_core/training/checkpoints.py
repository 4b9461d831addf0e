"""Where training runs stand, on disk, so that a stage that was killed goes on where it was.

Not among DVC's outputs, which DVC removes before it runs a stage again. A state counts only for the very same run,
data, code and library versions: all of them are in its file's name.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from mnist_core.candidates import Hyperparameters
from mnist_core.errors import UserError
from mnist_core.files.arrays import read_arrays
from mnist_core.files.reading import content_hash
from mnist_core.files.writing import output_file, remove_directory, write_arrays
from mnist_core.training.divergence import Failure
from mnist_core.training.history import EpochRecord
from mnist_core.training.run import TrainingRun, TrainingState
from mnist_core.training.worker import versions

_PROGRESS = "progress"  # no weight is named so: theirs have dots
_VELOCITY = "velocity/"  # before the name of a weight


class Checkpoints:
    """States of the runs of one stage, each in a file of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, run: TrainingRun) -> TrainingState | None:
        """Return how far a run has come; None if nothing is known, or the file is broken."""
        found = _read(self._path(run))
        return found.state if found else None

    def save(self, run: TrainingRun, state: TrainingState) -> None:
        """Keep a state in place of an earlier one of the same run; whole or not at all."""
        progress = {
            "hyperparameters": run.hyperparameters.model_dump(),
            "seed": run.seed,
            "records": [asdict(record) for record in state.records],
            "failure": asdict(state.failure) if state.failure else None,
        }
        with output_file(self._path(run)) as path:
            velocity = {_VELOCITY + name: array for name, array in state.velocity.items()}
            write_arrays(path, {**state.weights, **velocity, _PROGRESS: np.array(json.dumps(progress))})

    def _path(self, run: TrainingRun) -> Path:
        # A run is plain values, which repr() tells apart; its data are what they hold, not where they lie.
        of_data = _hash_of(run.setup.data_directory)
        content = repr(replace(run, setup=replace(run.setup, data_directory=Path(of_data)))), versions()
        return self._directory / f"{hashlib.sha256(repr(content).encode()).hexdigest()[:32]}.npz"


@dataclass(frozen=True)
class KeptRun:
    """How far a run has come, for those who only look."""

    hyperparameters: Hyperparameters
    seed: int
    state: TrainingState


def kept_runs(directory: Path) -> list[KeptRun]:
    """Read all states kept in a directory; none of those that go away or are broken while one looks."""
    return [found for path in sorted(directory.glob("*.npz")) if (found := _read(path))]


def _read(path: Path) -> KeptRun | None:
    if not path.exists():
        return None
    try:
        arrays = read_arrays(path)
        progress = json.loads(str(arrays.pop(_PROGRESS)))
        records = tuple(EpochRecord(**record) for record in progress["records"])
        failure = Failure(**progress["failure"]) if progress["failure"] else None
        velocity = {name: arrays.pop(_VELOCITY + name) for name in list(arrays) if _VELOCITY + name in arrays}
        state = TrainingState(arrays, records, failure, velocity)
        return KeptRun(Hyperparameters(**progress["hyperparameters"]), progress["seed"], state)
    except (UserError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def kept(directory: Path) -> Iterator[Checkpoints]:
    """Give the states kept in a directory, which is removed once the block has succeeded."""
    yield Checkpoints(directory)
    remove_directory(directory)


@cache
def _hash_of(directory: Path) -> str:
    return content_hash(directory)
