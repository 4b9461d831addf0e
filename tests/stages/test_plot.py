import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mnist_core.models import MODELS
from stages.plot import main
from tests.records import SCORES
from tests.report.comparison_inputs import write_comparison_inputs

ROOT = Path(__file__).parents[2]
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
        counts = [f"{i},{j},{90 if i == j else int(j == i + 1)}" for i in range(10) for j in range(10)]
        Path(f"plots/confusion/{model}.csv").write_text("\n".join(["actual,predicted,count", *counts, ""]))
        Path(f"plots/search/{model}.csv").write_text("learning_rate,epoch,validation_error\n0.1,1,5.0\n0.1,2,2.5\n")
        trial = {"learning_rate": 0.1, "failure": None, "best_epoch": 2, "best_validation_error": 2.5, "epochs": 2}
        pair = {"learning_rate": 0.1, "epochs": 2, "validation_error": 2.5}
        record = {"model": model} | pair | {"candidates": [pair], "trials": [trial], "probes": []}
        Path(f"data/search/{model}.json").write_text(json.dumps(record))
        Path(f"data/models/{model}").mkdir()
        Path(f"data/models/{model}/hyperparameters.json").write_text(
            json.dumps(pair | {"model": model, "failures": []})
        )
    rows = [f"{model},{epoch},{5 / epoch}" for model in MODELS for epoch in (1, 2)]
    Path("plots/test_errors.csv").write_text("\n".join(["model,epoch,test_error", *rows, ""]))
    twins = [f"{letter},{framework},1,5.0" for letter in "abcd" for framework in ("tensorflow", "numpy")]
    Path("plots/parity.csv").write_text("\n".join(["letter,framework,epoch,test_error", *twins, ""]))
    Path("metrics").mkdir()
    write_comparison_inputs(Path("metrics"))
    Path("metrics/summary.json").write_text(json.dumps(dict.fromkeys(MODELS, SCORES)))
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
        ("plots/curves/1c.csv", "2.0,0.2", "nan,0.2", "test_error of row 2 is no finite number; " + REMEDY),
        ("plots/parity.csv", "a,numpy,1,5.0", "a,numpy,1,many", "test_error of row 2 is no finite number; " + REMEDY),
        ("plots/confusion/2a.csv", "3,3,90", "3,12,90", "not one count for each pair of the 10 classes; " + REMEDY),
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
