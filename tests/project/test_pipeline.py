"""The real pipeline, all stages of it, on a small slice of the real images, in a repository of its own."""

import json
import re
import sys

import pandas as pd
import pytest
from ruamel.yaml import YAML

from mnist_core.models import ALL_MODELS, MODELS, TUNED
from tests.projects import ROOT, commit, contents, copy_project, edit_params, make_repository, run, shrink
from tools.quick import workers_for_all

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a repository in which the whole pipeline has run and is committed."""
    directory = tmp_path_factory.mktemp("project")
    copy_project(directory, shrink)
    make_repository(directory)
    with workers_for_all(directory) as variables:
        run(directory, "dvc", "repro", variables=variables)
    commit(directory)
    return directory


@pytest.fixture
def edited(project):
    """Give the project, and undo what the test changed in its code and parameters."""
    yield project
    run(project, "git", "checkout", "--quiet", ".")


@pytest.fixture
def restored(project):
    """Give the project, and undo also what the test changed in its outputs."""
    yield project
    run(project, "git", "checkout", "--quiet", ".")
    run(project, "dvc", "checkout", "--quiet")


def stale_stages(directory):
    status = json.loads(run(directory, "dvc", "status", "--json").stdout)
    return {name.removeprefix("dvc.yaml:") for name in status} - {"source"}  # which always runs, and takes a second


def append_comment(path):
    path.write_text(path.read_text() + "\n# changed\n")


def set_param(directory, key, value):
    def change(params):
        *path, last = key.split(".")
        for name in path:
            params = params[name]
        params[last] = value

    edit_params(directory, change)


def each(stage, number="", letter="", models=ALL_MODELS):
    return {f"{stage}@{model}" for model in models if number in model[0] and letter in model[1]}


def test_writes_every_result_for_every_model(project):
    summary = json.loads((project / "metrics/summary.json").read_text())
    assert list(summary) == sorted(ALL_MODELS)
    assert all(0 < scores["test_error"] < 100 for scores in summary.values())
    for model, (framework, _) in ALL_MODELS.items():
        confusion = pd.read_csv(project / f"plots/confusion/{model}.csv")
        assert confusion["count"].sum() == 200
        wrong = confusion.loc[confusion["actual"] != confusion["predicted"], "count"].sum()
        seeds = pd.read_csv(project / f"data/models/{model}/seed_1.csv")
        assert wrong / 2 == pytest.approx(seeds["test_error"].iloc[-1])  # 200 images: percent is half the count
        assert (project / f"data/models/{model}/seed_2.keras").exists() == (framework == "tensorflow")
    table = (project / "metrics/error_table.md").read_text()
    assert "P1:a" in table
    assert "P2:e" in table
    assert json.loads((project / "metrics/gradients.json").read_text())["largest"] <= 1e-6
    assert "</html>" in (project / "plots/report.html").read_text()


def test_runs_nothing_when_nothing_changed(project):
    output = run(project, "dvc", "repro").stdout
    assert re.findall("Running stage '(.*)'", output) == ["source"]
    assert run(project, "git", "status", "--porcelain").stdout == ""


NUMPY = each("search", "2") | each("train", "2") | each("evaluate", "2") | {"gradcheck", "parity"}
TENSORFLOW = each("search", "1") | each("train", "1") | each("evaluate", "1") | {"gradcheck", "parity"}
NETWORKS = NUMPY | TENSORFLOW | {"report", "publish", "draw"}
SHOWN = {"table", "plot", "report"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("mnist_core/data/sources.py", {"source", "fetch", "prepare"}),
        ("mnist_core/networks/initializers.py", NETWORKS),
        ("mnist_core/numpy_nn/layers.py", NUMPY),
        ("mnist_core/tensorflow_nn/classifier.py", TENSORFLOW),
        ("mnist_core/search.py", each("search", models=MODELS)),
        ("mnist_core/tuning.py", each("search", models=TUNED)),
        ("mnist_core/final_training.py", each("train")),
        ("mnist_core/training/loop.py", each("search") | each("train") | each("evaluate") | {"parity"}),
        ("mnist_core/evaluation.py", each("evaluate")),
        ("mnist_core/comparison.py", {"compare"}),
        ("mnist_core/proof/naive.py", {"gradcheck", "parity"}),
        ("mnist_core/export/keras_file.py", each("train")),
        ("mnist_core/export/onnx_file.py", {"publish"}),
        ("mnist_core/report/tables.py", SHOWN),
        ("mnist_core/report/template.html.j2", SHOWN),
        ("mnist_core/records.py", each("evaluate") | {"compare", "publish"} | SHOWN),
        ("mnist_core/draw/page.py", {"draw"}),
        ("docs/derivations.md", {"report"}),
    ],
)
def test_changed_code_makes_exactly_those_stages_stale_that_could_change(edited, path, expected):
    append_comment(edited / path)
    assert stale_stages(edited) - {"source"} == expected - {"source"}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("profiles.quick.numpy.epochs.b", 2, {"search@2b", "report"}),
        (
            "profiles.quick.tensorflow.batch_size",
            50,
            each("search", "1", models=MODELS) | each("train", "1", models=MODELS) | {"report"},
        ),
        (
            "profiles.quick.tuned.space.b.shift",
            [1],
            each("search", letter="b", models=TUNED) | each("train", letter="b", models=TUNED) | {"report"},
        ),
        ("profiles.quick.tuned.epochs.c", 2, each("search", letter="c", models=TUNED) | {"report"}),
        (
            "architectures.c",
            [{"type": "dense", "units": 10}],
            each("search", letter="c")
            | each("train", letter="c")
            | each("evaluate", letter="c")
            | {"gradcheck", "parity", "publish", "report"},
        ),
        ("profiles.quick.train.seeds", [3, 4], each("train") | each("evaluate") | {"publish", "report"}),
        ("profiles.paper.numpy.epochs.b", 2, set()),
    ],
)
def test_changed_parameter_makes_only_its_own_stages_stale(edited, key, value, expected):
    set_param(edited, key, value)
    assert stale_stages(edited) - {"source"} == expected


@pytest.mark.parametrize("model", ["1b", "2b"])
def test_training_again_gives_the_same_bytes(restored, model):
    before = (restored / "dvc.lock").read_text()
    output = run(restored, "dvc", "repro", "--force", "--single-item", f"train@{model}").stdout
    assert f"Running stage 'train@{model}'" in output
    assert (restored / "dvc.lock").read_text() == before


def test_experiment_sets_parameters_and_metrics_diff_shows_what_changed(restored):
    run(
        restored,
        "dvc",
        "exp",
        "run",
        "--set-param",
        "architectures.b.0.units=16",
        "--set-param",
        "profiles.quick.numpy.epochs.b=2",
        "table",
    )
    assert "dvc.lock" in run(restored, "git", "diff", "--name-only").stdout.split()
    choice = json.loads((restored / "data/search/2b.json").read_text())
    assert [trial["epochs"] for trial in choice["trials"]] == [2]
    changed = json.loads(run(restored, "dvc", "metrics", "diff", "--json").stdout)
    changed = changed.get("diff", changed)["metrics/summary.json"]
    assert {key.split(".")[0] for key in changed} <= {"1b", "2b", "1b_tuned", "2b_tuned"}
    assert "2b.test_error" in changed or "2b.train_error" in changed
    shapes = json.loads(run(restored, sys.executable, "-c", _SHAPES).stdout)
    assert shapes["dense_1.kernel"] == [784, 16]


_SHAPES = """
import json
from pathlib import Path
from mnist_core.networks.model_file import load_model
_, weights = load_model(Path("data/models/2b/seed_1.npz"))
print(json.dumps({name: array.shape for name, array in weights.items()}))
"""


def test_wrong_parameter_stops_the_pipeline_with_one_line(restored):
    set_param(restored, "profiles.quick.numpy.batch_size", 0)
    result = run(restored, "dvc", "repro", "search@2b", check=False)
    assert result.returncode != 0
    assert "params.yaml: profiles.quick.numpy.batch_size: " in result.stderr
    assert "Traceback" not in result.stderr
    assert not (restored / "data/search/2b.json").exists()


@pytest.mark.needs("make")
def test_make_evaluate_prints_the_errors_and_nothing_of_dvc(project):
    result = make(project, "evaluate", "MODEL=2b")
    assert result.stderr == "Models from data/models\n"
    assert re.sub(r"0\.\d+", "0", result.stdout).splitlines() == [
        f"2b seed {seed}: train error 0, test error 0" for seed in (1, 2)
    ]


@pytest.mark.needs("make")
def test_make_restore_brings_the_results_of_a_commit_and_back(project):
    """From an experiment without the tuned models, as `make quick` leaves; files that are new to either commit go."""
    lock, yaml = project / "dvc.lock", YAML()
    before, choice = contents(project), project / "data/search/2b.json"
    set_param(project, "profiles.quick.numpy.epochs.b", 2)
    run(project, "dvc", "repro", "--single-item", "search@2b")
    stages = yaml.load(lock)
    stages["stages"] = {name: stage for name, stage in stages["stages"].items() if "tuned" not in name}
    yaml.dump(stages, lock)
    (project / "metrics/experiment.csv").write_text("new")
    (project / "metrics/tuned.md").unlink()
    run(project, "git", "add", "--all")
    tree = run(project, "git", "write-tree").stdout.strip()
    commit = run(project, "git", "commit-tree", "-p", "HEAD", "-m", "experiment", tree).stdout.strip()
    run(project, "git", "update-ref", "refs/exps/ab/cd/quick", commit)

    (project / "params.yaml").write_text("profile: [")  # whose fault may be in the way of DVC
    (project / "data/published/2d.npz").write_bytes(b"changed")
    (project / "metrics/new.csv").write_text("new")
    (project / "metrics/staged.csv").write_text("new")
    run(project, "git", "add", "metrics/staged.csv")
    assert make(project, "restore").stderr == ""
    assert run(project, "git", "status", "--porcelain").stdout == ""
    assert contents(project) == before

    assert make(project, "restore", "FROM=refs/exps/ab/cd/quick").stderr == ""
    assert run(project, "git", "diff", "--cached", "refs/exps/ab/cd/quick").stdout == ""
    assert run(project, "git", "diff").stdout == ""
    assert [trial["epochs"] for trial in json.loads(choice.read_text())["trials"]] == [2]
    assert make(project, "restore").stderr == ""
    assert run(project, "git", "status", "--porcelain").stdout == ""
    assert contents(project) == before


def make(directory, *arguments):
    return run(directory, "make", "--silent", "--file", str(ROOT / "Makefile"), "READY=", *arguments)
