"""Every command of README.md and the other pages stands in the table below: where it runs, or why not."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from dvc.cli import parse_args

from tests.project.pages import PAGES, commands, commands_of_text

ROOT = Path(__file__).parents[2]

PIPELINE = "run in tests/project/test_pipeline.py, on a slice"
EXPERIMENTS = "run in tests/project/test_experiments.py, with stages that compute nothing"
SAME = "not run, for docs/experiments.md has the same with other values; DVC's own parser must take it (below)"
TWO_MACHINES = "not run because it needs a second machine"
MACHINE = "not run because it sets up or changes the machine that tests run on"
MINUTES = "not run because it takes many minutes"

# The beginning of a command -> where it is run, or why it is not.
COMMANDS = {
    "make repro": MINUTES,
    "make tuned": MINUTES,
    "make watch": "its command is run in tests/project/test_watch.py",
    "python -m tools.studies": "run in tests/project/test_studies.py",
    "python3 -m venv /tmp/audit": "not run because it installs a program that is no dependency",
    "/tmp/audit/bin/pip-audit": "not run because its source of vulnerabilities is on the internet",
    "pipx run": "not run because it installs a program that is no dependency",
    "make test": "not run because this is it",
    "make lint": "not run because it is a check of its own",
    "make faults": MINUTES,
    "make setup": MACHINE,
    "make bench": MINUTES,
    "make experiments": EXPERIMENTS,
    "git tag -a model-2d@v1.0.0": "run in tests/project/test_artifacts.py",
    "dvc artifacts get URL model-2d": "run in tests/project/test_artifacts.py",
    "dvc get URL data/published/2d.onnx": "run in tests/project/test_artifacts.py",
    "mnist predict": "run in tests/predict/test_predict.py",
    "make evaluate": "its commands are run in tests/project/test_pipeline.py and tests/stages/test_evaluate_stage.py",
    "make restore": "run in tests/project/test_pipeline.py",
    "source .venv/bin/activate": MACHINE,
    ". .venv/bin/activate": MACHINE,
    "python3 -m tools.doctor": "run in tests/project/test_doctor.py",
    "dvc repro": PIPELINE,
    "dvc exp run -S": SAME,
    **dict.fromkeys(commands("docs/experiments.md"), EXPERIMENTS),
    # docs/cluster.md; tests/training/test_cluster.py has a scheduler that runs already, TLS and strangers.
    "export": "not run because it does nothing by itself",
    "TLS": "not run because it does nothing by itself",
    "mkdir -p -m 700 ~/mnist-cluster": TWO_MACHINES,
    "openssl req": TWO_MACHINES,
    "chmod 600": TWO_MACHINES,
    "ssh B": TWO_MACHINES,
    "scp -p": TWO_MACHINES,
    "dask scheduler": TWO_MACHINES,
    "OMP_NUM_THREADS=1 dask worker": TWO_MACHINES,
}


def all_commands():
    return [command for page in PAGES for command in commands(page)]


def is_known(command):
    return any(command == begin or command.startswith((f"{begin} ", f"{begin}=")) for begin in COMMANDS)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_run_or_has_a_reason(page):
    assert [command for command in commands(page) if not is_known(command)] == []


def test_pages_have_commands_at_all():
    assert {"make repro", "dvc queue status", "dvc push", "make lint", ". .venv/bin/activate"} <= set(all_commands())


def test_every_kind_of_block_is_seen():
    text = (
        "# One\n\n    a \\\n    b\n\n- x\n\n  ```sh\n  c # why\n  ```\n\n## Two\n\n~~~\nd\n~~~\n\n```python\ne\n```\n"
    )
    assert commands_of_text(text) == ["a  b", "c", "d"]
    assert commands_of_text(text, "Two") == ["d"]


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
