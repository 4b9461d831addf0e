"""A small project to run stage commands in."""

import contextlib
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small_project(tmp_path, monkeypatch, prepared):
    """A directory, the current one, with prepared images and a params.yaml of few epochs and the seeds 1 and 2."""
    shutil.copytree(prepared, tmp_path / "data/prepared")
    yaml = YAML(typ="safe")
    params = yaml.load(ROOT / "params.yaml")
    params["profile"] = "quick"
    quick = params["profiles"]["quick"]
    quick["train"]["seeds"] = [1, 2]
    for framework in ("tensorflow", "numpy"):
        quick[framework] |= {"batch_size": 20, "epochs": dict.fromkeys("abcd", 3)}
    yaml.dump(params, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shared_cluster(client, monkeypatch):
    """Lets the stages use the tests' own workers: starting new ones takes seconds."""

    def open_cluster(*, num_workers, scheduler):
        return contextlib.nullcontext(client)

    monkeypatch.setattr("stages.search.open_cluster", open_cluster)
    monkeypatch.setattr("stages.tuning.open_cluster", open_cluster)
    monkeypatch.setattr("stages.train.open_cluster", open_cluster)
    monkeypatch.setattr("stages.parity.open_cluster", open_cluster)
