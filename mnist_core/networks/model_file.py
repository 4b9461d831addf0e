"""A trained network on disk: one .npz with the weights and, as JSON, the architecture. No pickle.

Both frameworks read and write it, so a network trained in one runs in the other.
"""

import json
from pathlib import Path

import numpy as np

from mnist_core.arrays import Weights
from mnist_core.files import read_arrays, reading, write_arrays
from mnist_core.networks.architectures import Architecture, architecture_from_dicts, architecture_to_dicts

_ARCHITECTURE_KEY = "architecture"
_REMEDY = "train it again (dvc repro)"


def save_model(path: Path, architecture: Architecture, weights: Weights) -> None:
    """Write the network; equal weights give equal bytes."""
    text = np.frombuffer(json.dumps(architecture_to_dicts(architecture)).encode(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(path, {_ARCHITECTURE_KEY: text, **weights})


def load_model(path: Path) -> tuple[Architecture, Weights]:
    """Read a network written by `save_model`.

    Raises:
        UserError: the file is missing or is not such a network.
    """
    weights = read_arrays(path, _REMEDY)
    with reading(path, "a model written by this project", _REMEDY):
        layers = json.loads(weights.pop(_ARCHITECTURE_KEY).tobytes())
        return architecture_from_dicts(layers), weights
