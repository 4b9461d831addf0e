import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from mnist_core.data.dataset import load_manifest
from mnist_core.networks.architectures import Dense
from mnist_core.networks.model_file import Provenance, save_model
from mnist_core.published import sha256
from stages.evaluate import main
from tests.projects import ROOT
from tools.quick import workers_for_all

MODELS = Path("data/models/2a")


def invoke(*arguments):
    return CliRunner().invoke(main, arguments)


def _save(model, seed, answer, **other):
    """Save a network that always gives one answer where seed `seed` of 2a lies."""
    weights = {"dense_1.kernel": np.zeros((784, 10), "float32"), "dense_1.bias": np.zeros(10, "float32")}
    weights["dense_1.bias"][answer] = 1
    learned = {"learning_rate": 0.5, "epochs": 7, "batch_size": 20}
    learned["data_sha256"] = load_manifest(Path("data/prepared")).sha256
    provenance = Provenance(model=model, seed=seed, **(learned | other))
    save_model(MODELS / f"seed_{seed}.npz", (Dense(10),), weights, provenance)


@pytest.fixture(autouse=True)
def project(small_project):
    """Two models: seed 1 says always 4, seed 2 always 7. Of the 40 test images 4 are of each class."""
    for seed, answer in ((1, 4), (2, 7)):
        _save("2a", seed, answer)
    hyperparameters = {"model": "2a", "learning_rate": 0.5, "epochs": 7, "validation_error": 3.25, "failures": []}
    (MODELS / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    return small_project


def outputs(project):
    return sorted(str(path.relative_to(project)) for path in project.rglob("*") if path.is_file())


LINES = "2a seed 1: train error 0.90000, test error 0.90000\n2a seed 2: train error 0.90000, test error 0.90000\n"


def test_scores_confusion_and_predictions(project):
    result = invoke("--model", "2a")
    assert (result.exit_code, result.stdout) == (0, LINES)
    data_sha256 = load_manifest(project / "data/prepared").sha256
    assert json.loads((project / "data/scores/2a.json").read_text()) == {
        "model": "2a",
        "data_sha256": data_sha256,
        "architecture": [{"units": 10, "activation": "linear", "type": "dense"}],
        "seeds": [1, 2],
        "train_error": 90.0,
        "train_error_std": 0.0,
        "test_error": 90.0,
        "test_error_std": 0.0,
        "final_validation_error": 90.0,
        "final_validation_error_std": 0.0,
        "negative_log_likelihood": 2.3612,  # ln(9 + e), less 1 for one image in ten
        "brier_score": 0.9194,
        "expected_calibration_error": 13.1969,  # 0.2320 sure, 0.1 right
        "learning_rate": 0.5,
        "epochs": 7,
        "validation_error": 3.25,
    }
    confusion = pd.read_csv(project / "plots/confusion/2a.csv")
    assert confusion.columns.tolist() == ["actual", "predicted", "count"]
    assert len(confusion) == 100
    counted = confusion[confusion["count"] > 0]
    assert counted.values.tolist() == [[actual, 4, 4] for actual in range(10)]  # of the first seed
    with np.load(project / "data/predictions/2a.npz") as predictions:
        probabilities, seeds = predictions["probabilities"], predictions["seeds"]
        assert (predictions["model"], predictions["data_sha256"]) == (b"2a", data_sha256.encode())
    assert (probabilities.shape, probabilities.dtype) == ((2, 40, 10), np.float32)
    assert seeds.tolist() == [1, 2]
    np.testing.assert_allclose(probabilities[0, 0, 3:5], [0.0853368, 0.2319690], rtol=1e-5)  # 1 and e of 9 + e


def test_print_only_writes_nothing(project):
    before = outputs(project)
    result = invoke("--print-only", "--model", "2a")
    assert (result.exit_code, result.stdout) == (0, LINES)
    assert outputs(project) == before


def _replace(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def test_print_only_takes_the_published_model_where_none_was_trained(project):
    (project / "data/published").mkdir()
    published = project / "data/published/2a.npz"
    (MODELS / "seed_2.npz").rename(published)
    shutil.rmtree(project / "data/models")
    known = {"sha256": sha256(published), "test_error": 90, "seed": 2, "learning_rate": 0.5, "epochs": 7}
    published.with_name("published.json").write_text(json.dumps({"2a": known}))
    before = outputs(project)
    result = invoke("--print-only", "--model", "2a")
    assert (result.exit_code, result.stdout) == (0, LINES.splitlines()[1] + "\n")
    assert result.stderr == "Models from data/published\n"
    assert outputs(project) == before


FAULTS = {
    "damaged model": (
        lambda: (MODELS / "seed_2.npz").write_bytes(b"PK\x03\x04"),
        "data/models/2a/seed_2.npz: not an .npz file of arrays",
    ),
    "missing model": (
        lambda: (MODELS / "seed_1.npz").unlink(),
        "data/models/2a/seed_1.npz: no such file; train it again",
    ),
    "missing data": (
        lambda: Path("data/prepared/validation_labels.npy").unlink(),
        "data/prepared/validation_labels.npy: no such file; prepare the data again",
    ),
    "missing hyperparameters": (
        lambda: Path("data/models/2a/hyperparameters.json").unlink(),
        "data/models/2a/hyperparameters.json: no such file; train the model first",
    ),
    "another model's file": (
        lambda: _save("2b", 1, 4),
        "data/models/2a/seed_1.npz: it is a network of another model (2b, not 2a)",
    ),
    "another seed's file": (
        lambda: shutil.copy(MODELS / "seed_1.npz", MODELS / "seed_2.npz"),
        "data/models/2a/seed_2.npz: it is a network of another seed (1, not 2)",
    ),
    "a model of other data": (
        lambda: _save("2a", 1, 4, data_sha256="0" * 64),
        "data/models/2a/seed_1.npz: it is a network of another data_sha256",
    ),
    "other data than params.yaml asks for": (
        lambda: _replace(Path("params.yaml"), "train: 130", "train: 500"),
        "data/prepared: mnist with 130 training, 30 validation and 40 test images but params.yaml asks for mnist with"
        " 500 training, 30 validation and 40 test images; prepare the data again",
    ),
    "hyperparameters of another training": (
        lambda: _replace(Path("data/models/2a/hyperparameters.json"), '"epochs": 7', '"epochs": 3'),
        "data/models/2a/seed_1.npz: it is a network of another epochs (7, not 3)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_and_leaves_nothing(project, fault):
    break_something, message = FAULTS[fault]
    break_something()
    before = outputs(project)
    result = invoke("--model", "2a")
    *scored, line = result.output.replace("Models from data/models\n", "").splitlines()
    assert line.replace(f"{project}/", "").startswith(f"Error: {message}")
    assert scored == LINES.splitlines()[: len(scored)]
    assert result.exit_code == 1
    assert outputs(project) == before


@pytest.mark.parametrize("model", ["1a", "2a"])
def test_with_a_scheduler_the_bytes_are_the_same(project, model):
    if model == "1a":
        shutil.copytree(MODELS, MODELS.with_name("1a"))
        for seed, answer in ((1, 4), (2, 7)):
            _save("1a", seed, answer)
            (MODELS / f"seed_{seed}.npz").rename(MODELS.with_name("1a") / f"seed_{seed}.npz")
        _replace(MODELS.with_name("1a") / "hyperparameters.json", "2a", "1a")
    assert invoke("--model", model).exit_code == 0
    written = [
        Path(name)
        for name in (f"data/scores/{model}.json", f"data/predictions/{model}.npz", f"plots/confusion/{model}.csv")
    ]
    alone = [path.read_bytes() for path in written]
    for path in written:
        path.unlink()
    command = [sys.executable, "-m", "stages.evaluate", "--model", model]
    with workers_for_all(ROOT) as variables:
        environment = os.environ | variables | {"PYTHONPATH": str(ROOT)}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout == LINES.replace("2a", model)
    assert [path.read_bytes() for path in written] == alone


def test_an_unknown_model_is_one_line():
    result = invoke("--model", "3a")
    (line,) = result.output.splitlines()
    assert line.startswith("Error: ")
    assert "3a" in line
    assert result.exit_code == 1
