"""`make quick` runs in a clone, and starts workers once, for all stages."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from mnist_core.errors import UserError
from tests.projects import ROOT, commit, make_repository, run
from tools import quick
from tools.quick import copy_project, quick_stages, side_by_side, workers_for_all

PIPELINE = """
stages:
  copy: {cmd: cp code.txt copy.txt, params: [profile], deps: [code.txt], outs: [copy.txt: {cache: false}]}
  threads: {cmd: 'echo "threads: $OMP_NUM_THREADS" > threads.txt', outs: [threads.txt: {cache: false}]}
  cached: {cmd: cp copy.txt cached.txt, deps: [copy.txt], outs: [cached.txt]}
  search_tuned: {cmd: exit 1, deps: [code.txt]}
"""
RUN_TWICE = "from tools.quick import run_quick; run_quick('first'); print(run_quick('name', force=True))"
RUN_QUICK = "from tools.quick import run_quick; print(run_quick('name'))"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository that differs from its last commit: files changed, deleted, new, new and not added, and dvc.lock."""
    directory = tmp_path / "a project"
    (directory / "stages").mkdir(parents=True)
    make_repository(directory)
    run(directory, "dvc", "init", "--quiet")
    (directory / "dvc.yaml").write_text(PIPELINE)
    (directory / "params.yaml").write_text("profile: paper\n")
    (directory / "dvc.lock").write_text("schema: '2.0'\n")
    for name in ("code.txt", "copy.txt", "old.txt"):
        (directory / name).write_text("committed \n")
    commit(directory)
    (directory / "code.txt").write_text("changed \n")
    (directory / "old.txt").unlink()
    (directory / "new.txt").write_bytes(bytes(range(256)))
    run(directory, "git", "add", "new.txt")
    (directory / "stages/unknown.py").write_text("unknown to git")
    (directory / "secret.txt").write_text("no code")
    (directory / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    monkeypatch.chdir(directory)
    return directory


def test_the_copy_has_the_files_as_they_lie_here_and_the_cache_but_no_lock(project, tmp_path):
    copy = tmp_path / "copy"
    copy_project(copy)
    assert (copy / "code.txt").read_text() == "changed \n"
    assert (copy / "new.txt").read_bytes() == bytes(range(256))
    assert (copy / "stages/unknown.py").exists()
    assert (copy / "params.yaml").read_text() == "profile: quick\n"
    assert [name for name in ("dvc.lock", "old.txt", "secret.txt") if (copy / name).exists()] == []
    assert run(copy, "dvc", "cache", "dir").stdout.strip() == str(project / ".dvc/cache")


def test_a_hook_of_git_and_its_settings_change_nothing(project, tmp_path, monkeypatch):
    """A hook has GIT_INDEX_FILE, and a newcomer no name yet."""
    for key, value in {"apply.whitespace": "fix", "diff.external": "true", "core.autocrlf": "input"}.items():
        run(project, "git", "config", key, value)
    run(project, "git", "config", "--unset", "user.name")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(project / ".git/index"))
    before = (project / ".git/index").read_bytes()
    copy_project(tmp_path / "copy")
    assert (project / ".git/index").read_bytes() == before
    assert (tmp_path / "copy/code.txt").read_text() == "changed \n"
    assert run(tmp_path / "copy", "git", "config", "user.name").stdout == "quick\n"


def test_the_run_is_an_experiment_of_ours_and_the_workspace_stays_as_it_is(project):
    before = run(project, "git", "status", "--porcelain").stdout
    result = run(project, "env", "-u", "OMP_NUM_THREADS", f"PYTHONPATH={ROOT}", sys.executable, "-c", RUN_TWICE)
    reference = result.stdout.splitlines()[-1]
    assert run(project, "git", "status", "--porcelain").stdout == before
    assert (project / "copy.txt").read_text() == "committed \n"
    assert run(project, "git", "show", f"{reference}:copy.txt").stdout == "changed \n"
    assert run(project, "git", "show", f"{reference}:params.yaml").stdout == "profile: quick\n"
    assert run(project, "git", "show", f"{reference}:threads.txt").stdout == "threads: \n"  # not those of a worker
    tree = run(project, "git", "ls-tree", "-r", "--name-only", reference).stdout.split()
    assert {"dvc.lock", "new.txt"} <= {*tree}
    assert {"old.txt", "secret.txt", "stages/unknown.py"}.isdisjoint(tree)
    assert "name" in run(project, "dvc", "exp", "list", "--names-only").stdout.split()
    run(project, "git", "stash", "--quiet")
    run(project, "dvc", "exp", "apply", "name")
    assert (project / "cached.txt").read_text() == "changed \n"  # its cache is ours


MODELS = """
stages:
  prepare: {cmd: echo 1 > data.txt, outs: [data.txt]}
  search:
    foreach: [1a, 2a]
    do:
      cmd: 'touch ../${item}; for i in $(seq 300); do [ -e ../1a ] && [ -e ../2a ] && exit; sleep 0.1; done; exit 1'
      deps: [data.txt]
  gradcheck: {cmd: echo 1 > checked.txt, outs: [checked.txt]}
  table: {cmd: cat data.txt checked.txt > table.txt, outs: [table.txt: {cache: false}]}
"""


def test_the_models_of_the_two_frameworks_run_side_by_side(project):
    """Here each waits for the other."""
    (project / "dvc.yaml").write_text(MODELS)
    models = [["search@1a"], ["search@2a"], ["gradcheck"]]
    assert side_by_side(quick_stages()) == [[["prepare"]], models, [["table"], []]]
    result = run(project, "env", f"PYTHONPATH={ROOT}", sys.executable, "-c", RUN_QUICK)
    assert run(project, "git", "show", f"{result.stdout.splitlines()[-1]}:table.txt").stdout == "1\n1\n"


def test_a_model_that_fails_ends_the_others(project, tmp_path):
    """One of them fails once the other runs, which tells that it lives every tenth of a second."""
    alive = tmp_path / "alive"
    lives = f"for i in $(seq 300); do touch {alive}; sleep 0.1; done"
    fails = f"until [ -e {alive} ]; do sleep 0.1; done; exit 1"
    command = MODELS[MODELS.index("'touch") : MODELS.index("exit 1'") + len("exit 1'")]
    (project / "dvc.yaml").write_text(
        MODELS.replace(command, f"'if [ ${{item}} = 2a ]; then {lives}; else {fails}; fi'")
    )
    result = run(project, "env", f"PYTHONPATH={ROOT}", sys.executable, "-c", RUN_QUICK, check=False)
    assert result.stderr.splitlines()[-1].endswith("name: the run failed, as said above; the workspace is as it was")
    alive.unlink()
    time.sleep(0.5)
    assert not alive.exists()


def test_what_did_not_change_is_not_run_again_unless_it_must(project):
    program = "from tools.quick import run_quick; run_quick('name'); print('again'); run_quick('name'"
    counted = PIPELINE.replace("cp copy.txt cached.txt", "echo counted; cp copy.txt cached.txt")
    (project / "dvc.yaml").write_text(counted)
    for force, times in ((")", 0), (", force=True)", 1)):
        result = run(project, "env", f"PYTHONPATH={ROOT}", sys.executable, "-c", program + force)
        assert result.stdout.partition("again")[2].splitlines().count("counted") == times


def test_the_table_stands_beside_the_committed_one_and_the_way_there_and_back_is_said(project, monkeypatch):
    (project / "metrics").mkdir()
    for text in ("committed table", "table of this run"):
        (project / "metrics/error_table.md").write_text(text)
        commit(project)
    run(project, "git", "update-ref", "refs/exps/ab/cd/quick", "HEAD")
    run(project, "git", "reset", "--quiet", "--hard", "HEAD~1")
    monkeypatch.setattr(quick, "run_quick", lambda name: f"refs/exps/ab/cd/{name}")
    result = CliRunner().invoke(quick.main)
    assert result.exit_code == 0
    assert result.output.index("committed table") < result.output.index("table of this run")
    assert "`make restore FROM=refs/exps/ab/cd/quick`" in result.output


def test_a_run_that_fails_leaves_no_experiment(project):
    (project / "dvc.yaml").write_text(PIPELINE.replace("cp copy.txt", "cp nothing.txt"))
    result = run(project, "env", f"PYTHONPATH={ROOT}", sys.executable, "-c", RUN_QUICK, check=False)
    assert result.stderr.splitlines()[-1].endswith("name: the run failed, as said above; the workspace is as it was")
    assert run(project, "dvc", "exp", "list", "--names-only").stdout.split() == []


def test_what_is_no_repository_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="git clone: ") as error:
        copy_project(tmp_path / "copy")
    assert str(error.value).isprintable()


def search(environment):
    command = [sys.executable, "-m", "stages.search", "--model", "1b"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stderr, Path("data/search/1b.json").read_bytes()


def test_a_stage_uses_the_workers_it_is_led_to_and_writes_the_same_bytes(small_project, monkeypatch):
    for name in ("MNIST_SCHEDULER", "MNIST_WORKERS"):  # with which there would be no workers for all
        monkeypatch.delenv(name, raising=False)
    own = os.environ | {"PYTHONPATH": str(ROOT)}
    alone = search(own)
    with workers_for_all(ROOT) as environment:
        assert search(own | environment) == alone == ("", alone[1])
        keys = [Path(path) for name, path in environment.items() if "TLS" in name]
        assert len(keys) == 3
        assert keys[0].parent.stat().st_mode & 0o077 == 0  # nobody else reads the key
    assert not any(key.exists() for key in keys)


@pytest.mark.parametrize(("name", "value"), [("MNIST_SCHEDULER", "tls://somewhere:8786"), ("MNIST_WORKERS", "1")])
def test_workers_are_those_that_the_user_wants(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with workers_for_all(ROOT) as environment:
        assert environment == {}
