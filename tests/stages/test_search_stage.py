import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from mnist_core.data.dataset import load_manifest
from stages.search import main

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("small_project", "shared_cluster")


def invoke(*arguments):
    return CliRunner().invoke(main, arguments)


def set_search(project, **changes):
    """Change a NumPy model's search in params.yaml."""
    yaml = YAML(typ="safe")
    params = yaml.load(project / "params.yaml")
    params["profiles"]["quick"]["numpy"]["search"] = {"seed": 0, **changes}
    yaml.dump(params, project / "params.yaml")


HOPELESS = {"strategy": "grid", "learning_rates": [1e30, 1e29]}


def outputs(project):
    paths = (path.relative_to(project) for path in project.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if path.parts[0] != ".dvc")  # there it may go on where it was


def assert_one_line_and_no_output(project, result, before, message):
    (line,) = result.output.splitlines()
    assert message in line
    assert line.startswith("Error: ")
    assert result.exit_code == 1
    assert outputs(project) == before


def test_the_choice_is_the_minimum_of_the_curves(small_project):
    set_search(small_project, strategy="probe", largest_learning_rate=10, num_learning_rates=2)
    result = invoke("--model", "2a")
    assert result.exit_code == 0, result.output
    choice = json.loads((small_project / "data/search/2a.json").read_text())
    made_with = ["model", "data_sha256", "architecture"]
    assert list(choice) == [*made_with, "learning_rate", "epochs", "validation_error", "trials", "probes", "candidates"]
    assert choice["model"] == "2a"
    assert choice["data_sha256"] == load_manifest(small_project / "data/prepared").sha256
    assert choice["architecture"] == [{"units": 10, "activation": "linear", "type": "dense"}]
    curves = pd.read_csv(small_project / "plots/search/2a.csv")
    assert len(curves) == 6  # two rates, three epochs
    best = curves.sort_values(["validation_error", "epoch", "learning_rate"], ascending=[True, True, False]).iloc[0]
    assert choice["validation_error"] == best.validation_error
    assert (choice["learning_rate"], choice["epochs"]) == (best.learning_rate, best.epoch)
    assert choice["candidates"][0] == {key: choice[key] for key in ("learning_rate", "epochs", "validation_error")}
    assert len(choice["candidates"]) == 6
    assert curves[curves.best == 1].values.tolist() == [best.tolist()]
    assert result.output.startswith(f"2a: learning rate {best.learning_rate:g}, {best.epoch:.0f} epochs, validation")


def test_searching_again_gives_the_same_bytes(small_project):
    files = [small_project / "data/search/2b.json", small_project / "plots/search/2b.csv"]
    contents = []
    for _ in range(2):
        assert invoke("--model", "2b").exit_code == 0
        contents.append([path.read_bytes() for path in files])
        for path in files:
            path.unlink()
    assert contents[0] == contents[1]


def test_an_unknown_model_is_one_line(small_project):
    before = outputs(small_project)
    assert_one_line_and_no_output(small_project, invoke("--model", "3a"), before, "3a")


def test_a_model_of_the_tuned_protocol_is_refused(small_project):
    result = invoke("--model", "2b_tuned")
    assert result.exit_code == 1
    assert result.output.startswith("Error: 2b_tuned: not a model of the report; use one of 1a, ")


def test_missing_data_is_one_line(small_project):
    for path in (small_project / "data/prepared").iterdir():
        path.unlink()
    before = outputs(small_project)
    result = invoke("--model", "2a")
    assert_one_line_and_no_output(small_project, result, before, "manifest.json: no such file; prepare the data")


def test_a_search_in_which_everything_fails_is_one_line(small_project):
    set_search(small_project, **HOPELESS)
    before = outputs(small_project)
    result = invoke("--model", "2b")
    message = "search: training failed at every learning rate (1e+30 non-finite, 1e+29 non-finite); add smaller ones"
    assert_one_line_and_no_output(small_project, result, before, message)


def test_the_command_itself_shows_one_line_and_no_traceback(small_project):
    set_search(small_project, **HOPELESS)
    before = outputs(small_project)
    result = subprocess.run(
        [sys.executable, "-m", "stages.search", "--model", "2b", "--workers", "1"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=small_project,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "failed at every learning rate" in result.stderr
    assert outputs(small_project) == before
