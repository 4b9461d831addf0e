"""Fixtures: a small learnable data set, a run on it, one cluster for all tests, and the committed results."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from mnist_core.candidates import Hyperparameters
from mnist_core.data.dataset import save_dataset
from mnist_core.networks.architectures import Dense
from mnist_core.training.cluster import open_cluster
from mnist_core.training.run import TrainingRun, TrainingSetup
from tests.browser import CHROMIUM
from tests.digits import mnist_files, trained_dense_network
from tests.projects import squares


def pytest_addoption(parser):
    parser.addoption("--all-faults", action="store_true", help="tests/faults: all of it, for half an hour")


@pytest.fixture(scope="session")
def all_faults(request):
    """Whether all faults are to be tried."""
    return request.config.getoption("--all-faults")


ROOT = Path(__file__).parents[1]


def pytest_runtest_setup(item):
    """Skip what needs a program that this machine lacks; in CI, which installs them, that is a failure."""
    needed = [name for mark in item.iter_markers("needs") for name in mark.args]
    if item.get_closest_marker("browser") and CHROMIUM is None:
        needed.append("chromium")
    for name in needed:
        if shutil.which(name) is None:
            fail_or_skip = pytest.fail if os.environ.get("CI") else pytest.skip
            fail_or_skip(f"needs {name} on the PATH (Debian: apt install {_PACKAGES.get(name, name)})")


_PACKAGES = {"pdftotext": "poppler-utils"}


def pytest_collection_modifyitems(items):
    """Files that run whole pipelines come first: at the end, one of them would keep one process busy alone."""
    items.sort(key=lambda item: item.path.parent.name not in ("project", "tools", "faults"))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Prepared data: a bright square at a place that tells the class; 130 train, 30 validation, 40 test images."""
    directory = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    splits = {}
    for name, count in (("train", 130), ("validation", 30), ("test", 40)):
        splits[name] = squares(rng, count)
    save_dataset(directory, splits)
    return directory


@pytest.fixture
def small_project(tmp_path, monkeypatch, prepared):
    """A directory, the current one, with prepared images and a params.yaml of few epochs and the seeds 1 and 2."""
    shutil.copytree(prepared, tmp_path / "data/prepared")
    yaml = YAML(typ="safe")
    params = yaml.load(ROOT / "params.yaml")
    params["profile"] = "quick"
    quick = params["profiles"]["quick"]
    quick["data"] = {"train": 130, "validation": 30, "test": 40}
    quick["train"]["seeds"] = [1, 2]
    for framework in ("tensorflow", "numpy"):
        quick[framework] |= {"batch_size": 20, "epochs": dict.fromkeys(params["architectures"], 3)}
    yaml.dump(params, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def committed():
    """Reader of the committed text of a file: a user's own experiment in the work tree makes no result wrong."""

    def read(path):
        command = ["git", "show", f"HEAD:{path}"]
        return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout

    return read


@pytest.fixture
def setup(prepared):
    """A small network on the prepared data."""
    return TrainingSetup(
        framework="numpy", architecture=(Dense(16, "relu"), Dense(10)), data_directory=prepared, batch_size=20
    )


@pytest.fixture
def run(setup):
    """A small training run."""
    return TrainingRun(setup, Hyperparameters(learning_rate=0.1, epochs=4), seed=0, evaluate_on=("test",))


@pytest.fixture(scope="session")
def client():
    """A cluster of two local worker processes."""
    with open_cluster(num_workers=2) as client:
        yield client


@pytest.fixture(scope="session")
def mnist_directory(tmp_path_factory):
    """The real images: four IDX files."""
    return mnist_files(tmp_path_factory.mktemp("mnist"))


@pytest.fixture(scope="session")
def dense_network(mnist_directory):
    """Architecture and weights of a small network that knows digits."""
    return trained_dense_network(mnist_directory)
