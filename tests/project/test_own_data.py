"""DVC sees the user's own files change, wherever they lie, and MNIST_DIRECTORY too."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnist_core.data.dataset import load_manifest
from mnist_core.data.idx import encode_idx

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path):
    """A repository of the real pipeline, set to a few images of one's own."""
    directory = tmp_path / "project"
    directory.mkdir()
    for name in ("mnist_core", "stages"):
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, directory / name)
    params = (ROOT / "params.yaml").read_text().replace("profile: paper", "profile: quick")
    params = params.replace("dataset: mnist", "dataset: custom").replace("class_names: []", "class_names: [a, b, c]")
    (directory / "params.yaml").write_text(params.replace("train: 4000, validation: 1000, test: 1000", _SIZES))
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        run(directory, *command)
    return directory


_SIZES = "train: 6, validation: 3, test: 4"


def run(project, *command, own=None):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "DVC_", "MNIST_"))}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "DVC_NO_ANALYTICS": "1"}
    environment |= {"MNIST_DIRECTORY": str(own)} if own else {}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def write_own(directory, seed):
    directory.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for prefix, count in (("train", 9), ("t10k", 4)):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), (np.arange(count) % 3).astype(np.uint8)
        (directory / f"{prefix}-images.idx3-ubyte").write_bytes(encode_idx(images))
        (directory / f"{prefix}-labels.idx1-ubyte").write_bytes(encode_idx(labels))
    return directory


def prepare(project, own):
    """Return the stages that ran, and the hash of the prepared data."""
    result = run(project, "dvc", "repro", "prepare", own=own)
    assert result.returncode == 0, result.stderr
    return re.findall("Running stage '(.*)'", result.stdout), load_manifest(project / "data/prepared").sha256


def test_what_runs_again_is_what_the_files_ask_for(project, tmp_path):
    own = write_own(tmp_path / "own", seed=1)
    stages, first = prepare(project, own)
    assert stages == ["source", "fetch", "prepare"]
    moved = own.rename(tmp_path / "moved")
    assert prepare(project, moved) == (["source"], first)
    write_own(moved, seed=2)
    stages, second = prepare(project, moved)
    assert stages == ["source", "fetch", "prepare"]
    assert second != first
    result = run(project, "dvc", "repro", "prepare")  # MNIST_DIRECTORY counts when it goes, too
    assert result.returncode != 0
    assert "Error: data.directory: empty, but data.dataset is custom" in result.stderr
    assert "Traceback" not in result.stderr
