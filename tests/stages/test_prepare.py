import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mnist_core.data.dataset import load_dataset, load_manifest
from stages.prepare import main

ROOT = Path(__file__).parents[2]


def write_idx(path, array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project whose quick profile asks for 6, 2 and 3 images, with 9 and 4 in the raw files."""
    params = (ROOT / "params.yaml").read_text().replace("profile: paper", "profile: quick")
    small = params.replace("{train: 4000, validation: 1000, test: 1000}", "{train: 6, validation: 2, test: 3}")
    assert small != params
    (tmp_path / "params.yaml").write_text(small)
    raw = tmp_path / "data/raw"
    raw.mkdir(parents=True)
    for prefix, count in (("train", 9), ("t10k", 4)):
        numbers = np.arange(count, dtype=np.uint8)
        shades = numbers + (100 if prefix == "t10k" else 0)
        write_idx(raw / f"{prefix}-images-idx3-ubyte", np.repeat(shades, 784).reshape(count, 28, 28))
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", numbers % 2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_writes_the_splits_of_the_active_profile(project):
    result = CliRunner().invoke(main, [])
    assert (result.exit_code, result.output) == (0, "")
    dataset = load_dataset(project / "data/prepared")
    shades = {"validation": [0, 1], "train": [2, 3, 4, 5, 6, 7], "test": [100, 101, 102]}
    for name, expected in shades.items():  # of test, 2 of 4 from the start of the file, 1 from its middle
        split = getattr(dataset, name)
        assert (split.images[:, 0, 0, 0] * 255).round().tolist() == expected
        assert split.labels.tolist() == [shade % 2 for shade in expected]
    assert sorted(path.name for path in (project / "data").iterdir()) == ["prepared", "raw"]


def test_the_same_files_give_the_same_bytes(project):
    def prepare():
        assert CliRunner().invoke(main, []).exit_code == 0
        return {path.name: path.read_bytes() for path in (project / "data/prepared").iterdir()}

    first = prepare()
    assert len(first) == 7
    assert prepare() == first


def truncate(raw):
    path = raw / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])


def oversize(raw):
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes() + b"\0")


def remove(raw):
    (raw / "train-labels-idx1-ubyte").unlink()


def compress(raw):
    (raw / "train-images-idx3-ubyte").write_bytes(b"\x1f\x8b\x08\x00" + bytes(40))


def shrink(raw):
    write_idx(raw / "t10k-images-idx3-ubyte", np.zeros((2, 28, 28), np.uint8))
    write_idx(raw / "t10k-labels-idx1-ubyte", np.zeros(2, np.uint8))


def mislabel(raw):
    write_idx(raw / "t10k-labels-idx1-ubyte", np.array([1, 2, 3, 11], np.uint8))


def test_too_few_images_name_the_key(project):
    shrink(project / "data/raw")
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line == (
        "Error: profiles.quick.data.test: asks for 3 images, but data/raw/t10k-images-idx3-ubyte has 2; ask for fewer"
    )


def test_classes_have_the_names_of_params(project):
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("class_names: []", "class_names: [even, odd]"))
    assert CliRunner().invoke(main, []).exit_code == 0
    manifest = load_manifest(project / "data/prepared")
    assert manifest.class_names == ("even", "odd")
    path.write_text(path.read_text().replace("[even, odd]", "[even]"))
    result = CliRunner().invoke(main, [])
    assert result.output == "Error: data.class_names: no name for label 1; give one to each class\n"
    assert load_manifest(project / "data/prepared") == manifest


def test_training_files_sorted_by_class_are_one_line_and_leave_nothing(project):
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("class_names: []", "class_names: [ant, bee, cat]"))
    write_idx(project / "data/raw/train-labels-idx1-ubyte", np.array([0, 1, 0, 1, 0, 1, 2, 2, 2], np.uint8))
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert result.output == (
        "Error: data.dataset: no validation image of class 2 (cat); shuffle both training files alike, add "
        "images of this class to them, or use more of their images\n"
    )
    assert [path.name for path in (project / "data").iterdir()] == ["raw"]


FAULTS = [
    (truncate, "t10k-images-idx3-ubyte: truncated, 3151 bytes instead of 3152"),
    (oversize, "train-images-idx3-ubyte: oversized, 7073 bytes instead of 7072"),
    (remove, "train-labels-idx1-ubyte: no such file; fetch the data again"),
    (compress, "train-images-idx3-ubyte: not an IDX file (Error -3 while decompressing data"),
    (mislabel, "t10k-labels-idx1-ubyte: label 11 is not a class from 0 to 9"),
]


@pytest.mark.parametrize(("break_files", "message"), FAULTS)
def test_a_faulty_file_is_one_line_and_leaves_nothing(project, break_files, message):
    break_files(project / "data/raw")
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith(f"Error: data/raw/{message}")
    assert [path.name for path in (project / "data").iterdir()] == ["raw"]


def test_the_command_shows_no_traceback(project):
    truncate(project / "data/raw")
    result = subprocess.run(
        [sys.executable, "-m", "stages.prepare"],
        env={"PYTHONPATH": str(ROOT)},
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1
    assert "truncated" in result.stderr


def test_a_fault_in_params_is_one_line(project):
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("validation: 2", "validation: none"))
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert result.output.startswith("Error: params.yaml: profiles.quick.data.validation: ")
    assert len(result.output.splitlines()) == 1
