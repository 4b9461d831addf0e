"""A trained network on disk: one .npz with the weights and, as JSON, the architecture and its provenance. No pickle.

Both frameworks read and write it, so a network trained in one runs in the other.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from mnist_core.arrays import Array, Weights
from mnist_core.candidates import Momentum, Schedule, Shift
from mnist_core.errors import UserError
from mnist_core.files.arrays import read_arrays
from mnist_core.files.reading import Record, reading, validate
from mnist_core.files.writing import write_arrays
from mnist_core.networks.architectures import (
    Architecture,
    CheckedArchitecture,
    architecture_to_dicts,
    parameter_shapes,
)

_ARCHITECTURE, _PROVENANCE = "architecture", "provenance"
_REMEDY = "train it again (dvc repro)"
_MAX_JSON = 1 << 16  # bytes; the architectures of the report take 700


class Provenance(Record):
    """Where a trained network comes from.

    Attributes:
        model: its name in the report, such as "2d".
        seed: of its initial weights and of the order of the images.
        learning_rate: of SGD; like the following see `candidates.Hyperparameters`.
        data_sha256: `data.dataset.Dataset.sha256` of what it learned from.
    """

    model: str
    seed: NonNegativeInt
    learning_rate: PositiveFloat
    epochs: PositiveInt
    batch_size: PositiveInt
    data_sha256: str
    momentum: Momentum = 0.0
    weight_decay: NonNegativeFloat = 0.0
    schedule: Schedule = "constant"
    shift: Shift = 0


def save_model(path: Path, architecture: Architecture, weights: Weights, provenance: Provenance | None = None) -> None:
    """Write the network; equal networks give equal bytes."""
    texts = {_ARCHITECTURE: _as_bytes(architecture_to_dicts(architecture))}
    if provenance:
        texts[_PROVENANCE] = _as_bytes(provenance.model_dump(exclude_defaults=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(path, {**texts, **weights})


def load_model(path: Path, expected: Mapping[str, Any] | None = None) -> tuple[Architecture, Weights]:
    """Read a network written by `save_model`; its weights are float32, finite and of its architecture's shapes.

    Args:
        path: the file.
        expected: what it must be: "architecture", and fields of `Provenance` -> value. Without it, anything.

    Raises:
        UserError: the file is missing, is not such a network, or is another one than was expected.
    """
    arrays = read_arrays(path, _REMEDY)
    with reading(path, "a model written by this project", _REMEDY):
        content = {name: _from_bytes(arrays.pop(name)) for name in (_ARCHITECTURE, _PROVENANCE) if name in arrays}
        layers = content[_ARCHITECTURE]
    architecture: Architecture = validate(layers, CheckedArchitecture, path=path, section=_ARCHITECTURE, remedy=_REMEDY)
    check_weights(path, architecture, arrays)
    if expected:
        found = validate(
            content.get(_PROVENANCE, {}), Provenance, path=path, section=_PROVENANCE, remedy=_REMEDY
        ).model_dump() | {"architecture": architecture}
        for name, value in expected.items():
            if found[name] != value:
                detail = "" if name in ("architecture", "data_sha256") else f" ({found[name]}, not {value})"
                raise UserError(f"{path}: it is a network of another {name}{detail}; {_REMEDY}")
    return architecture, arrays


def check_weights(path: Path, architecture: Architecture, weights: Weights) -> None:
    """Check that arrays from a file are float32, finite, and named and shaped as the parameters of an architecture.

    Raises:
        UserError: they are not; the first that is at fault is named.
    """
    shapes = {name: array.shape for name, array in weights.items()}
    expected = parameter_shapes(architecture)
    if shapes != expected:
        names = [name for name in {**expected, **shapes} if shapes.get(name) != expected.get(name)]
        raise UserError(f"{path}: its {names[0]} does not fit its architecture; {_REMEDY}")
    for name, array in weights.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise UserError(f"{path}: its {name} does not hold finite numbers of type float32; {_REMEDY}")


def _as_bytes(content: Any) -> Array:
    return np.frombuffer(json.dumps(content).encode(), np.uint8)


def _from_bytes(array: Array) -> Any:
    if array.dtype != np.uint8 or array.nbytes > _MAX_JSON:
        raise ValueError("its description is no text, or too long")
    return json.loads(array.tobytes())
