"""Outputs appear whole or not at all."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mnist_core.errors import UserError
from mnist_core.files import writing
from mnist_core.files.writing import output_directory, output_file, scratch_directory


def test_a_replaced_directory_is_never_missing(tmp_path):
    """A reader looks while a writer replaces it a thousand times."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs renameat2")
    path, missed, done = tmp_path / "models", [], threading.Event()

    def look():
        while not done.is_set():
            if not (path / "a.txt").exists():
                missed.append(1)

    with output_directory(path) as directory:
        (directory / "a.txt").write_text("0")
    reader = threading.Thread(target=look)
    reader.start()
    for number in range(1000):
        with output_directory(path) as directory:
            (directory / "a.txt").write_text(str(number))
    done.set()
    reader.join()
    assert not missed
    assert (path / "a.txt").read_text() == "999"
    assert [entry.name for entry in tmp_path.iterdir()] == ["models"]


def test_a_directory_is_replaced_where_the_system_cannot_exchange(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_exchange", lambda first, second: False)
    for content in ("old", "new"):
        with output_directory(tmp_path / "models") as directory:
            (directory / content).touch()
    assert [entry.name for entry in (tmp_path / "models").iterdir()] == ["new"]


def test_what_a_killed_run_left_is_removed_by_the_next_and_nothing_else(tmp_path):
    code = "import os, sys, pathlib; from mnist_core.files.writing import output_directory as o\n"
    code += "with o(pathlib.Path(sys.argv[1])) as d: (d / 'x').touch(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "1a"], check=False, cwd=Path(__file__).parents[2])
    assert len(list(tmp_path.iterdir())) == 1
    parent = tmp_path / f".1a.{os.getppid()}.abcdefgh"  # of a process that lives
    others = [parent, tmp_path / ".1a.csv", tmp_path / ".1a.json.1.abcdefgh"]
    for other in others:
        other.mkdir()
    with output_directory(tmp_path / "1a"):
        pass
    assert sorted(tmp_path.iterdir()) == sorted([*others, tmp_path / "1a"])


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "data").write_text("a file in the way")
    with (
        pytest.raises(UserError, match=r"data/1a: cannot be written \([^\n]*\); make room for it or allow it"),
        output_directory(tmp_path / "data/1a"),
    ):
        pass


def test_what_does_not_fit_is_refused_before_the_work(tmp_path):
    size, work = 1 << 60, []
    with (
        pytest.raises(UserError, match=r"1a: cannot be written \(1\.15EB needed, [\d.]+[kMGTP]?B free\); make room"),
        output_directory(tmp_path / "1a", size=size),
    ):
        work.append(1)
    assert not work
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_disk_that_fills_up_is_one_line_and_leaves_what_was(tmp_path, reason):
    path = tmp_path / "a.json"
    path.write_text("old")
    with (
        pytest.raises(UserError, match=rf"a.json: cannot be written \({os.strerror(reason)}\); make room"),
        output_file(path),
    ):
        raise OSError(reason, os.strerror(reason))
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_other_faults_inside_keep_their_traceback(tmp_path):
    with pytest.raises(ConnectionError), output_file(tmp_path / "a.json"):
        raise ConnectionError(errno.ECONNRESET, "reset")


def test_a_directory_in_the_place_of_a_file_is_one_line(tmp_path):
    (tmp_path / "a.json/b").mkdir(parents=True)
    with pytest.raises(UserError, match=r"a.json: cannot be written \("), output_file(tmp_path / "a.json") as path:
        path.touch()


@pytest.mark.parametrize("name", [".mnist.99999999999999999999.abcdefgh", "mnist"])
def test_what_others_leave_among_temporary_files_stops_nobody(tmp_path, monkeypatch, name):
    os.mkfifo(tmp_path / name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_directory() as directory:
        assert list(directory.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_outputs_of_one_name_do_not_take_each_other_for_leftovers(tmp_path):
    with output_file(tmp_path / "a") as outer, output_file(tmp_path / "a") as inner:
        outer.write_text("outer")
        inner.write_text("inner")
    assert (tmp_path / "a").read_text() == "outer"  # closed last
    with scratch_directory() as first, scratch_directory() as second:
        assert first.stat().st_mode & 0o777 == 0o700  # it may hold certificates
        assert first != second


def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(UserError, match="pipe: a device or a pipe, which a file would replace"), output_file(path):
        pytest.fail("the work has begun")
    assert path.is_fifo()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("output", [output_file, output_directory])
def test_an_output_that_somebody_removes_meanwhile_is_one_line(tmp_path, output):
    def write():
        with output(tmp_path / "out") as path:
            shutil.rmtree(path.parent)
            (path.parent / "file").write_text("late")

    with pytest.raises(UserError, match="out: what was being written beside it is gone"):
        write()


def test_a_missing_file_of_the_program_stays_a_traceback(tmp_path):
    with pytest.raises(FileNotFoundError), output_file(tmp_path / "out"):
        (tmp_path / "missing").read_text()
