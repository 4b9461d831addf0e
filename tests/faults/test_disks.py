"""Disks that are full, read-only or limited: one line that names the place, and nothing that was trained is lost."""

import re
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

import pytest

from mnist_core.training.checkpoints import kept_runs
from tests.projects import contents, environment, error_line


@cache
def can_mount():
    """Whether this user may have mounts of his own, as root mostly may."""
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


@dataclass(frozen=True)
class Fault:
    """A stage, where and how its disk fails, and what must be said (a regular expression).

    `options` are those of a tmpfs that is mounted at `place`; without them `limit` is the largest file in bytes.
    """

    stage: str
    place: str
    says: str
    options: str = ""
    limit: int = 0

    def __str__(self):
        what = f"limit of {self.limit} bytes a file" if self.limit else "read-only" if "ro" in self.options else "full"
        return f"{what}: {self.place or 'everywhere'}, stage {self.stage}"

    def run(self, project):
        """Run the stage on the failing disk."""
        command = [sys.executable, "-m", f"stages.{self.stage}"]
        if self.stage in ("search", "train", "evaluate"):
            command += ["--model", "2b"]
        if self.options:
            place = project / self.place if not self.place.startswith("/") else self.place
            script = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", script, "sh", self.options, str(place), *command]
        limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, self.limit))) if self.limit else None
        return subprocess.run(
            command,
            cwd=project,
            # Python may leave half of a .pyc file where it cannot write all, and fail the next time it reads it
            # (https://github.com/python/cpython/issues/126606): that fault is not ours.
            env=environment(MNIST_WORKERS="2", PYTHONPATH=str(project), PYTHONDONTWRITEBYTECODE="1"),
            capture_output=True,
            text=True,
            preexec_fn=limit,
            check=False,
        )


READ_ONLY, FULL = "ro", "nr_inodes=2"  # its root and one directory, but no file in that
PLACES = {
    "search": ["data/search", "plots/search", ".dvc/tmp"],
    "train": ["data/models", "plots/curves", ".dvc/tmp"],
    "evaluate": ["data/predictions", "data/scores", "plots/confusion"],
}
CANNOT = r"cannot be written \(.+\); make room for it or allow it, then run again"
NO_WORKERS = r"local workers cannot be started \(.+\); see to it, then `dvc repro` goes on where it was"
QUICK = [Fault("train", "data/models", CANNOT, READ_ONLY), Fault("search", "", CANNOT, limit=2000)]
ALL = [
    *[
        Fault(stage, place, CANNOT, options)
        for stage, places in PLACES.items()
        for place in places
        for options in (READ_ONLY, FULL)
    ],
    *[
        Fault(stage, "", f"{CANNOT}|{NO_WORKERS}", limit=limit)
        for stage in PLACES
        for limit in (10, 1000, 2000, 30_000)
    ],
    *[Fault("prepare", "", CANNOT, limit=limit) for limit in (10, 1000, 30_000)],
    *[Fault(stage, "/dev/shm", NO_WORKERS, options) for stage in ("search", "train") for options in (READ_ONLY, FULL)],
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", [*QUICK, *[pytest.param(fault, marks=pytest.mark.slow) for fault in ALL]], ids=str)
def test_a_disk_that_fails_is_one_line_and_leaves_what_was(fault, undisturbed, tmp_path, trying):
    if fault.options and not can_mount():
        pytest.skip("needs root, to mount a disk for one process")
    project = undisturbed.copy(tmp_path / "project")
    before = contents(project)
    with trying(f"disk: {str(fault).partition(':')[0]}") as attempt:
        result = fault.run(project)
        attempt.message = result.stderr.strip()
        if result.returncode:
            assert_refused(result, fault.says)
        else:  # nothing that the stage needed was too large, or missing
            assert fault.limit or fault.place == "/dev/shm"
        assert outputs(project) == outputs(undisturbed.directory)
        mended = Fault(fault.stage, "", "").run(project)
        assert mended.returncode == 0, mended.stderr
        assert contents(project) == before


def assert_refused(result, says):
    assert re.search(says, error_line(result.stderr))
    assert result.returncode == 1


def outputs(project):
    """Return what lies in a project, besides what a stage keeps in order to go on."""
    return {name: content for name, content in contents(project).items() if not name.startswith(".dvc")}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not can_mount(), reason="needs root, to mount a disk for one process")
def test_what_was_trained_when_the_disk_was_full_is_not_lost(undisturbed, tmp_path, trying):
    """The directory for the curve can be made, the curve itself cannot."""
    project = undisturbed.copy(tmp_path / "project")
    with trying("disk: full, after all was trained") as attempt:
        result = Fault("search", "plots/search", "", FULL).run(project)
        attempt.message = result.stderr.strip()
        assert_refused(result, r"plots/search/2b\.csv: cannot be written \(No space left on device\)")
        records = [len(run.records) for run in kept_runs(project / ".dvc/tmp/mnist/search-2b")]
        assert records.count(300) == 3  # every rate of the search, to its end
