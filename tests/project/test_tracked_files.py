"""What holds for every file in git."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_merge_was_left_half_done():
    marked = subprocess.run(
        ["git", "grep", "--line-number", "-E", "^(<<<<<<<|>>>>>>>)( |$)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert marked.stdout == ""
    assert marked.returncode == 1  # found nothing; anything else is an error
