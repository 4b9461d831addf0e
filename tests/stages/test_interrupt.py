"""A search is stopped in the middle, by Ctrl-C or because whoever ran it was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from stages import interrupted

ROOT = Path(__file__).parents[2]


def processes_of(session):
    """Return the commands of the living processes of a session."""
    command = ["ps", "-s", str(session), "-o", "stat=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [line for line in listed.splitlines() if not line.startswith("Z")]


ORPHAN = """
import os, threading, time
from stages.command import _end_with_parent
threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
print(os.getpid(), flush=True)
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass  # the worst case: busy with something else
"""


def test_a_stage_ends_within_seconds_of_its_parents_death():
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", ORPHAN]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        stage = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        start = time.monotonic()
        psutil.wait_procs([stage], timeout=20)
    assert not stage.is_running()
    assert time.monotonic() - start < 5  # 1.75 on an idle machine; tests run two at a time on two cores


def train_long(project):
    yaml = YAML(typ="safe")
    params = yaml.load(project / "params.yaml")
    params["profiles"]["quick"]["numpy"]["epochs"]["b"] = 1_500
    yaml.dump(params, project / "params.yaml")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ps knows sessions on Linux")
@pytest.mark.parametrize("how", ["Ctrl-C", "parent killed"])
def test_a_stage_that_is_stopped_says_how_to_go_on_and_leaves_no_process(small_project, how):
    train_long(small_project)
    stage = [sys.executable, "-m", "stages.search", "--model", "2b", "--workers", "2"]
    parent = subprocess.Popen(
        ["sh", "-c", '"$@"; exit $?', "sh", *stage],
        env={**os.environ, "PYTHONPATH": str(ROOT), "DVC_STAGE": "search@2b"},
        cwd=small_project,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    kept = small_project / ".dvc/tmp/mnist/search-2b"
    deadline = time.monotonic() + 60
    while not list(kept.glob("*.npz")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    if how == "Ctrl-C":
        os.killpg(parent.pid, signal.SIGINT)
    else:
        parent.kill()
    deadline = time.monotonic() + 15  # it takes less than three on an idle machine
    while processes_of(parent.pid):
        assert time.monotonic() < deadline, processes_of(parent.pid)
        time.sleep(0.1)
    line = "Interrupted; `dvc repro` goes on where it was"
    printed = [part for part in parent.communicate()[1].split("\n") if part]
    assert printed == [line] or (how == "parent killed" and not printed)  # then it has little time, and no reader
    assert len(list(kept.glob("*.npz"))) == len(list(kept.iterdir()))  # whole files only


SLOW = """
import atexit, time
def wait():
    print("here", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [("click", f"{SLOW}wait()"), ("sitecustomize", f"{SLOW}atexit.register(wait)")],
    ids=["imports its libraries", "has ended"],
)
@pytest.mark.parametrize(
    ("command", "goes_on"),
    [
        (["stages.source"], "; `dvc repro` goes on where it was"),
        (["tools.watch", "--help"], ""),
        (["benchmarks", "--help"], ""),
    ],
    ids=["stage", "tool", "benchmarks"],
)
def test_ctrl_c_is_one_line_also_before_and_after_the_work(tmp_path, small_project, name, text, command, goes_on):
    (tmp_path / f"{name}.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    environment |= {"DVC_STAGE": "source"} if goes_on else {}
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=small_project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as stage:
        while "here" not in stage.stdout.readline():
            assert stage.poll() is None
        stage.send_signal(signal.SIGINT)
        assert stage.stderr.read() == f"\nInterrupted{goes_on}\n"
    assert stage.returncode == 130


def test_a_stage_run_by_hand_says_how_to_go_on_too(monkeypatch):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    monkeypatch.setattr(sys, "argv", [str(ROOT / "stages/search.py"), "--model", "2a"])
    assert interrupted() == "Interrupted; the same command goes on where it was"
    monkeypatch.setattr(sys, "argv", [str(ROOT / "tools/watch.py")])
    assert interrupted() == "Interrupted"


LATE = """
import os, sys, time
print("here", flush=True)
time.sleep(1)
sys.path.remove(os.path.dirname(__file__))
del sys.modules["click"]
import click
"""


def test_a_stage_whose_parent_dies_while_it_imports_its_libraries_ends_too(tmp_path, small_project):
    train_long(small_project)
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    (stubs / "click.py").write_text(LATE)
    environment = {**os.environ, "PYTHONPATH": f"{stubs}:{ROOT}", "DVC_STAGE": "search@2b"}
    stage = [sys.executable, "-m", "stages.search", "--model", "2b", "--workers", "0"]
    with subprocess.Popen(
        ["sh", "-c", '"$@"; exit $?', "sh", *stage],
        env=environment,
        cwd=small_project,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout.readline() == "here\n"
        parent.kill()
    deadline = time.monotonic() + 20
    while processes_of(parent.pid):
        assert time.monotonic() < deadline, processes_of(parent.pid)
        time.sleep(0.1)
    assert not (small_project / "data/search/2b.json").exists()
