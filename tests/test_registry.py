"""The table of the models drives what must hold for every one of them, in both frameworks."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnist_core.data.dataset import load_split
from mnist_core.models import MODELS
from mnist_core.networks.architectures import Dense, Flatten, ReLU, operations
from mnist_core.networks.model_file import load_model, save_model
from mnist_core.params import load_params
from mnist_core.registry import build_classifier
from tests.weights import drawn

ROOT = Path(__file__).parents[1]
PARAMS = load_params(ROOT / "params.yaml")

PARAMETERS = {"a": 7850, "b": 101770, "c": 269322, "d": 7370}
SHAPES = {
    "a": [(10,)],
    "b": [(128,), (10,)],
    "c": [(256,), (256,), (10,)],
    "d": [(28, 28, 16), (14, 14, 16), (14, 14, 16), (7, 7, 16), (7, 7, 16), (4, 4, 16), (10,)],
}

every_model = pytest.mark.parametrize("model", MODELS)


def build(model, seed=0):
    return build_classifier(MODELS[model][0], PARAMS.architecture(model), drawn(PARAMS.architecture(model), seed))


def train(network, split, batch_size=30):
    order = np.random.default_rng(1).permutation(len(split.labels))
    return network.train_epoch(split.images, split.labels, order, batch_size=batch_size, learning_rate=0.1)


def test_the_models_of_the_report():
    assert list(MODELS) == ["1a", "1b", "1c", "1d", "2a", "2b", "2c", "2d"]
    assert MODELS["1d"] == ("tensorflow", "d")
    assert MODELS["2a"] == ("numpy", "a")


@every_model
def test_shapes_and_number_of_parameters(model, prepared):
    network = build(model)
    letter = MODELS[model][1]
    layers = [step for step in operations(network.architecture) if not isinstance(step, Flatten | ReLU)]
    assert [step.output_shape for step in layers] == SHAPES[letter]
    assert sum(array.size for array in network.get_weights().values()) == PARAMETERS[letter]
    logits = network.predict_logits(load_split(prepared, "test").images)
    assert (logits.shape, logits.dtype) == ((40, 10), np.float32)


@every_model
def test_the_same_seed_gives_the_same_bytes_through_training_and_file(model, prepared, tmp_path):
    split = load_split(prepared, "train")
    files = []
    for attempt in range(2):
        network = build(model, seed=5)
        train(network, split)
        files.append(tmp_path / f"{attempt}.npz")
        save_model(files[-1], network.architecture, network.get_weights())
    assert files[0].read_bytes() == files[1].read_bytes()

    architecture, weights = load_model(files[0])
    assert architecture == network.architecture
    loaded = build(model, seed=6)
    assert not np.array_equal(loaded.predict_logits(split.images), network.predict_logits(split.images))
    loaded.set_weights(weights)
    np.testing.assert_array_equal(loaded.predict_logits(split.images), network.predict_logits(split.images))


@pytest.mark.parametrize("model", [name for name, (framework, _) in MODELS.items() if framework == "numpy"])
def test_twenty_images_are_learnt_by_heart(model):  # tests/tensorflow_nn has the same for TensorFlow
    rng = np.random.default_rng(7)
    images, labels = rng.random((20, 28, 28, 1), dtype=np.float32), rng.integers(10, size=20)
    network = build(model)
    losses = [2.0]
    while losses[-1] > 0.1 and len(losses) < 400:
        losses.append(network.train_epoch(images, labels, np.arange(20), batch_size=20, learning_rate=0.1))
    assert losses[-1] < 0.1
    np.testing.assert_array_equal(network.predict_logits(images).argmax(axis=1), labels)


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
def test_a_network_never_changes_behind_its_holders_back(framework):
    architecture = (Dense(10),)
    given = drawn(architecture, 1)
    first, second = (build_classifier(framework, architecture, weights) for weights in (given, drawn(architecture, 2)))
    images = np.random.default_rng(3).random((6, 28, 28, 1), dtype=np.float32)
    before, other = first.predict_logits(images), second.predict_logits(images)
    second.train_epoch(images, np.arange(6), np.arange(6), batch_size=2, learning_rate=0.1)
    given["dense_1.kernel"][...] = 0
    np.testing.assert_array_equal(first.predict_logits(images), before)
    assert not np.array_equal(second.predict_logits(images), other)


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
def test_weights_that_do_not_fit_are_refused(framework):
    with pytest.raises(ValueError, match="dense_1"):
        build_classifier(framework, (Dense(5, "relu"), Dense(10)), drawn((Dense(10),)))


@every_model
def test_only_convolutions_in_numpy_use_the_number_of_threads(model):
    architecture = PARAMS.architecture(model)
    network = build_classifier(MODELS[model][0], architecture, drawn(architecture), num_threads=3)
    if MODELS[model][0] == "numpy":
        assert len(network._networks) == (3 if model == "2d" else 1)


IMPORTS = """
import json, runpy, sys
from pathlib import Path
sys.argv = ["stages.train", "--help"]
for stage in ("fetch", "prepare", "search", "evaluate", "plot", "table", "report"):
    __import__(f"stages.{stage}")
try:
    runpy.run_module("stages.train", run_name="__main__", alter_sys=True)
except SystemExit as stop:
    assert not stop.code
from mnist_core.params import load_params
from mnist_core.networks.initializers import initial_weights
from mnist_core.registry import build_classifier
import numpy
architecture = load_params(Path("params.yaml")).architecture("2d")
build_classifier("numpy", architecture, initial_weights(architecture, rng=numpy.random.default_rng(0)))
print(json.dumps(sorted(sys.modules)))
"""


def test_the_numpy_path_never_imports_tensorflow():
    result = subprocess.run([sys.executable, "-c", IMPORTS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--verbose" in result.stdout
    imported = json.loads(result.stdout.splitlines()[-1])
    assert "mnist_core.training.loop" in imported
    assert [name for name in imported if name.split(".")[0] in ("tensorflow", "keras")] == []


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
def test_a_loss_and_a_step_worked_out_by_hand(framework):
    weights = {"dense_1.kernel": np.zeros((1, 10)), "dense_1.bias": np.zeros(10)}
    network = build_classifier(framework, (Dense(10),), weights, input_shape=(1, 1, 1), dtype="float64")
    images, labels = np.full((1, 1, 1, 1), 2.0), np.array([3])
    loss = network.train_epoch(images, labels, np.array([0]), batch_size=1, learning_rate=0.5)
    assert loss == pytest.approx(2.302585092994046, abs=1e-12)  # ln 10: ten equal probabilities
    # The gradient of the logits is 0.1, and -0.9 for the right class; the pixel is 2.
    expected = np.full(10, -0.05)
    expected[3] = 0.45
    np.testing.assert_allclose(network.get_weights()["dense_1.bias"], expected, rtol=1e-12)
    np.testing.assert_allclose(network.get_weights()["dense_1.kernel"], [2 * expected], rtol=1e-12)


@pytest.mark.parametrize("framework", ["numpy", "tensorflow"])
def test_momentum_needs_a_velocity(framework):
    weights = {"dense_1.kernel": np.zeros((1, 10)), "dense_1.bias": np.zeros(10)}
    network = build_classifier(framework, (Dense(10),), weights, input_shape=(1, 1, 1))
    images, labels = np.ones((1, 1, 1, 1), np.float32), np.array([3])
    with pytest.raises(ValueError, match="need a velocity"):
        network.train_epoch(images, labels, np.array([0]), batch_size=1, learning_rate=0.5, momentum=0.9)
