import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mnist_core.data import sources
from stages.fetch import main

ROOT = Path(__file__).parents[2]
NAMES = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "train-images-idx3-ubyte", "train-labels-idx1-ubyte"]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """An empty project with the real params.yaml, one small data set and no source."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNIST_DIRECTORY", raising=False)
    files = tuple(sources._File(name, len(name), hashlib.sha256(name.encode()).hexdigest()) for name in NAMES)
    monkeypatch.setattr(sources, "DATASETS", {"mnist": files})
    for table in ("MIRRORS", "SYSTEM_DIRECTORIES", "NPM_PACKAGES"):
        monkeypatch.setattr(sources, table, {})
    return tmp_path


def fill(directory):
    directory.mkdir()
    for name in NAMES:
        (directory / name).write_text(name)


def run():
    return CliRunner().invoke(main, [])


def set_directory(value):
    path = Path("params.yaml")
    path.write_text(path.read_text().replace('directory: ""', f"directory: {value}"))


def test_directory_from_params(project):
    fill(project / "mine")
    set_directory("mine")
    result = run()
    assert (result.exit_code, result.output) == (0, "directory mine: 4 of 4 files verified\n")
    assert sorted(path.name for path in (project / "data/raw").iterdir()) == NAMES
    assert (project / "data/raw" / NAMES[0]).read_text() == NAMES[0]


def test_directory_from_the_environment_comes_after_that_of_params(project, monkeypatch):
    fill(project / "mine")
    set_directory("elsewhere")
    monkeypatch.setenv("MNIST_DIRECTORY", "mine")
    result = run()
    assert result.exit_code == 0
    assert result.output == "directory elsewhere: no such directory\ndirectory mine: 4 of 4 files verified\n"


def test_wrong_checksum_leaves_nothing(project, monkeypatch):
    fill(project / "mine")
    (project / "mine" / NAMES[2]).write_text("x" * len(NAMES[2]))
    monkeypatch.setenv("MNIST_DIRECTORY", "mine")
    result = run()
    assert result.exit_code == 1
    source, error = result.output.splitlines()
    assert source.startswith(f"directory mine: 3 of 4 files verified; {NAMES[2]} has SHA-256 ")
    assert error.startswith(f"Error: data.dataset: no source has {NAMES[2]} of mnist; ")
    assert not list((project / "data").iterdir())


def test_a_failure_keeps_the_files_of_an_earlier_run(project):
    (project / "data/raw").mkdir(parents=True)
    (project / "data/raw/earlier").write_text("kept")
    assert run().exit_code == 1
    assert (project / "data/raw/earlier").read_text() == "kept"
    assert [path.name for path in (project / "data").iterdir()] == ["raw"]


def test_a_success_replaces_the_files_of_an_earlier_run(project, monkeypatch):
    (project / "data/raw").mkdir(parents=True)
    (project / "data/raw/earlier").write_text("gone")
    fill(project / "mine")
    monkeypatch.setenv("MNIST_DIRECTORY", "mine")
    assert run().exit_code == 0
    assert sorted(path.name for path in (project / "data/raw").iterdir()) == NAMES


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_no_source_reachable_is_one_line_and_no_traceback(project, dataset):
    """The real command with the real sources, which a proxy that refuses connections and an empty PATH cut off."""
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("dataset: mnist", f"dataset: {dataset}"))
    program = (
        "from mnist_core.data import sources; sources.SYSTEM_DIRECTORIES.clear(); from stages.fetch import main; main()"
    )
    environment = {
        "PYTHONPATH": str(ROOT),
        "PATH": str(project / "nowhere"),
        "https_proxy": "http://127.0.0.1:9",
        "PYTHONWARNINGS": "error",
        "HOME": os.environ.get("HOME", ""),
    }
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=project, capture_output=True, text=True, timeout=20
    )
    assert result.returncode == 1
    (error,) = result.stderr.splitlines()
    assert error.startswith("Error: data.dataset: no source has train-images-idx3-ubyte, train-labels-idx1-ubyte, ")
    assert error.endswith("set data.directory or MNIST_DIRECTORY to a directory that holds the four files")
    assert len(result.stdout.splitlines()) == {"mnist": 3, "fashion_mnist": 1}[dataset]
    assert not list((project / "data").iterdir())
