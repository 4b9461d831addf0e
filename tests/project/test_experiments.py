"""Every command of docs/experiments.md in turn: the real dvc.yaml for 2a and 2b, with stages that compute nothing."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.project.pages import commands

ROOT = Path(__file__).parents[2]
PAGE = "docs/experiments.md"
MODELS = ("2a", "2b")
SECTIONS = (
    "Change one thing",
    "Queue several, run two at a time",
    "Read the table",
    "Compare, keep, go back",
    "Merge two branches that both ran",
    "Share",
)

pytestmark = pytest.mark.timeout(3600)


def run(directory, command, *, code=0):
    """Run a line of shell and return what it says; a target of the Makefile is run without its set-up."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "DVC_", "PYTEST_"))}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "DVC_NO_ANALYTICS": "1"}
    environment |= {"STAGES_RUN": str(directory.parent / "stages_run.txt"), "COLUMNS": "80"}
    if command.startswith("make "):
        command = f"make --silent --file '{ROOT}/Makefile' READY= {command.removeprefix('make ')}"
    with tempfile.TemporaryFile("w+") as output:  # no pipe: the queue's workers would hold it open
        result = subprocess.run(["sh", "-c", command], cwd=directory, env=environment, stdout=output, stderr=output)
        output.seek(0)
        text = output.read()
    assert result.returncode == code, f"{command}: {text}"
    return text


def stages_run(directory):
    """Return what ran since the last call: [stage, MNIST_WORKERS, directory] each."""
    log = directory.parent / "stages_run.txt"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line.split() for line in lines]


def test_errors(directory):
    summary = json.loads((directory / "metrics/summary.json").read_text())
    return {model: scores["test_error"] for model, scores in summary.items()}


test_errors.__test__ = False


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a repository with committed results."""
    directory = tmp_path_factory.mktemp("experiments") / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mnist_core", directory / "mnist_core", ignore=ignored)
    shutil.copytree(ROOT / ".dvc/plots", directory / ".dvc/plots")
    (directory / "docs").mkdir()
    for name in (
        ".dvc/config",
        ".dvc/.gitignore",
        ".dvcignore",
        ".gitattributes",
        "params.yaml",
        "docs/derivations.md",
    ):
        shutil.copy(ROOT / name, directory / name)
    (directory / "stages").mkdir()
    for path in (ROOT / "stages").glob("*.py"):
        shutil.copy(Path(__file__).with_name("stand_in_stage.py"), directory / "stages" / path.name)
    yaml = YAML()
    pipeline = yaml.load(ROOT / "dvc.yaml")
    pipeline["vars"][0]["models"] = {model: pipeline["vars"][0]["models"][model] for model in MODELS}
    yaml.dump(pipeline, directory / "dvc.yaml")
    (directory / ".gitignore").write_text("__pycache__/\n/dvc_plots/\n")
    run(directory, "git init --quiet --initial-branch main")
    run(directory, "git config user.name test && git config user.email test@example.invalid")
    run(directory, "dvc repro && git add --all && git commit --quiet --message results")
    stages_run(directory)
    return directory


@pytest.fixture(scope="module")
def changed(project):
    """Run the first section; return the project and the stages that each of its commands ran."""
    ran = {}
    for command in commands(PAGE, "Change one thing"):
        run(project, command)
        ran[command] = {stage for stage, _, _ in stages_run(project)}
    return project, ran


@pytest.fixture(scope="module")
def queued(changed):
    """Run the second section and wait for its two experiments; return the project and what ran."""
    project, _ = changed
    for command in commands(PAGE, "Queue several, run two at a time"):
        text = run(project, command)
        end = time.monotonic() + 1800
        while command == "dvc queue status" and ("Queued" in text or "Running" in text) and time.monotonic() < end:
            time.sleep(2)
            text = run(project, command)
    run(project, "dvc exp branch rate-b keep-rate-b")  # for the merge below
    return project, stages_run(project)


@pytest.fixture(scope="module")
def kept(queued):
    """Run the fourth section; return the project, what its commands said, and the test errors of rate-a."""
    project, _ = queued
    said, errors = {}, {}
    for command in commands(PAGE, "Compare, keep, go back"):
        said[command] = run(project, command)
        errors[command] = test_errors(project)
    return project, said, errors


@pytest.fixture(scope="module")
def merged(kept):
    """Run the fifth section on two branches that both ran; return the project, and what ran in the merge."""
    project, _, _ = kept
    run(project, "git merge --quiet keep-rate-b && dvc checkout")
    stages_run(project)
    merge, *after = commands(PAGE, "Merge two branches that both ran")
    assert "CONFLICT (content): Merge conflict in dvc.lock" in run(project, merge, code=1)
    params = (project / "params.yaml").read_text()
    assert params.count("<<<<<<<") == 1
    before, rest = params.split("<<<<<<< HEAD\n")
    ours, rest = rest.split("=======\n")
    theirs, rest = rest.split(">>>>>>> keep-rate-a\n")
    assert (ours.strip(), theirs.strip()) == ("epochs: {a: 12, b: 5, c: 6, d: 4}", "epochs: {a: 5, b: 6, c: 6, d: 4}")
    (project / "params.yaml").write_text(before + ours.replace("a: 12", "a: 5") + rest)
    said = {command: run(project, command) for command in after}
    return project, said, {stage for stage, _, _ in stages_run(project)}


def test_this_file_runs_every_command_of_the_page():
    assert [command for section in SECTIONS for command in commands(PAGE, section)] == commands(PAGE)


def test_a_change_runs_only_the_stages_that_it_touches(changed):
    _, ran = changed
    trained = [
        {stage for stage in stages if stage.startswith(("search", "train", "fetch"))}
        for command, stages in ran.items()
        if command.startswith("dvc exp run")
    ]
    # `longer` ran nothing of 2a's and no training of 2b's own width again: it began from the committed results.
    assert trained == [
        {"search@2b", "train@2b"},
        {"search@2b", "train@2b"},
        {"fetch", "search@2a", "train@2a", "search@2b", "train@2b"},
    ]


def test_experiments_change_one_thing_each(changed):
    project, _ = changed
    changes = {}
    for name in ("wide", "longer", "clothes"):
        found = json.loads(run(project, f"dvc params diff --json HEAD {name}").splitlines()[-1])["params.yaml"]
        changes[name] = {key: values["new"] for key, values in found.items()}
    assert changes == {
        "wide": {
            "architectures.b": "[{'type': 'dense', 'units': 256, 'activation': 'relu'}, {'type': 'dense', 'units': 10}]"
        },
        "longer": {"profiles.paper.numpy.epochs.b": 400},
        "clothes": {"data.dataset": "fashion_mnist"},
    }


def test_two_experiments_run_at_a_time_in_the_environment_of_the_queue(queued):
    project, ran = queued
    assert {workers for _, workers, _ in ran} == {"1"}
    directories = [directory for _, _, directory in ran]
    assert len(set(directories)) == 2
    assert str(project) not in directories
    changes = sum(one != other for one, other in itertools.pairwise(directories))
    assert changes > 1  # one after the other would be a single change


def test_the_table_shows_what_differs_and_cuts_nothing(queued):
    project, _ = queued
    table, difference = (run(project, command) for command in commands(PAGE, "Read the table"))
    for text in ("rate-a", "rate-b", "wide", "longer", "clothes", "2a.test_error", "2b.test_error", "data.dataset"):
        assert text in table
    assert "profiles.quick.numpy.epochs.a" in table
    assert "profiles.quick.numpy.epochs.d" not in table  # all have the same
    assert "mnist_core" not in table
    assert "…" not in table
    rows = [line for line in difference.splitlines() if "test_error" in line or "epochs" in line]
    assert [row.split()[1] for row in rows] == ["2a.test_error", "2b.test_error", "profiles.quick.numpy.epochs.a"]


def test_an_experiment_is_compared_and_kept_and_the_rest_goes(kept):
    project, said, errors = kept
    difference = said["dvc metrics diff"]
    for model, error in errors["dvc exp apply rate-a"].items():
        assert f"{model}.test_error" in difference
        assert f"{error:g}" in difference
    assert (project / "dvc_plots/index.html").exists()
    assert errors["make restore"] != errors["dvc exp apply rate-a"]
    assert "keep-rate-a" in run(project, "git branch").split()
    names = run(project, "dvc exp list --names-only").split()
    assert "rate-a" in names
    assert "rate-b" not in names
    assert run(project, "git status --porcelain") == ""


def test_a_merge_ends_with_one_consistent_run(merged, kept):
    project, said, ran = merged
    _, _, errors = kept
    assert run(project, "git status --porcelain") == ""
    assert len(run(project, "git log -1 --format=%P").split()) == 2
    assert said["dvc status"].split() == ["source:", "always", "changed"]
    # 2a is that of rate-a and 2b that of rate-b; neither was trained again.
    rate_b = json.loads(run(project, "git show keep-rate-b:metrics/summary.json"))["2b"]["test_error"]
    assert test_errors(project) == {"2a": errors["dvc exp apply rate-a"]["2a"], "2b": rate_b}
    assert {stage for stage in ran if stage.startswith(("search", "train", "evaluate"))} == set()
    assert {"table", "compare", "report"} <= ran
    run(project, "dvc repro")
    assert run(project, "git status --porcelain") == ""


def test_results_travel_through_a_remote(merged):
    project, _, _ = merged
    shown = commands(PAGE, "Share")
    here, there = shown[: shown.index("git pull")], shown[shown.index("git pull") :]
    run(project, "git init --quiet --bare ../origin.git && git remote add origin ../origin.git")
    run(project, "git push --quiet --set-upstream origin main")
    for command in here:
        run(project, command)
    run(project, "git clone --quiet --branch main ../origin.git ../clone")
    clone = project.parent / "clone"
    stages_run(project)
    for command in [here[0], *there]:
        run(clone, command)
    assert run(clone, "dvc status").split() == ["source:", "always", "changed"]
    assert "wide" in run(clone, "dvc exp list --all-commits --names-only").split()
    assert {stage for stage, _, _ in stages_run(project)} == set()


@pytest.mark.parametrize(
    "name", ["Experiment", "1d.test_error", "1d_tuned.test_error", "profiles.paper.tuned.search.seed"]
)
def test_the_table_keeps_the_test_errors_of_both_protocols_and_the_parameters(name):
    """DVC drops the columns that the expression matches; a run of stand-ins has no tuned model to look at."""
    (dropped,) = re.findall(r"--drop '(.*)'", (ROOT / "Makefile").read_text())
    assert not re.match(dropped.replace("$$", "$"), name)
    assert re.match(dropped.replace("$$", "$"), "1d_tuned.train_error")
