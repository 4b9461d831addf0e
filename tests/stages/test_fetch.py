import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mnist_core.data import sources
from mnist_core.data.idx import encode_idx, read_examples
from stages.fetch import main
from stages.source import main as source

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
    monkeypatch.setattr(sources, "RETRY_SECONDS", 0)
    for table in ("MIRRORS", "SYSTEM_DIRECTORIES", "NPM_PACKAGES"):
        monkeypatch.setattr(sources, table, {})
    return tmp_path


def fill(directory):
    directory.mkdir()
    for name in NAMES:
        (directory / name).write_text(name)


def run(command=main):
    return CliRunner().invoke(command, [])


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


def test_directory_from_the_environment(project, monkeypatch):
    fill(project / "mine")
    monkeypatch.setenv("MNIST_DIRECTORY", "mine")
    assert run().output == "directory mine: 4 of 4 files verified\n"


def test_that_of_params_goes_before_that_of_the_environment(project, monkeypatch):
    fill(project / "mine")
    set_directory("mine")
    monkeypatch.setenv("MNIST_DIRECTORY", "elsewhere")
    assert run().output == "directory mine: 4 of 4 files verified\n"


def test_a_tilde_is_the_home_directory(project, monkeypatch):
    monkeypatch.setenv("HOME", str(project))
    fill(project / "mine")
    set_directory('"~/mine"')
    assert run().output == f"directory {project}/mine: 4 of 4 files verified\n"


def an_absent_directory(project):
    return f"{project}/absent", f"{project}/absent: no such directory; correct it"


def an_absent_relative_directory(project):
    return "absent", (
        f"absent: no such directory in {project}; give the whole path (`make quick` and a run with "
        "--temp or --queue work on a copy that has only what git tracks)"
    )


def a_file_in_its_place(project):
    (project / "file").write_text("")
    return "file", "file is no directory; name the directory that holds the four files"


def an_unknown_user(project):
    return "~nobody-of-that-name/x", "~nobody-of-that-name/x cannot be looked up ("


def a_name_that_a_terminal_obeys(project):
    return r"\e[31mab\nsent", r"\x1b[31mab sent: no such directory in "


def a_whole_name_that_a_terminal_obeys(project):
    return rf"{project}/\e[31mabsent", rf"{project}/\x1b[31mabsent: no such directory; correct it"


def a_file_whose_name_a_terminal_obeys(project):
    (project / "\x1b[31mfile").write_text("")
    return r"\e[31mfile", r"\x1b[31mfile is no directory; name the directory that holds the four files"


def a_name_that_is_too_long(project):
    return rf"\e{'x' * 5000}", r"\x1bxxx"


@pytest.mark.parametrize(
    "named",
    [
        an_absent_directory,
        an_absent_relative_directory,
        a_file_in_its_place,
        an_unknown_user,
        a_name_that_a_terminal_obeys,
        a_whole_name_that_a_terminal_obeys,
        a_file_whose_name_a_terminal_obeys,
        a_name_that_is_too_long,
    ],
)
@pytest.mark.parametrize("command", [main, source])
@pytest.mark.parametrize("key", ["data.directory", "MNIST_DIRECTORY"])
def test_a_named_directory_that_is_none_is_an_error(project, monkeypatch, named, command, key):
    text, message = named(project)
    if key == "MNIST_DIRECTORY":
        monkeypatch.setenv(key, text.replace(r"\e", "\x1b").replace(r"\n", "\n"))
    else:
        set_directory(f'"{text}"')
    result = run(command)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith(f"Error: {key}: {message}")
    assert line.isprintable()
    assert len(line) < 1000
    assert not list(project.glob("data/*"))


def test_wrong_checksum_leaves_nothing(project, monkeypatch):
    fill(project / "mine")
    (project / "mine" / NAMES[2]).write_text("x" * len(NAMES[2]))
    monkeypatch.setenv("MNIST_DIRECTORY", "mine")
    result = run()
    assert result.exit_code == 1
    (error,) = result.output.splitlines()
    assert error.startswith(f"Error: directory mine: {NAMES[2]} has SHA-256 ")
    assert not list((project / "data").iterdir())


def write_own(directory, count=6, labels=None, form="{}"):
    """Write four IDX files: `count` training images, four test images, three classes."""
    directory.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for prefix, number in (("train", count), ("t10k", 4)):
        images = rng.integers(0, 256, (number, 28, 28), np.uint8)
        arrays = {"images-idx3": images, "labels-idx1": (np.arange(number) % 3).astype(np.uint8)}
        for kind, array in arrays.items():
            name = form.format(f"{prefix}-{kind}-ubyte")
            content = encode_idx(array)
            (directory / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def own(directory="mine"):
    set_directory(directory)
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("dataset: mnist", "dataset: custom"))


@pytest.mark.parametrize("form", ["{}", "{}.gz", "dotted"])
def test_ones_own_files(project, form):
    write_own(project / "mine", form="{}" if form == "dotted" else form)
    if form == "dotted":
        for path in (project / "mine").iterdir():
            path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    own()
    result = run()
    assert (result.exit_code, result.output) == (0, "directory mine: 4 files read\n")
    assert sorted(path.name for path in (project / "data/raw").iterdir()) == NAMES
    images, labels = read_examples(project / "data/raw" / NAMES[2], project / "data/raw" / NAMES[3])
    assert images.shape == (6, 28, 28)
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]


def source_text():
    assert run(source).exit_code == 0
    return Path("data/source.json").read_text()


def test_the_source_changes_when_ones_own_files_change_and_not_when_they_move(project):
    write_own(project / "mine")
    own()
    first = source_text()
    digest = hashlib.sha256((project / "mine" / NAMES[0]).read_bytes()).hexdigest()
    assert json.loads(first)["files"][NAMES[0]] == digest
    (project / "mine").rename(project / "moved")
    write_own(project / "mine", form="{}.gz")
    assert source_text() == first
    write_own(project / "mine", count=7, form="{}.gz")
    assert source_text() != first


def test_the_source_of_a_known_data_set_does_not_depend_on_where_it_lies(project, monkeypatch):
    first = source_text()
    assert json.loads(first)["dataset"] == "mnist"
    fill(project / "mine")
    monkeypatch.setenv("MNIST_DIRECTORY", "mine")
    assert source_text() == first


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (NAMES[0], None, f"mine: {NAMES[0]} is not there, nor with a dot before idx or with .gz; put"),
        (NAMES[3], encode_idx(np.array([0, 1, 2, 3, 4, 10], np.uint8)), f"mine/{NAMES[3]}: label 10 is not a class"),
        (NAMES[3], encode_idx(np.zeros(5, np.uint8)), f"mine/{NAMES[3]}: 5 labels for 6 images; mend the file"),
        (NAMES[2], encode_idx(np.zeros((6, 32, 32), np.uint8)), f"mine/{NAMES[2]}: its images are 32x32, not 28x28"),
        (NAMES[2], b"text", f"mine/{NAMES[2]}: starts with 74657874, not with IDX magic number 00000803; mend"),
        (NAMES[2], encode_idx(np.zeros((0, 28, 28), np.uint8)), f"mine/{NAMES[3]}: 6 labels for 0 images; mend"),
    ],
)
@pytest.mark.parametrize("command", [main, source])
def test_a_fault_in_ones_own_files_is_one_line(project, command, name, content, message):
    write_own(project / "mine")
    own()
    (project / "mine" / name).unlink()
    if content is not None:
        (project / "mine" / name).write_bytes(content)
    result = run(command)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith(f"Error: {message}")
    assert not list((project / "data").glob("*"))


@pytest.mark.parametrize(
    ("place", "name", "fault"),
    [
        (Path.mkdir, "train-images-idx3-ubyte", "train-images-idx3-ubyte is no file"),
        (os.mkfifo, "train-images-idx3-ubyte", "train-images-idx3-ubyte is no file"),
        (Path.mkdir, "train-images.idx3-ubyte.gz", "train-images.idx3-ubyte.gz is no file"),
        (lambda path: path.symlink_to("absent"), NAMES[2], "train-images-idx3-ubyte is a link to nothing"),
        (lambda path: path.symlink_to(path.name), NAMES[2], "train-images-idx3-ubyte is a link to nothing"),
        (lambda path: path.symlink_to("."), NAMES[2], "train-images-idx3-ubyte is no file"),
    ],
)
@pytest.mark.parametrize("dataset", ["custom", "mnist"])
@pytest.mark.parametrize("command", [main, source])
def test_what_lies_in_place_of_a_file_is_said(project, command, dataset, place, name, fault):
    if dataset == "custom":
        write_own(project / "mine")
        own()
    else:
        fill(project / "mine")
        set_directory("mine")
    (project / "mine" / NAMES[2]).unlink()
    place(project / "mine" / name)
    result = run(command)
    start = {"custom": "mine:", "mnist": "directory mine:"}[dataset]
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {start} train-images-idx3-ubyte is there, but {fault}; ")
    assert len(result.output.splitlines()) == 1
    assert not list(project.glob("data/*"))


@pytest.mark.parametrize("command", [main, source])
def test_ones_own_files_need_a_directory(project, command):
    own('""')
    result = run(command)
    assert result.exit_code == 1
    assert result.output.startswith("Error: data.directory: empty, but data.dataset is custom; name the directory ")


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
    assert error.startswith(f"Error: data.dataset: no source has the four files of {dataset}; connect to the internet")
    assert error.endswith("set data.directory or MNIST_DIRECTORY to a directory that holds them")
    assert len(result.stdout.splitlines()) == {"mnist": 3, "fashion_mnist": 1}[dataset]
    assert not list((project / "data").iterdir())
