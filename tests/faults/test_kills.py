"""A small pipeline is interrupted at random moments; run again, it writes the bytes of an undisturbed run."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.another_user import answers_to_another_user
from tests.projects import contents, environment

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes as Linux shows them"),
    pytest.mark.timeout(1800),
]

TOO_EARLY = "Fatal Python error: init_import_site"
"""What an interrupted Python says in the hundredths of a second before it looks for any code of ours."""
QUIET = 30.0  # seconds until all processes must be gone; on an idle machine it takes less than three


class Running:
    """`dvc repro`, or another command, in a session of its own, with a directory of its own for temporary files."""

    def __init__(self, project, *command):
        self.scratch = project.parent / f"{project.name}-tmp"
        self.scratch.mkdir(exist_ok=True)
        self.printed = self.scratch / "printed"
        with self.printed.open("wb") as printed:
            self.process = psutil.Popen(
                command or ("dvc", "repro", "evaluate@2b"),
                cwd=project,
                env=environment(MNIST_WORKERS="2", TMPDIR=str(self.scratch), PYTHONPATH=str(project)),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def living(self):
        """Return the processes of the session; a worker is in it too, when its stage is gone."""
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    def find(self, target):
        """Return "dvc", the "stage" that runs or one "worker" of it, if there is one now."""
        if target == "dvc":
            return self.process if self.process.is_running() else None
        for process in self.living():
            try:
                words = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            is_worker = any("spawn_main" in word for word in words)
            is_stage = any(word.startswith("stages.") for word in words) and Path(words[0]).name.startswith("python")
            if is_worker if target == "worker" else is_stage:
                return process
        return None

    def wait(self):
        """Wait until nothing of it lives, and return the exit code and what was printed."""
        code = self.process.wait(600)
        deadline = time.monotonic() + QUIET
        while left := self.living():
            assert time.monotonic() < deadline, [process.cmdline() for process in left]
            time.sleep(0.1)
        return code, self.printed.read_text(errors="replace")


def our_lines(printed):
    """Return what stages say; the others are DVC's own."""
    return [line for line in printed.splitlines() if line.startswith(("Error: ", "Interrupted", "worker "))]


def check_same(undisturbed, project):
    assert contents(project) == undisturbed.contents
    hidden = [path for path in (project / "data").rglob(".*") if path.name != ".gitignore"]
    assert not hidden
    assert not list((project / "plots").rglob(".*"))


def check_rerun(undisturbed, project):
    again = Running(project)
    code, printed = again.wait()
    if "RWLock-file" in printed:  # DVC died while it wrote that; README says what to do
        (project / ".dvc/tmp/rwlock").unlink()
        again = Running(project)
        code, printed = again.wait()
    assert code == 0, printed
    check_same(undisturbed, project)
    left = [path.name for path in again.scratch.iterdir()]
    assert not [name for name in left if name.startswith((".mnist", "mnist"))], left


@dataclass(frozen=True)
class Kill:
    """A signal for a process of the pipeline at a random moment."""

    signal: signal.Signals
    target: str

    def __str__(self):
        return f"{self.signal.name} to {self.target}"

    def strike(self, running, seconds):
        """Send the signal after so many seconds; once the run is over there is nothing to strike."""
        time.sleep(seconds)
        while running.process.is_running() and running.process.status() != psutil.STATUS_ZOMBIE:
            if (process := running.find(self.target)) is not None:
                if self.signal is signal.SIGINT and self.target == "dvc":
                    os.killpg(running.process.pid, signal.SIGINT)  # as a terminal does
                else:
                    process.send_signal(self.signal)
                return True
            time.sleep(0.02)
        return False


KILLS = [
    Kill(number, target)
    for target in ("dvc", "stage", "worker")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
]


@pytest.mark.slow
@pytest.mark.times(quick=1, all=8)
@pytest.mark.parametrize("kill", KILLS, ids=str)
def test_after_a_kill_a_rerun_gives_the_same_bytes(kill, number, undisturbed, tmp_path, trying):
    seconds = random.Random(f"{kill} {number}").uniform(0, 0.9 * undisturbed.seconds)
    strike_and_rerun(kill, seconds, undisturbed, tmp_path, trying)


def test_after_any_kill_a_rerun_gives_the_same_bytes(undisturbed, tmp_path, trying):
    """One for `make test`: the hardest, early enough to strike where this run is faster than the undisturbed one."""
    assert strike_and_rerun(Kill(signal.SIGKILL, "stage"), 0.25 * undisturbed.seconds, undisturbed, tmp_path, trying)


def strike_and_rerun(kill, seconds, undisturbed, tmp_path, trying):
    """Return whether the signal found its process before the run was over; if not, nothing was tried."""
    project = undisturbed.copy(tmp_path / "project", fresh=True)
    with trying(str(kill)) as attempt:
        running = Running(project)
        hit = kill.strike(running, seconds)
        _, printed = running.wait()
        said = our_lines(printed)
        attempt.message = said[0] if said else f"({'nothing of ours to say' if hit else 'over before'})"
        if TOO_EARLY in printed:
            hit, attempt.message = False, "(Python itself was starting)"
        else:
            assert "Traceback" not in printed, printed
        assert len(said) <= 1, said
        attempt.times = int(hit)
        check_rerun(undisturbed, project)
    return hit


@pytest.mark.times(quick=1, all=30)
def test_a_worker_killed_while_it_starts_is_one_line_or_replaced(number, undisturbed, tmp_path, trying):
    project = undisturbed.copy(tmp_path / "project")
    before = contents(project)
    with trying("worker killed while starting") as attempt:
        running = Running(project, sys.executable, "-m", "stages.search", "--model", "2b")
        deadline = time.monotonic() + 120
        while (worker := running.find("worker")) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.Random(number).uniform(0, 1.5))
        worker.kill()
        code, printed = running.wait()
        lines = printed.splitlines()
        attempt.message = lines[0]
        assert "Traceback" not in printed, printed
        assert len(lines) == 1, printed
        if code:
            assert code == 1
            assert re.fullmatch(r"Error: local workers .*`dvc repro` goes on where it was", lines[0])
        assert contents(project) == before


def test_two_runs_at_once_are_one_line_about_the_lock(undisturbed, tmp_path, trying):
    project = undisturbed.copy(tmp_path / "project", fresh=True)
    with trying("two runs at once") as attempt:
        first = Running(project)
        deadline = time.monotonic() + 120
        while first.find("worker") is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = Running(project, "dvc", "repro", "search@2b")
        code, printed = second.wait()
        errors = [line for line in printed.splitlines() if line.startswith("ERROR")]
        attempt.message = errors[0]
        assert code != 0
        assert "Traceback" not in printed
        assert len(errors) == 1, printed
        code, printed = first.wait()
        assert code == 0, printed
        check_same(undisturbed, project)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_another_user_cannot_submit_work_to_a_running_stage(undisturbed, tmp_path, trying):
    """At every port that the stage or a worker of it listens on."""
    project = undisturbed.copy(tmp_path / "project")
    with trying("another user submits work") as attempt:
        running = Running(project, sys.executable, "-m", "stages.search", "--model", "2b")
        ports = set()
        deadline = time.monotonic() + 120
        while len(ports) < 3:  # the scheduler and two workers; the HTTP servers come on top
            assert time.monotonic() < deadline
            for process in running.living():
                try:
                    found = process.net_connections("tcp")
                except psutil.NoSuchProcess:
                    continue
                ports |= {connection.laddr.port for connection in found if connection.status == psutil.CONN_LISTEN}
            time.sleep(0.1)
        addresses = [f"{scheme}://127.0.0.1:{port}" for port in sorted(ports) for scheme in ("tls", "tcp")]
        answers = answers_to_another_user(addresses)
        attempt.times, attempt.message = len(addresses), answers[0]
        assert answers == ["refused"] * len(addresses)
        code, printed = running.wait()
        assert code == 0, printed
        assert contents(project) == undisturbed.contents
