"""The committed results of the paper profile keep what the project promises."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.document import replace_section, section
from mnist_core.draw.page import build_page
from mnist_core.export.onnx_file import onnx_bytes
from mnist_core.models import ALL_MODELS, MODELS, tuned
from mnist_core.networks.model_file import load_model
from mnist_core.published import read_published, sha256

ROOT = Path(__file__).parents[2]
LARGEST_TEST_ERROR = {"a": 7.8, "b": 2.3, "c": 2.2, "d": 1.25}  # percent, mean over the seeds
LARGEST_GAP_BETWEEN_TWINS = 0.35  # percentage points
LARGEST_TUNED_TEST_ERROR = {"a": 7.5, "b": 1.30, "c": 0.90, "d": 0.70}
LARGEST_GAP_BETWEEN_TUNED_TWINS = 0.15


@pytest.fixture
def summary(committed):
    return json.loads(committed("metrics/summary.json"))


@pytest.mark.parametrize("letter", "abcd")
def test_test_errors_stay_below_their_limits(summary, letter):
    for model in (f"1{letter}", f"2{letter}"):
        assert summary[model]["test_error"] <= LARGEST_TEST_ERROR[letter]


@pytest.mark.parametrize("letter", "abcd")
def test_twins_agree(summary, letter):
    gap = abs(summary[f"1{letter}"]["test_error"] - summary[f"2{letter}"]["test_error"])
    assert gap <= LARGEST_GAP_BETWEEN_TWINS


def test_the_summary_has_the_eight_models(summary):
    assert set(MODELS) <= set(summary) <= set(ALL_MODELS)


def tuned_errors(summary, letter):
    return [summary[f"{number}{letter}_tuned"]["test_error"] for number in "12"]


@pytest.mark.parametrize("model", MODELS)
def test_the_tuned_protocol_keeps_what_it_promises(summary, model):
    assert summary[tuned(model)]["test_error"] <= LARGEST_TUNED_TEST_ERROR[model[1]]


@pytest.mark.parametrize("letter", "abcd")
def test_tuned_twins_agree(summary, letter):
    errors = tuned_errors(summary, letter)
    assert max(errors) - min(errors) <= LARGEST_GAP_BETWEEN_TUNED_TWINS


def test_the_report_page_is_under_three_megabytes(committed):
    assert len(committed("plots/report.html").encode()) < 3e6


def test_the_page_of_the_benchmark_shows_the_committed_results(committed):
    page = committed("docs/benchmarks.md")
    names = subprocess.run(
        ["git", "ls-tree", "--name-only", "HEAD:benchmarks/results"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    results = [json.loads(committed(f"benchmarks/results/{name}")) for name in sorted(names)]
    assert replace_section(page, section(results)) == page


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A directory with the committed data/published."""
    directory = tmp_path_factory.mktemp("published")
    command = ["git", f"--work-tree={directory}", "restore", "--source=HEAD", "--worktree", "data/published"]
    subprocess.run(command, cwd=ROOT, check=True)
    return directory / "data/published"


def test_every_published_file_is_of_the_model_on_record(published):
    record = read_published(published)
    assert set(MODELS) <= set(record) <= set(ALL_MODELS)
    names = {f"{model}.{suffix}" for model in record for suffix in ("npz", "onnx")}
    assert {path.name for path in published.iterdir()} == names | {"published.json"}
    for model, known in record.items():
        path = published / f"{model}.npz"
        assert sha256(path) == known.sha256
        network = load_model(path, {"model": model, "seed": known.seed})
        assert path.with_suffix(".onnx").read_bytes() == onnx_bytes(*network)


def test_the_page_to_draw_on_has_the_published_models(committed, published):
    assert committed("plots/draw.html") == build_page(published)
