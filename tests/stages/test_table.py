import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from mnist_core.data.dataset import load_manifest
from mnist_core.models import MODELS
from mnist_core.records import evaluated_models
from stages.table import main
from tests.records import model_scores

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch, prepared):
    """Prepared images, metrics and curves of all eight models, and params.yaml."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(prepared, "data/prepared")
    data_sha256 = load_manifest(prepared).sha256
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    Path("data/scores").mkdir()
    Path("plots/curves").mkdir(parents=True)
    for place, model in enumerate(MODELS):
        numbers = {
            "train_error": 1.0,
            "train_error_std": 0.5,
            "test_error": 2.0 + place,
            "test_error_std": 0.25,
            "learning_rate": 0.1,
            "epochs": 2,
            "validation_error": 3.0,
        }
        Path(f"data/scores/{model}.json").write_text(json.dumps(model_scores(model, data_sha256, **numbers)))
        Path(f"plots/curves/{model}.csv").write_text(
            "epoch,train_error,train_error_std,test_error,test_error_std\n"
            f"1,4.0,0.1,{5 + place}.5,0.1\n2,1.0,0.5,{2 + place}.0,0.25\n"
        )
    return tmp_path


def test_writes_summary_tables_and_test_errors(project):
    result = CliRunner().invoke(main, [], catch_exceptions=False)

    assert result.exit_code == 0
    summary = Path("metrics/summary.json").read_text()
    assert summary.startswith('{\n  "1a": {\n    "brier_score": 0.02,\n    "epochs": 2,\n')
    assert summary.endswith("  }\n}\n")
    assert list(json.loads(summary)) == ["1a", "1b", "1c", "1d", "2a", "2b", "2c", "2d"]
    assert (
        Path("metrics/error_table.csv").read_text().splitlines()[4] == "test_error_mean,2.0,3.0,4.0,5.0,6.0,7.0,8.0,9.0"
    )
    assert "| Test error, ours | 2.00 ± 0.25 | 3.00 ± 0.25 |" in Path("metrics/error_table.md").read_text("utf-8")
    assert "Test, mean & 2.00 & 3.00 & 4.00" in Path("metrics/error_table.tex").read_text()
    lines = Path("plots/test_errors.csv").read_text().splitlines()
    assert lines[:4] == ["model,epoch,test_error", "1a,1,5.5", "1a,2,2.0", "1b,1,6.5"]
    assert len(lines) == 1 + 8 * 2


def test_another_data_set_has_no_rows_of_the_report(project):
    assert "| Test error, 2017 report | 7.62 |" in run_and_read_markdown()
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("dataset: mnist", "dataset: fashion_mnist"))
    markdown = run_and_read_markdown()
    assert "| Test error, ours | 2.00 ± 0.25 |" in markdown
    for kind in ("csv", "md", "tex"):
        written = Path(f"metrics/error_table.{kind}").read_text("utf-8")
        assert "report" not in written
        assert "7.62" not in written


def run_and_read_markdown():
    CliRunner().invoke(main, [], catch_exceptions=False)
    return Path("metrics/error_table.md").read_text("utf-8")


def test_same_input_gives_the_same_bytes(project):
    outputs = ["metrics/summary.json", *(f"metrics/error_table.{kind}" for kind in ("csv", "md", "tex"))]
    CliRunner().invoke(main, [], catch_exceptions=False)
    first = [Path(output).read_bytes() for output in outputs]
    CliRunner().invoke(main, [], catch_exceptions=False)
    assert [Path(output).read_bytes() for output in outputs] == first


@pytest.mark.parametrize("missing", ["data/scores/2c.json", "plots/curves/1d.csv"])
def test_a_missing_input_is_one_line_and_leaves_no_output(project, missing):
    Path(missing).unlink()
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert result.output == f"Error: {missing}: no such file; run `dvc repro` to write it again\n"
    assert not list(Path("metrics").glob("summary*")) + list(Path("metrics").glob("error_table*"))
    assert not Path("plots/test_errors.csv").exists()


def test_scores_of_other_data_are_one_line_and_leave_no_output(project):
    Path("data/scores/2c.json").write_text(json.dumps(model_scores("2c", "ab" * 32)))
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: data/scores/2c.json: it is of data_sha256 {'ab' * 32}, not ")
    assert result.output.count("\n") == 1
    assert not Path("metrics/summary.json").exists()


@pytest.mark.parametrize(
    "changes", [{"data_sha256": "ab" * 32}, {"architecture": [{"type": "dense", "units": 64}]}, {"seeds": [1, 3]}]
)
def test_a_tuned_model_that_cannot_stand_beside_the_others_is_left_out(project, changes):
    """As `make tuned` leaves it if it ran before params.yaml changed."""
    data_sha256 = load_manifest(Path("data/prepared")).sha256
    Path("data/scores/2b_tuned.json").write_text(json.dumps(model_scores("2b_tuned", data_sha256) | changes))
    result = CliRunner().invoke(main, [], catch_exceptions=False)
    left_out = "2b_tuned: left out, being of other images, layers or seeds; train again (dvc repro)\n"
    assert (result.exit_code, result.output) == (0, left_out)
    assert list(json.loads(Path("metrics/summary.json").read_text())) == list(MODELS)
    assert evaluated_models(Path("data/scores")) == list(MODELS)
    Path("data/scores/2b_tuned.json").write_text(json.dumps(model_scores("2b_tuned", data_sha256)))
    assert evaluated_models(Path("data/scores")) == [*MODELS, "2b_tuned"]
