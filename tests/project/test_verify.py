"""`make verify` on a pipeline of two stages, one of which writes the time, and one of the tuned protocol."""

import sys

import pytest

from tests.projects import ROOT, commit, make_repository, run

PIPELINE = """
stages:
  same: {cmd: cp code.txt same.txt, params: [profile], deps: [code.txt], outs: [same.txt]}
  clock: {cmd: date +%s%N > clock.txt, deps: [same.txt], outs: [clock.txt]}
  search_tuned: {cmd: cp code.txt tuned.txt, deps: [code.txt], outs: [tuned.txt]}
"""
CONFIG = "[core]\n    analytics = false\n    check_update = false\n"
OF_THIS = "dvc.lock is of the same parameters and code: this run is compared with it."
OF_ANOTHER = "dvc.lock is of other parameters or code: the profile runs a second time."


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    directory = tmp_path_factory.mktemp("project")
    make_repository(directory)
    run(directory, "dvc", "init", "--quiet")
    (directory / ".dvc/config").write_text(CONFIG)
    (directory / "dvc.yaml").write_text(PIPELINE)
    (directory / "code.txt").write_text("code")
    return directory


@pytest.mark.parametrize(("profile", "said"), [("quick", OF_THIS), ("paper", OF_ANOTHER)])
def test_says_for_each_stage_whether_its_bytes_are_the_same(project, profile, said):
    (project / "params.yaml").write_text(f"profile: {profile}\n")
    run(project, "dvc", "repro", "--quiet")
    commit(project)
    result = run(project, "env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tools.verify", check=False)
    lines = result.stdout.splitlines()
    assert said in lines, result.stderr
    assert sorted(lines[-2:]) == ["clock        other bytes: clock.txt", "same         same bytes"]
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("Error: 1 of 2 stages gave other bytes, first clock; ")
    assert run(project, "git", "status", "--porcelain").stdout == ""
    assert "verify" not in run(project, "dvc", "exp", "list", "--names-only").stdout


def test_says_that_all_is_the_same(project):
    (project / "dvc.yaml").write_text(PIPELINE.replace("date +%s%N >", "cp same.txt"))
    run(project, "dvc", "repro", "--quiet")
    commit(project)
    result = run(project, "env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tools.verify")
    assert result.stdout.splitlines()[-1] == "All 2 stages gave the same bytes."
