import json

import numpy as np
import pytest

from mnist_core.errors import UserError
from mnist_core.networks.architectures import Conv2D, Dense, architecture_to_dicts
from mnist_core.networks.model_file import load_model, save_model

ARCHITECTURE = (Conv2D(2, 3, activation="relu"), Dense(10))
WEIGHTS = {
    "conv2d_1.kernel": np.arange(18, dtype="float32").reshape(3, 3, 1, 2),
    "conv2d_1.bias": np.array([0.5, -0.5], "float32"),
}


def write_arrays(path, **arrays):
    with path.open("wb") as file:
        np.savez(file, **arrays)


def as_bytes(layers):
    return np.frombuffer(json.dumps(layers).encode(), np.uint8)


def test_a_network_comes_back_as_it_was(tmp_path):
    path = tmp_path / "new" / "seed_1.npz"
    save_model(path, ARCHITECTURE, WEIGHTS)
    architecture, weights = load_model(path)
    assert architecture == ARCHITECTURE
    assert list(weights) == list(WEIGHTS)
    for name, array in WEIGHTS.items():
        assert weights[name].dtype == np.float32
        np.testing.assert_array_equal(weights[name], array)


def test_equal_networks_give_equal_bytes(tmp_path):
    for name in ("first", "second"):
        save_model(tmp_path / name, ARCHITECTURE, {key: array.copy() for key, array in WEIGHTS.items()})
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_missing_model_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"seed_1\.npz: no such file; train it again \(dvc repro\)$"):
        load_model(tmp_path / "seed_1.npz")


def truncate(path):
    save_model(path, ARCHITECTURE, WEIGHTS)
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    save_model(path, ARCHITECTURE, WEIGHTS)
    content = bytearray(path.read_bytes())
    content[content.index(b"conv2d_1.kernel") + 180] ^= 1
    path.write_bytes(content)


def save_one_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


class Touch:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def pickle_an_object(path):
    write_arrays(path, architecture=np.array(Touch(path.parent / "unpickled"), object))


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("Not a model"),
    "truncated": truncate,
    "flipped bit": flip_a_bit,
    "directory": lambda path: path.mkdir(),
    "one array": save_one_array,
    "no architecture": lambda path: write_arrays(path, **WEIGHTS),
    "no JSON": lambda path: write_arrays(path, architecture=np.frombuffer(b"{[", np.uint8)),
    "no list": lambda path: write_arrays(path, architecture=as_bytes(5)),
    "no layer": lambda path: write_arrays(path, architecture=as_bytes(["dense"])),
    "unknown layer": lambda path: write_arrays(path, architecture=as_bytes([{"type": "lstm"}])),
    "unknown field": lambda path: write_arrays(
        path, architecture=as_bytes([architecture_to_dicts(ARCHITECTURE)[0] | {"a": 1}])
    ),
    "pickle": pickle_an_object,
}


REFUSED = (
    r"^[^\n]*seed_1\.npz: (not a model written by this project|not an \.npz file of arrays|cannot be read) "
    r"\([^\n]*\); train it again \(dvc repro\)$"
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_model_is_refused_in_one_line(tmp_path, damage):
    path = tmp_path / "seed_1.npz"
    DAMAGES[damage](path)
    with pytest.raises(UserError, match=REFUSED):
        load_model(path)
    assert not (tmp_path / "unpickled").exists()
