import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mnist_core.models import MODELS
from stages.plot import main
from tests.records import MADE_WITH, SCORES
from tests.report.comparison_inputs import write_comparison_inputs

ROOT = Path(__file__).parents[2]
NUM_IMAGES = 9000  # of which 90 are errors
REMEDY = "run `dvc repro` to write it again"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """What `plot` reads: curves, confusion counts, search records and the comparison of all eight models."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    for directory in ("plots/curves", "plots/confusion", "plots/search", "data/search", "data/models"):
        Path(directory).mkdir(parents=True)
    for model in MODELS:
        Path(f"plots/curves/{model}.csv").write_text(
            "epoch,train_error,train_error_std,test_error,test_error_std\n1,4.0,0.1,5.0,0.1\n2,0.0,0.0,2.0,0.2\n"
        )
        counts = [f"{i},{j},{NUM_IMAGES // 10 - 9 if i == j else 1}" for i in range(10) for j in range(10)]
        Path(f"plots/confusion/{model}.csv").write_text("\n".join(["actual,predicted,count", *counts, ""]))
        Path(f"plots/search/{model}.csv").write_text("learning_rate,epoch,validation_error\n0.1,1,5.0\n0.1,2,2.5\n")
        trial = {"learning_rate": 0.1, "failure": None, "best_epoch": 2, "best_validation_error": 2.5, "epochs": 2}
        pair = {"learning_rate": 0.1, "epochs": 2, "validation_error": 2.5}
        record = {"model": model} | MADE_WITH | pair | {"candidates": [pair], "trials": [trial], "probes": []}
        Path(f"data/search/{model}.json").write_text(json.dumps(record))
        Path(f"data/models/{model}").mkdir()
        Path(f"data/models/{model}/seed_1.csv").write_text("epoch,loss,test_error\n1,0.5,3.0\n2,0.1,1.0\n")
        Path(f"data/models/{model}/hyperparameters.json").write_text(
            json.dumps(pair | {"model": model, "failures": []})
        )
    rows = [f"{model},{epoch},{4 / epoch}" for model in MODELS for epoch in (1, 2)]
    Path("plots/test_errors.csv").write_text("\n".join(["model,epoch,test_error", *rows, ""]))
    twins = [f"{letter},{framework},1,5.0" for letter in "abcd" for framework in ("tensorflow", "numpy")]
    Path("plots/parity.csv").write_text("\n".join(["letter,framework,epoch,test_error", *twins, ""]))
    Path("metrics").mkdir()
    write_comparison_inputs(Path("metrics"), NUM_IMAGES)
    Path("metrics/summary.json").write_text(
        json.dumps(dict.fromkeys(MODELS, SCORES | {"epochs": 2, "train_error": 0.0}))
    )
    return tmp_path


def test_draws_every_figure_as_svg_and_png(project):
    result = CliRunner().invoke(main, [], catch_exceptions=False)
    assert result.exit_code == 0
    names = [f"{kind}_{model}" for kind in ("confusion", "curves", "search") for model in MODELS]
    names += ["parity", "test_errors", "intervals", "differences", "reliability"]
    assert sorted(path.name for path in Path("plots/figures").iterdir()) == sorted(
        f"{name}.{suffix}" for name in names for suffix in ("svg", "png")
    )
    assert Path("plots/figures/curves_1a.png").read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in Path("plots/figures/curves_1a.svg").read_text()


def test_a_missing_input_is_one_line_and_leaves_the_old_figures(project):
    Path("plots/figures").mkdir()
    Path("plots/figures/old.svg").write_text("old")
    Path("plots/search/2d.csv").unlink()
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert result.output == "Error: plots/search/2d.csv: no such file; run `dvc repro` to write it again\n"
    assert [path.name for path in Path("plots/figures").iterdir()] == ["old.svg"]


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        (
            "plots/curves/1c.csv",
            "2.0,0.2",
            "nan,0.2",
            "not valid CSV (test_error of row 2: Input should be a finite number (found 'nan')); " + REMEDY,
        ),
        *[
            (
                f"plots/{name}.csv",
                old,
                new,
                f"not valid CSV ({place}: Input should be less than or equal to 100 (found '{value}')); " + REMEDY,
            )
            for name, old, new, place, value in [
                ("curves/1c", "4.0,0.1", "4.0,1e308", "train_error_std of row 1", "1e308"),
                ("curves/1c", "2.0,0.2", "2500,0.2", "test_error of row 2", "2500"),
                ("test_errors", "1a,2,2.0", "1a,2,777", "test_error of row 2", "777"),
            ]
        ],
        (
            "metrics/comparisons.csv",
            ",different,",
            ",Different,",
            "not valid CSV (verdict of row 1: Input should be 'different', 'alike' or 'undecided'"
            " (found 'Different')); " + REMEDY,
        ),
        (
            "plots/test_errors.csv",
            "2d,1,",
            "2e,1,",
            "its models are not 1a, 1b, 1c, 1d, 2a, 2b, 2c, 2d; " + REMEDY,
        ),
        (
            "plots/test_errors.csv",
            "1a,2,2.0",
            "1a,3,2.0",
            "1a: its epochs are not 1 to 2, as the model was trained; " + REMEDY,
        ),
        (
            "plots/parity.csv",
            "a,numpy,1,5.0",
            "a,jax,1,5.0",
            "not the same epochs of both twins of every network; " + REMEDY,
        ),
        ("plots/parity.csv", "a,numpy,1,5.0\n", "", "not the same epochs of both twins of every network; " + REMEDY),
        ("plots/confusion/2a.csv", "3,3,891", "3,12,891", "not one count for each pair of the 10 classes; " + REMEDY),
        (
            "data/search/2a.json",
            '"model": "2a"',
            '"model": "2b"',
            "it is about model 2b, not 2a; run the search first (dvc repro)",
        ),
        (
            "data/models/1b/hyperparameters.json",
            '"epochs": 2',
            '"epochs": 3',
            "learning rate 0.1 with 3 epochs is no candidate of its search; train the model first (dvc repro)",
        ),
    ],
)
def test_a_file_that_cannot_be_right_is_named_in_one_line(project, name, old, new, fault):
    path = Path(name)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert result.output == f"Error: {name}: {fault}\n"


def test_plots_and_tables_import_no_network(project):
    script = (
        "import sys, stages.plot, stages.table\n"
        "print([m for m in sys.modules if m.startswith(('tensorflow', 'keras', 'mnist_core.numpy_nn', "
        "'mnist_core.tensorflow_nn', 'mnist_core.networks', 'matplotlib.pyplot'))])"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
