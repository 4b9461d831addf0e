"""Every command in README.md, CONTRIBUTING.md and docs/ stands in the table below: where it runs, or why not."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from dvc.cli import parse_args

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]

PIPELINE = "run in tests/project/test_pipeline.py, on a slice"
PARSED = "not run because it trains, or needs a trained pipeline and a queue; DVC's own parser must take it (below)"
MACHINE = "not run because it sets up or changes the machine that tests run on"
MINUTES = "not run because it takes many minutes"

# The beginning of a command -> where it is run, or why it is not. The longest beginning counts.
COMMANDS = {
    "make repro": MINUTES,
    "make tuned": MINUTES,
    "make watch": "its command is run in tests/project/test_watch.py",
    "python -m tools.studies": "run in tests/project/test_studies.py",
    "pipx run": "not run because it installs a program that is no dependency",
    "make test": "not run because this is it",
    "make lint": "not run because it is a check of its own",
    "make setup": MACHINE,
    "make bench": MINUTES,
    "make experiments": "not run because it needs experiments; its line stands in docs/experiments.md too",
    "make restore": "its lines are run in tests/project/test_pipeline.py",
    "source .venv/bin/activate": MACHINE,
    "python3 -m tools.doctor": "run in tests/project/test_doctor.py",
    "python -m benchmarks": MINUTES,
    "dvc": PARSED,
    "dvc repro": PIPELINE,
    "MNIST_WORKERS=1 OMP_NUM_THREADS=1 dvc queue start": PARSED,
    "git checkout --ours": "not run because it needs a merge with conflicts; .gitattributes is tested below",
    "git merge": "not run because it needs a merge with conflicts; .gitattributes is tested below",
    "git add": "not run because it would commit",
}


def commands(page):
    """Return the lines of the page's shell blocks, without comments."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    shell = (block for language, block in blocks if language in ("", "sh", "bash", "shell"))
    lines = (line.split(" #")[0].strip() for block in shell for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def all_commands():
    return [command for page in PAGES for command in commands(page)]


def entry(command):
    beginnings = [begin for begin in COMMANDS if command == begin or command.startswith(f"{begin} ")]
    return max(beginnings, key=len, default=None)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_run_or_has_a_reason(page):
    assert [command for command in commands(page) if entry(command) is None] == []


def test_pages_have_commands_at_all():
    assert {"make repro", "dvc queue status", "dvc push", "make lint"} <= set(all_commands())


def dvc_commands():
    for command in all_commands():
        for part in command.split(" && "):
            words = part.split("dvc ", 1)
            if len(words) == 2 and re.fullmatch(r"([A-Z_]+=\S+ )*", words[0]):
                yield words[1]


@pytest.mark.parametrize("command", sorted(set(dvc_commands())))
def test_dvc_takes_the_command(command):
    assert parse_args(shlex.split(command)).func is not None


@pytest.mark.parametrize(
    "path", ["dvc.lock", "metrics/summary.json", "plots/curves/2b.csv", "data/published/2d.npz", "docs/tutorial.ipynb"]
)
def test_generated_files_are_not_merged_line_by_line(path):
    shown = subprocess.run(
        ["git", "check-attr", "merge", path], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert shown == f"{path}: merge: unset\n"


@pytest.mark.parametrize("page", [*PAGES[1:], "CHANGELOG.md", "docs/tutorial.ipynb"])
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", (ROOT / page).read_text())
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
