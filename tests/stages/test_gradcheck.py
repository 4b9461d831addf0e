"""The stage: what it writes, and that a wrong gradient stops the pipeline and writes nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mnist_core.networks.architectures import Conv2D, Dense, MaxPool2D
from mnist_core.numpy_nn import layers
from mnist_core.proof import gradient_report
from mnist_core.proof.gradcheck import Case
from stages.gradcheck import main

HEAD = Dense(10)
SMALL_CASES = [
    Case("conv2d", (Conv2D(2, 3), HEAD), (5, 4, 2), "conv2d_1"),
    Case("max_pool2d", (MaxPool2D(2, 2, "same"), HEAD), (5, 4, 2), "", ties=True),
]


@pytest.fixture
def project(tmp_path, monkeypatch):
    shutil.copy(Path(__file__).parents[2] / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    # The real cases take 20 seconds and run in the pipeline; two layers and two small networks show the rest.
    monkeypatch.setattr(gradient_report, "layer_cases", lambda: SMALL_CASES)
    networks = [Case("a", (HEAD,)), Case("d", (Conv2D(2, 3, activation="relu"), MaxPool2D(2, 2), HEAD), (6, 5, 1))]
    monkeypatch.setattr(gradient_report, "network_cases", lambda architectures: networks)
    return tmp_path


def test_the_record_has_every_tensor_and_method(project):
    result = CliRunner().invoke(main, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    record = json.loads((project / "metrics/gradients.json").read_text())
    methods = {"finite_difference", "tensorflow", "naive"}
    assert record["layers"].keys() == {"conv2d", "max_pool2d"}
    assert {name: errors.keys() for name, errors in record["layers"]["conv2d"].items()} == {
        "kernel": methods,
        "bias": methods,
        "input": methods,
    }
    assert record["layers"]["max_pool2d"]["input"].keys() == {"tensorflow", "naive"}  # ties: no finite difference
    assert record["networks"]["a"].keys() == {"dense_1.kernel", "dense_1.bias", "input"}
    assert record["networks"]["d"].keys() == {
        "conv2d_1.kernel",
        "conv2d_1.bias",
        "dense_1.kernel",
        "dense_1.bias",
        "input",
    }
    errors = [
        error
        for part in ("layers", "networks")
        for tensors in record[part].values()
        for kinds in tensors.values()
        for error in kinds.values()
    ]
    assert record["largest"] == max(errors)
    assert 0 < record["largest"] < record["tolerance"] == 1e-6


def test_the_same_input_gives_the_same_bytes(project):
    path = project / "metrics/gradients.json"
    CliRunner().invoke(main, catch_exceptions=False)
    first = path.read_bytes()
    CliRunner().invoke(main, catch_exceptions=False)
    assert path.read_bytes() == first


def test_a_wrong_gradient_stops_the_pipeline_and_writes_nothing(project, monkeypatch):
    right = layers.Conv2D.backward

    def shifted(layer, grad_output):
        return np.roll(right(layer, grad_output), 1, axis=1)

    monkeypatch.setattr(layers.Conv2D, "backward", shifted)
    result = CliRunner().invoke(main)
    assert result.exit_code == 1
    assert result.output.startswith("Error: gradient of conv2d input [")
    assert result.output.count("\n") == 1
    assert "above the tolerance 1e-06" in result.output
    assert not (project / "metrics").exists() or not list((project / "metrics").iterdir())
