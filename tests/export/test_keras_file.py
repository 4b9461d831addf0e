"""A saved `.keras` file: plain Keras loads it, it predicts the same, and equal weights give equal bytes."""

import io
import json
import os
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from mnist_core.export.keras_file import keras_bytes
from mnist_core.metrics import softmax
from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D
from mnist_core.networks.initializers import initial_weights
from mnist_core.networks.model_file import save_model
from mnist_core.tensorflow_nn.classifier import TensorFlowClassifier

ARCHITECTURES = {
    "dense": (Dense(16, "relu"), Dense(10)),
    "same": (Conv2D(4, 3, activation="relu"), MaxPool2D(2, 2), Conv2D(5, 3), MaxPool2D(2, 2), Dense(10)),
    "valid": (Conv2D(4, 5, stride=2, padding="valid", activation="relu"), MaxPool2D(3, 1, "valid"), Dense(10)),
}


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_keras_predicts_what_our_network_predicts(tmp_path, architecture):
    rng = np.random.default_rng(0)
    network = TensorFlowClassifier(architecture, initial_weights(architecture, rng=rng))
    weights = {name: value + 0.1 for name, value in network.get_weights().items()}  # no bias is zero
    network.set_weights(weights)
    images = rng.integers(0, 256, (5, 28, 28, 1), np.uint8)
    path = tmp_path / "model.keras"
    path.write_bytes(keras_bytes(architecture, weights))
    model = keras.saving.load_model(path)
    expected = softmax(network.predict_logits(images / np.float32(255)))
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-5)


PROGRAM = """
import sys
from pathlib import Path
from mnist_core.networks.model_file import load_model
from mnist_core.export.keras_file import keras_bytes
Path(sys.argv[2]).write_bytes(keras_bytes(*load_model(Path(sys.argv[1]))))
"""


def test_equal_weights_give_equal_bytes_in_any_process(tmp_path):
    architecture = ARCHITECTURES["same"]
    weights = initial_weights(architecture, rng=np.random.default_rng(0))
    content = keras_bytes(architecture, weights)
    save_model(tmp_path / "model.npz", architecture, weights)
    subprocess.run([sys.executable, "-c", PROGRAM, tmp_path / "model.npz", tmp_path / "second.keras"], check=True)
    assert content == (tmp_path / "second.keras").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert list(json.loads(archive.read("metadata.json"))) == ["keras_version"]
        layers = [layer["config"]["name"] for layer in json.loads(archive.read("config.json"))["config"]["layers"]]
    assert layers == [
        *("images", "rescaling", "conv2d_1", "relu_1", "max_pool2d_1", "conv2d_2", "max_pool2d_2"),
        *("flatten_1", "dense_1", "probabilities"),
    ]


def test_what_a_user_has_set_for_keras_does_not_matter(tmp_path):
    architecture = ARCHITECTURES["same"]
    weights = initial_weights(architecture, rng=np.random.default_rng(0))
    save_model(tmp_path / "model.npz", architecture, weights)
    (tmp_path / "keras.json").write_text('{"floatx": "float16", "image_data_format": "channels_first"}')
    command = [sys.executable, "-c", PROGRAM, tmp_path / "model.npz", tmp_path / "model.keras"]
    subprocess.run(command, check=True, env={**os.environ, "KERAS_HOME": str(tmp_path)})
    assert (tmp_path / "model.keras").read_bytes() == keras_bytes(architecture, weights)


def test_weights_of_another_network_are_refused():
    weights = initial_weights((Dense(10),), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="shape"):
        keras_bytes((Dense(5, "relu"), Dense(10)), {**weights, "dense_2.kernel": 0})


def test_no_key_is_newer_than_keras_3_5():
    """Keras 3.5 refuses keys that it does not know."""
    architecture = ARCHITECTURES["same"]
    weights = initial_weights(architecture, rng=np.random.default_rng(0))
    with zipfile.ZipFile(io.BytesIO(keras_bytes(architecture, weights))) as archive:
        config = archive.read("config.json").decode()
    assert [key for key in ("quantization_config", "input_axes", "output_axes") if key in config] == []


def test_an_older_keras_reads_it(tmp_path):
    """OLD_KERAS names a directory made by: pip install --no-deps --target DIRECTORY keras==3.5.0 ."""
    if "OLD_KERAS" not in os.environ:
        pytest.skip("OLD_KERAS names no directory with Keras 3.5")
    architecture = ARCHITECTURES["same"]
    weights = initial_weights(architecture, rng=np.random.default_rng(0))
    (tmp_path / "model.keras").write_bytes(keras_bytes(architecture, weights))
    program = (
        "import keras, numpy, sys; model = keras.saving.load_model(sys.argv[1]);"
        "print(keras.__version__, model.predict(numpy.zeros((1, 28, 28, 1), 'uint8'), verbose=0).sum().round(3))"
    )
    command = [sys.executable, "-c", program, tmp_path / "model.keras"]
    environment = {**os.environ, "PYTHONPATH": os.environ["OLD_KERAS"]}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    version, total = result.stdout.split()
    assert version != keras.__version__
    assert total == "1.0"
