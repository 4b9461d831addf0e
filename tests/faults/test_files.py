"""Every file that a stage reads, damaged in every way: one line that names it, exit code 1, and no output changed."""

import gc
import importlib
import re
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from mnist_core.models import ALL_MODELS
from mnist_core.training.loop import loaded_split
from tests.projects import ROOT, Undisturbed, contents, error_line
from tools.quick import workers_for_all


def a_directory(path):
    path.unlink()
    path.mkdir()


def not_a_number(path):
    path.write_bytes(re.sub(rb"\d+(\.\d+)?", b"NaN", path.read_bytes()))


def cut_in_half(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


DAMAGES = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 9),
    "a directory": a_directory,
    "deeply nested": lambda path: path.write_bytes(b"[" * 100_000),
    "not a number": not_a_number,
    "cut in half": cut_in_half,
}
TEXTS = (".csv", ".md", ".svg", ".yaml")  # half of one is another, and may hold all that a stage asks for


def fits(damage, path):
    """Whether a file that was damaged so is surely no file of its kind any more."""
    if damage == "not a number":
        return path.suffix in (".csv", ".json")
    return damage != "cut in half" or path.suffix not in TEXTS


class Opened:
    """The files that are opened for reading while `paths` is a set; Python keeps an audit hook for ever."""

    paths = None

    def __init__(self):
        sys.addaudithook(self.see)

    def see(self, event, arguments):
        if event == "open" and self.paths is not None and isinstance(arguments[1], str) and arguments[1][:1] == "r":
            self.paths.add(Path(str(arguments[0])).absolute())


OPENED = Opened()


def invoke(stage, arguments):
    loaded_split.cache_clear()  # a stage is a process of its own
    gc.disable()  # a collection at the bottom of 100,000 brackets fails, and Python prints so, as it may in a real run
    try:
        return CliRunner().invoke(importlib.import_module(f"stages.{stage}").main, arguments)
    finally:
        gc.enable()


def models_in(path):
    """Models that a path names; files of one stand for those of the others."""
    return [model for model in ALL_MODELS if re.search(rf"\b{model}\b", str(path))]


def try_every_damage(project, stage, arguments, directory, monkeypatch, trying, damages=DAMAGES):
    """Run a stage once to see what it reads, then once for each file and damage, each time on a fresh copy.

    Returns:
        What was not refused, a text for each.
    """
    place = project.copy(directory / "undisturbed", without=CODE)
    monkeypatch.chdir(place)
    OPENED.paths = set()
    result = invoke(stage, arguments)
    opened, OPENED.paths = OPENED.paths, None
    assert result.exit_code == 0, result.output
    read = sorted(path.relative_to(place) for path in opened if path.is_relative_to(place) and path.is_file())
    read = [path for path in read if path.parts[0] != ".dvc" and models_in(path) in ([], ["2b"])]
    read = [path for path in read if not path.name.startswith(HASHED.get(stage, "none"))]
    assert read
    lost = []
    for path in read:
        for damage in [damage for damage in damages if fits(damage, path)]:
            copy = project.copy(directory / "damaged", without=CODE)
            monkeypatch.chdir(copy)
            damages[damage](copy / path)
            try:
                with trying(f"{stage}: {path.suffix or 'IDX'} {damage}") as attempt:
                    assert_refused(stage, arguments, path, attempt)
            except AssertionError as error:
                lost.append(f"{path} {damage}: {error}")  # the others are tried all the same
            shutil.rmtree(copy)
    return lost


def assert_refused(stage, arguments, path, attempt):
    before = contents(Path.cwd())
    result = invoke(stage, arguments)
    attempt.message = result.stderr
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 1
    assert path.name in error_line(result.stderr)
    assert contents(Path.cwd()) == before


HASHED = {"search": "test_", "train": "validation_"}  # for the key of what is kept; their images are not used
CODE = ("mnist_core", "stages", ".dvc")
ALL = {
    "source": [],
    "fetch": [],
    "prepare": [],
    "search": ["--model", "2b", "--workers", "0"],
    "train": ["--model", "2b", "--workers", "0"],
    "evaluate": ["--model", "2b"],
}
REPORTED = {"parity": ["--workers", "0"]} | dict.fromkeys(["table", "compare", "plot", "report", "publish", "draw"], ())


@pytest.mark.parametrize("stage", ["fetch", "prepare", "evaluate"])
def test_a_missing_or_foreign_file_is_one_line(stage, undisturbed, tmp_path, monkeypatch, trying):
    few = {name: DAMAGES[name] for name in ("missing", "noise")}
    assert try_every_damage(undisturbed, stage, ALL[stage], tmp_path, monkeypatch, trying, few) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("stage", ALL)
def test_any_damaged_file_is_one_line(stage, undisturbed, tmp_path, monkeypatch, trying):
    assert try_every_damage(undisturbed, stage, ALL[stage], tmp_path, monkeypatch, trying) == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_any_damaged_file_of_the_report_is_one_line(tmp_path, monkeypatch, trying):
    """One test for all these stages, since before them the whole pipeline runs."""
    with workers_for_all(ROOT) as variables:
        project = Undisturbed(tmp_path / "reported", epochs=3, variables=variables)
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, metadata: None)  # it takes nearly all of the time
    lost = [
        case
        for stage, arguments in REPORTED.items()
        for case in try_every_damage(project, stage, arguments, tmp_path / stage, monkeypatch, trying)
    ]
    assert lost == []
