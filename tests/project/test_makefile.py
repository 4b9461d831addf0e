"""A command of the Makefile that cannot do its work fails, and says why."""

import pytest
from dvc.fs import localfs
from dvc.lock import Lock
from dvc.rwlock import rwlock

from tests.projects import ROOT, commit, copy_project, make_repository, run, shrink

pytestmark = pytest.mark.needs("make")
LOCKED = "ERROR: Unable to acquire lock. Most likely another DVC process is running"
BROKEN = "ERROR: unable to read: 'params.yaml', YAML file structure is corrupted"
MISSING = "ERROR: failed to reproduce 'source': Parameters 'data."


@pytest.fixture
def project(tmp_path):
    """A repository with a result that differs from its commit; in place of Python, a program that keeps what it got."""
    copy_project(tmp_path, shrink)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" >> started\n')
    python.chmod(0o755)
    (tmp_path / ".gitignore").write_text("/.venv/\n/started\n")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/summary.json").write_text("{}")
    make_repository(tmp_path)
    commit(tmp_path)
    (tmp_path / "metrics/summary.json").write_text("changed")
    (tmp_path / ".dvc/tmp").mkdir()
    return tmp_path


def make(directory, target):
    return run(directory, "make", "--file", str(ROOT / "Makefile"), "READY=", target, check=False)


def assert_fails(project, target, reason):
    result = make(project, target)
    assert result.returncode != 0
    said = [line for line in result.stderr.splitlines() if not line.startswith(("make: ", "did not ", "  in "))]
    assert len(said) == 1
    assert said[0].startswith(reason)
    started = (project / "started").read_text() if (project / "started").exists() else ""
    assert "stages.evaluate" not in started
    assert "-m benchmarks" not in started
    assert (project / "metrics/summary.json").read_text() == "changed"


@pytest.mark.parametrize("target", ["evaluate", "restore", "bench"])
def test_where_another_dvc_holds_the_lock(project, target):
    with Lock(str(project / ".dvc/tmp/lock")):
        assert_fails(project, target, LOCKED)


@pytest.mark.parametrize("target", ["evaluate", "bench"])
@pytest.mark.parametrize(("params", "reason"), [("profile: [", BROKEN), ("profile: quick", MISSING)])
def test_where_params_are_wrong(project, target, params, reason):
    (project / "params.yaml").write_text(params)
    assert_fails(project, target, reason)


def test_nothing_is_restored_while_a_stage_runs(project):
    """DVC lets go of its lock then, and keeps that of the stage's outputs."""
    busy = str(project / "data/prepared")
    with rwlock(str(project / ".dvc/tmp"), localfs, "dvc repro prepare", [], [busy], hardlink=False):
        result = make(project, "restore")
    assert result.returncode != 0
    first, second = [line for line in result.stderr.splitlines() if not line.startswith("make: ")]
    assert first.endswith(f"'{busy}' is busy, it is being blocked by:")
    assert second.endswith(": dvc repro prepare")
    assert (project / "metrics/summary.json").read_text() == "changed"


def test_broken_params_are_restored(project):
    (project / "params.yaml").write_text("profile: [")
    assert make(project, "restore").returncode == 0
    assert run(project, "git", "status", "--porcelain").stdout == ""
