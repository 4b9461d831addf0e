"""The doctor says one line a check, whatever it meets."""

import subprocess
import sys
from pathlib import Path

from tools import doctor

ROOT = Path(__file__).parents[2]


def test_says_one_line_a_check_with_nothing_installed_and_nothing_on_the_path():
    # -I and -S: no site-packages, no environment variables; an empty path has neither git nor a browser.
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tools import doctor; sys.exit(doctor.main())"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd="/", env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert [line[6:22].rstrip() for line in lines] == [name for name, _ in doctor.CHECKS]
    assert "FAIL  git              not found; DVC needs it (or: dvc config --local core.no_scm true)" in lines


def test_a_check_that_breaks_is_a_note_on_one_line():
    def broken():
        raise OSError("two\nlines")

    assert doctor.examine(broken) == ("note", "could not be examined (OSError: two lines)")


def test_a_source_that_does_not_exist_is_a_note():
    verdict, text = doctor.examine(doctor.reachable("http://127.0.0.1:9/"))  # the discard port: nobody listens
    assert verdict == "note"
    assert text.startswith("not reachable")


def test_a_directory_that_is_not_there_fails(monkeypatch):
    monkeypatch.setenv("MNIST_DIRECTORY", "/no/such/directory")
    assert doctor.local_images() == ("FAIL", "MNIST_DIRECTORY=/no/such/directory")
