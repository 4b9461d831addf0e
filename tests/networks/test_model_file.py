import json

import numpy as np
import pytest

from mnist_core.errors import UserError
from mnist_core.networks.architectures import Conv2D, Dense, architecture_to_dicts
from mnist_core.networks.model_file import Provenance, load_model, save_model

ARCHITECTURE = (Conv2D(2, 3, activation="relu"), Dense(10))
WEIGHTS = {
    "conv2d_1.kernel": np.arange(18, dtype="float32").reshape(3, 3, 1, 2),
    "conv2d_1.bias": np.array([0.5, -0.5], "float32"),
    "dense_1.kernel": np.ones((1568, 10), "float32"),
    "dense_1.bias": np.zeros(10, "float32"),
}
PROVENANCE = Provenance(model="2d", seed=1, learning_rate=0.1, epochs=3, batch_size=20, data_sha256="ab12")


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


def padded(size):
    """Return a right description with so many blanks that it has this many bytes."""
    return np.frombuffer(as_bytes(architecture_to_dicts(ARCHITECTURE)).tobytes().ljust(size), np.uint8)


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
    "no layers": lambda path: write_arrays(path, architecture=as_bytes([]), **WEIGHTS),
    "nested too deep": lambda path: write_arrays(path, architecture=np.frombuffer(b"[" * 60_000, np.uint8)),
    "too long": lambda path: write_arrays(path, architecture=padded(70_000), **WEIGHTS),
    "text as numbers of another type": lambda path: write_arrays(
        path, architecture=as_bytes(architecture_to_dicts(ARCHITECTURE)).astype(np.int16), **WEIGHTS
    ),
    "units that are no whole number": lambda path: write_arrays(
        path, architecture=as_bytes([{"type": "dense", "units": 10.0}]), **WEIGHTS
    ),
    "units beyond any memory": lambda path: write_arrays(
        path, architecture=as_bytes([{"type": "dense", "units": 10**12}, {"type": "dense", "units": 10}]), **WEIGHTS
    ),
    "pickle": pickle_an_object,
}


REFUSED = r"^[^\n]*seed_1\.npz: [^\n]*; train it again \(dvc repro\)$"


def test_a_long_description_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "seed_1.npz"
    write_arrays(path, architecture=padded(65_536), **WEIGHTS)
    assert load_model(path)[0] == ARCHITECTURE


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_model_is_refused_in_one_line(tmp_path, damage):
    path = tmp_path / "seed_1.npz"
    DAMAGES[damage](path)
    with pytest.raises(UserError, match=REFUSED):
        load_model(path)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("dense_1.bias", np.full(10, np.nan, "float32"), "dense_1.bias does not hold finite numbers"),
        ("dense_1.bias", np.full(10, np.inf, "float32"), "dense_1.bias does not hold finite numbers"),
        ("dense_1.bias", np.full(10, 1e300), "dense_1.bias does not hold finite numbers of type float32"),
        ("dense_1.bias", np.zeros(9, "float32"), "dense_1.bias does not fit its architecture"),
        ("dense_9.bias", np.zeros(10, "float32"), "dense_9.bias does not fit its architecture"),
    ],
)
def test_weights_that_cannot_be_are_refused(tmp_path, name, value, message):
    save_model(tmp_path / "x.npz", ARCHITECTURE, {**WEIGHTS, name: value})
    with pytest.raises(UserError, match=rf"x\.npz: its {message}"):
        load_model(tmp_path / "x.npz")


def test_a_weight_with_an_imaginary_part_is_refused(tmp_path):
    save_model(tmp_path / "x.npz", ARCHITECTURE, {**WEIGHTS, "dense_1.bias": np.zeros(10, "complex64")})
    with pytest.raises(UserError, match=r"x\.npz: not an \.npz file of arrays"):
        load_model(tmp_path / "x.npz")


def test_a_network_is_what_was_asked_for(tmp_path):
    save_model(tmp_path / "x.npz", ARCHITECTURE, WEIGHTS, PROVENANCE)
    expected = {"model": "2d", "seed": 1, "data_sha256": "ab12", "architecture": ARCHITECTURE}
    assert load_model(tmp_path / "x.npz", expected)[0] == ARCHITECTURE


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"model": "1d"}, r"another model \(2d, not 1d\)"),
        ({"seed": 2}, r"another seed \(1, not 2\)"),
        ({"architecture": (Dense(10),)}, "another architecture"),
        ({"data_sha256": "cd34"}, "another data_sha256"),
    ],
)
def test_another_network_is_refused(tmp_path, expected, message):
    save_model(tmp_path / "x.npz", ARCHITECTURE, WEIGHTS, PROVENANCE)
    with pytest.raises(UserError, match=rf"x\.npz: it is a network of {message}; train it again"):
        load_model(tmp_path / "x.npz", expected)


def test_a_network_without_provenance_is_refused_where_one_is_asked_for(tmp_path):
    save_model(tmp_path / "x.npz", ARCHITECTURE, WEIGHTS)
    with pytest.raises(UserError, match=r"x\.npz: provenance\.model: missing; train it again"):
        load_model(tmp_path / "x.npz", {"model": "2d"})
