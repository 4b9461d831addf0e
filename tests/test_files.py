import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mnist_core import files as results
from mnist_core.errors import UserError


def test_reads_what_was_written(tmp_path):
    (tmp_path / "x.json").write_text('{"1a": {"test_error": 7.5}}')
    (tmp_path / "x.csv").write_text("epoch,test_error\n1,7.5\n2,6.25\n")
    assert results.read_json(tmp_path / "x.json") == {"1a": {"test_error": 7.5}}
    assert results.read_csv(tmp_path / "x.csv")["test_error"].to_list() == [7.5, 6.25]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", None, "x.json: no such file; run `dvc repro` to write it again"),
        (
            "x.json",
            "{",
            "x.json: not valid JSON (Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)); run `dvc repro` to write it again",
        ),
        ("x.csv", None, "x.csv: no such file; run `dvc repro` to write it again"),
        ("x.json", '{"a": 1}', "x.json: no key b; run `dvc repro` to write it again"),
        ("x.json", "[]", "x.json: no key a; run `dvc repro` to write it again"),
        ("x.csv", "", "x.csv: not valid CSV (No columns to parse from file); run `dvc repro` to write it again"),
        ("x.csv", "a\n1\n", "x.csv: no column b; run `dvc repro` to write it again"),
        ("x.csv", "a,b\n", "x.csv: no rows; run `dvc repro` to write it again"),
    ],
)
def test_a_missing_or_broken_file_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    read = results.read_json if name.endswith("json") else results.read_csv
    with pytest.raises(UserError) as caught:
        read(path, ["a", "b"])
    assert str(caught.value) == str(path.parent) + "/" + message


def test_a_replaced_directory_is_never_missing(tmp_path):
    """A reader looks while a writer replaces it a thousand times."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs renameat2")
    path, missed, done = tmp_path / "models", [], threading.Event()

    def look():
        while not done.is_set():
            if not (path / "a.txt").exists():
                missed.append(1)

    with results.output_directory(path) as directory:
        (directory / "a.txt").write_text("0")
    reader = threading.Thread(target=look)
    reader.start()
    for number in range(1000):
        with results.output_directory(path) as directory:
            (directory / "a.txt").write_text(str(number))
    done.set()
    reader.join()
    assert not missed
    assert (path / "a.txt").read_text() == "999"
    assert [entry.name for entry in tmp_path.iterdir()] == ["models"]


def test_a_directory_is_replaced_where_the_system_cannot_exchange(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "_exchange", lambda first, second: False)
    for content in ("old", "new"):
        with results.output_directory(tmp_path / "models") as directory:
            (directory / content).touch()
    assert [entry.name for entry in (tmp_path / "models").iterdir()] == ["new"]


def test_what_a_killed_run_left_is_removed_by_the_next_and_nothing_else(tmp_path):
    code = "import os, sys, pathlib; from mnist_core.files import output_directory as o\n"
    code += "with o(pathlib.Path(sys.argv[1])) as d: (d / 'x').touch(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "1a"], check=False, cwd=Path(__file__).parents[1])
    assert len(list(tmp_path.iterdir())) == 1
    parent = tmp_path / f".1a.{os.getppid()}.abcdefgh"  # of a process that lives
    others = [parent, tmp_path / ".1a.csv", tmp_path / ".1a.json.1.abcdefgh"]
    for other in others:
        other.mkdir()
    with results.output_directory(tmp_path / "1a"):
        pass
    assert sorted(tmp_path.iterdir()) == sorted([*others, tmp_path / "1a"])
