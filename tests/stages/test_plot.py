import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mnist_core.models import MODELS
from stages.plot import main
from tests.report.comparison_inputs import write_comparison_inputs


@pytest.fixture
def project(tmp_path, monkeypatch):
    """What `plot` reads: curves, confusion counts, search records and the comparison of all eight models."""
    monkeypatch.chdir(tmp_path)
    for directory in ("plots/curves", "plots/confusion", "plots/search", "data/search"):
        Path(directory).mkdir(parents=True)
    for model in MODELS:
        Path(f"plots/curves/{model}.csv").write_text(
            "epoch,train_error,train_error_std,test_error,test_error_std\n1,4.0,0.1,5.0,0.1\n2,0.0,0.0,2.0,0.2\n"
        )
        counts = [f"{i},{j},{90 if i == j else int(j == i + 1)}" for i in range(10) for j in range(10)]
        Path(f"plots/confusion/{model}.csv").write_text("\n".join(["actual,predicted,count", *counts, ""]))
        Path(f"plots/search/{model}.csv").write_text("learning_rate,epoch,validation_error\n0.1,1,5.0\n0.1,2,2.5\n")
        trial = {"learning_rate": 0.1, "diverged": False, "best_epoch": 2, "best_validation_error": 2.5, "epochs": 2}
        record = {"model": model, "learning_rate": 0.1, "epochs": 2, "validation_error": 2.5, "trials": [trial]}
        Path(f"data/search/{model}.json").write_text(json.dumps(record | {"probes": []}))
    rows = [f"{model},{epoch},{5 / epoch}" for model in MODELS for epoch in (1, 2)]
    Path("plots/test_errors.csv").write_text("\n".join(["model,epoch,test_error", *rows, ""]))
    Path("metrics").mkdir()
    write_comparison_inputs(Path("metrics"))
    return tmp_path


def test_draws_every_figure_as_svg_and_png(project):
    result = CliRunner().invoke(main, [], catch_exceptions=False)
    assert result.exit_code == 0
    names = [f"{kind}_{model}" for kind in ("confusion", "curves", "search") for model in MODELS]
    names += ["test_errors", "intervals", "differences", "reliability"]
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


def test_plots_and_tables_import_no_network(project):
    script = (
        "import sys, stages.plot, stages.table\n"
        "print([m for m in sys.modules if m.startswith(('tensorflow', 'keras', 'mnist_core.numpy_nn', "
        "'mnist_core.tensorflow_nn', 'mnist_core.networks', 'matplotlib.pyplot'))])"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
