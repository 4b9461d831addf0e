import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from mnist_core.data.dataset import load_manifest
from mnist_core.networks.model_file import load_model
from mnist_core.params import load_params
from stages.train import main
from stages.training import made_with, training_setup
from tests.records import search_record

pytestmark = pytest.mark.usefixtures("small_project", "shared_cluster")


def invoke(*arguments):
    return CliRunner().invoke(main, arguments)


def choose(project, model, *learning_rates, epochs=3):
    """Write a search's record that ranks these rates, by default 0.1."""
    path = project / f"data/search/{model}.json"
    path.parent.mkdir(exist_ok=True)
    rates = learning_rates or (0.1,)
    candidates = [{"learning_rate": rate, "epochs": epochs, "validation_error": 5.0} for rate in rates]
    made = made_with(training_setup(model, load_params(Path("params.yaml"))))
    path.write_text(json.dumps(search_record(model, candidates, made)))


def outputs(project):
    paths = (path.relative_to(project) for path in project.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if path.parts[0] != ".dvc")  # there it may go on where it was


@pytest.mark.parametrize(("model", "suffixes"), [("2a", ["csv", "npz"]), ("1a", ["csv", "keras", "npz"])])
def test_every_seed_is_trained_and_saved_and_the_curves_are_their_mean(small_project, model, suffixes):
    choose(small_project, model)
    result = invoke("--model", model)
    assert result.exit_code == 0, result.output
    directory = small_project / f"data/models/{model}"
    assert sorted(path.name for path in directory.iterdir()) == [
        "hyperparameters.json",
        *(f"seed_{seed}.{suffix}" for seed in (1, 2) for suffix in suffixes),
    ]
    hyperparameters = json.loads((directory / "hyperparameters.json").read_text())
    assert hyperparameters == {
        "model": model,
        "learning_rate": 0.1,
        "epochs": 3,
        "validation_error": 5.0,
        "failures": [],
    }
    weights = [load_model(directory / f"seed_{seed}.npz")[1]["dense_1.kernel"] for seed in (1, 2)]
    assert not np.array_equal(*weights)
    expected = {"model": model, "seed": 2, "learning_rate": 0.1, "epochs": 3, "batch_size": 20}
    expected["data_sha256"] = load_manifest(small_project / "data/prepared").sha256
    load_model(directory / "seed_2.npz", expected)
    histories = [pd.read_csv(directory / f"seed_{seed}.csv") for seed in (1, 2)]
    curves = pd.read_csv(small_project / f"plots/curves/{model}.csv")
    assert curves.epoch.tolist() == histories[0].epoch.tolist() == [1, 2, 3]
    for column in ("train_error", "test_error"):
        np.testing.assert_allclose(curves[column], (histories[0][column] + histories[1][column]) / 2, atol=1e-4)
    last = histories[0].iloc[-1]
    assert result.output == (
        f"{model} seed 1: train error {last.train_error / 100:.5f}, test error {last.test_error / 100:.5f}\n"
    )


ONLY_THE_WORKER = """
import sys
from stages.train import main
main(["--model", "1a", "--workers", "1"], standalone_mode=False)
sys.exit("tensorflow" in sys.modules)
"""


def test_tensorflow_starts_on_the_workers_only(small_project):
    choose(small_project, "1a", epochs=1)
    subprocess.run([sys.executable, "-c", ONLY_THE_WORKER], check=True, capture_output=True)
    assert (small_project / "data/models/1a/seed_2.keras").exists()


@pytest.mark.parametrize("model", ["1d", "2d"])
def test_training_again_gives_the_same_bytes(small_project, model):
    choose(small_project, model, epochs=1)
    contents = []
    for _ in range(2):
        assert invoke("--model", model).exit_code == 0
        contents.append({name: (small_project / name).read_bytes() for name in outputs(small_project)})
    assert f"data/models/{model}/seed_2.npz" in contents[0]
    assert contents[0] == contents[1]


def test_verbose_prints_the_reports_line_for_every_epoch(small_project):
    choose(small_project, "2a")
    result = invoke("--model", "2a", "--verbose")
    history = pd.read_csv(small_project / "data/models/2a/seed_2.csv").iloc[1]
    line = (
        f"2a seed 2: Epoch: 2, Train error: {history.train_error / 100:.5f}, Test error: {history.test_error / 100:.5f}"
    )
    assert result.output.splitlines().count(line) == 1
    assert sum("Epoch:" in line for line in result.output.splitlines()) == 6


def test_should_the_best_rate_fail_the_next_one_is_taken_and_the_user_told(small_project):
    choose(small_project, "2b", 0.1)
    assert invoke("--model", "2b").exit_code == 0
    expected = {name: (small_project / name).read_bytes() for name in outputs(small_project)}
    choose(small_project, "2b", 1e30, 0.1, 0.01)
    result = invoke("--model", "2b")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0] == (
        "2b: learning rate 1e+30 with 3 epochs: seed 1 non-finite in epoch 1; the next best of the search was taken"
    )
    choice = json.loads((small_project / "data/models/2b/hyperparameters.json").read_text())
    assert choice["failures"] == [{"learning_rate": 1e30, "epochs": 3, "seed": 1, "failure": "non-finite", "epoch": 1}]
    del expected["data/search/2b.json"], expected["data/models/2b/hyperparameters.json"]
    assert {name: (small_project / name).read_bytes() for name in expected} == expected


def forget_the_search(project):
    (project / "data/search/2b.json").unlink()


def damage_the_search(project):
    (project / "data/search/2b.json").write_text("{")


def remove_an_image_file(project):
    (project / "data/prepared/test_images.npy").unlink()


def choose_rates_that_fail(project):
    choose(project, "2b", 1e30, 1e29)


FAULTS = [
    (forget_the_search, r"data/search/2b\.json: no such file; run the search first \(dvc repro\)"),
    (damage_the_search, r"data/search/2b\.json: not valid JSON"),
    (remove_an_image_file, r"test_images\.npy: no such file; prepare the data again"),
    (
        choose_rates_that_fail,
        r"train 2b: learning rate 1e\+30 with 3 epochs: seed 1 non-finite in epoch 1; learning rate 1e\+29 with",
    ),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS)
def test_a_fault_is_one_line_and_leaves_nothing(small_project, fault, message):
    choose(small_project, "2b")
    fault(small_project)
    before = outputs(small_project)
    result = invoke("--model", "2b")
    (line,) = result.output.splitlines()
    assert line.startswith("Error: ")
    assert re.search(message, line)
    assert result.exit_code == 1
    assert outputs(small_project) == before


@pytest.mark.parametrize("content", ["{}", "[]", '{"candidates": []}', '{"candidates": [{"learning_rate": 0.1}]}'])
def test_a_choice_without_its_fields_is_one_line(small_project, content):
    choose(small_project, "2b")
    (small_project / "data/search/2b.json").write_text(content)
    result = invoke("--model", "2b")
    (line,) = result.output.splitlines()
    assert line.startswith("Error: data/search/2b.json: ")
    assert result.exit_code == 1


def test_an_unknown_model_is_one_line(small_project):
    result = invoke("--model", "3a")
    (line,) = result.output.splitlines()
    assert line.startswith("Error: ")
    assert "3a" in line
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("data_sha256", "0" * 64), ("architecture", [{"units": 10, "activation": "relu", "type": "dense"}])],
)
def test_a_search_of_other_images_or_another_network_is_refused(small_project, name, value):
    choose(small_project, "2a")
    path = small_project / "data/search/2a.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    before = outputs(small_project)
    result = invoke("--model", "2a")
    assert result.exit_code == 1
    assert f"data/search/2a.json: it was made with another {name}; run the search first (dvc repro)" in result.output
    assert outputs(small_project) == before
