"""A trained network on disk: one .npz with the weights and, as JSON, the architecture. No pickle.

Both frameworks read and write it, so a network trained in one runs in the other.
"""

import json
import zipfile
from pathlib import Path

import numpy as np

from mnist_core.architectures import Architecture, architecture_from_dicts, architecture_to_dicts
from mnist_core.classifier import Weights
from mnist_core.errors import UserError

_ARCHITECTURE_KEY = "architecture"


def save_model(path: Path, architecture: Architecture, weights: Weights) -> None:
    """Write the network; equal weights give equal bytes."""
    text = np.frombuffer(json.dumps(architecture_to_dicts(architecture)).encode(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # a file object: np.savez would append ".npz" to another suffix
        np.savez(file, allow_pickle=False, **{_ARCHITECTURE_KEY: text}, **weights)


def load_model(path: Path) -> tuple[Architecture, Weights]:
    """Read a network written by `save_model`.

    Raises:
        UserError: the file is missing or is not such a network.
    """
    try:
        # np.load leaves a damaged file open if it opens it itself.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            weights = {name: arrays[name] for name in arrays.files}
        layers = json.loads(weights.pop(_ARCHITECTURE_KEY).tobytes())
        return architecture_from_dicts(layers), weights
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such model; train it first (dvc repro)") from error
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a model written by this project ({error}); train it again") from error
