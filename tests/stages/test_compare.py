import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from mnist_core.data.dataset import load_manifest, load_split
from mnist_core.models import MODELS, tuned
from mnist_core.records import read_details
from stages.compare import main
from tests.records import model_scores, write_predictions

ROOT = Path(__file__).parents[2]
OUTPUTS = ("metrics/intervals.csv", "metrics/comparisons.csv", "metrics/details.json")
NUM_WRONG = {"a": 30, "b": 3, "c": 2, "d": 1}  # of the 40 test images, with each seed


@pytest.fixture
def project(tmp_path, monkeypatch, prepared):
    """What `compare` reads: prepared images, and predictions and scores of all eight models."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(prepared, "data/prepared")
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    for directory in ("data/predictions", "data/scores"):
        Path(directory).mkdir()
    labels = load_split(prepared, "test").labels
    for model, (_, letter) in MODELS.items():
        predicted = np.tile(labels, (2, 1))
        predicted[:, : NUM_WRONG[letter]] = (predicted[:, : NUM_WRONG[letter]] + 1) % 10
        write(model, np.eye(10, dtype=np.float32)[predicted])
    return tmp_path


def write(model, probabilities, seeds=(1, 2), data_sha256=None):
    """What stage evaluate writes of a model, by default of the prepared data."""
    data_sha256 = data_sha256 or load_manifest(Path("data/prepared")).sha256
    labels = load_split(Path("data/prepared"), "test").labels
    test_error = 100 * float(np.mean(probabilities.argmax(axis=-1) != labels))
    write_predictions(Path(f"data/predictions/{model}.npz"), model, data_sha256, probabilities, seeds)
    Path(f"data/scores/{model}.json").write_text(json.dumps(model_scores(model, data_sha256, test_error=test_error)))


def test_writes_intervals_pairs_and_details(project):
    assert CliRunner().invoke(main, [], catch_exceptions=False).exit_code == 0
    intervals = pd.read_csv("metrics/intervals.csv")
    assert intervals.model.tolist() == list(MODELS)
    assert intervals.test_error.tolist() == [75, 7.5, 5, 2.5] * 2
    pairs = pd.read_csv("metrics/comparisons.csv").set_index(["model", "other"])
    assert len(pairs) == 28
    assert pairs.index.is_monotonic_increasing
    assert pairs.loc[("1a", "1b"), ["difference", "verdict"]].tolist() == [67.5, "different"]
    assert pairs.loc[("1b", "2b"), ["difference", "verdict"]].tolist() == [0, "alike"]
    assert pairs.loc[("1b", "1c"), ["difference", "verdict"]].tolist() == [2.5, "undecided"]
    details = read_details(Path("metrics/details.json"))
    assert (details.seeds, details.num_images, details.disputed_images) == ((1, 2), 40, ())
    assert details.models["2d"].first_half_error == 5
    assert details.models["2d"].optimism == 0.25
    assert list(details.models) == list(MODELS)


def test_tuned_models_are_compared_with_the_reports_and_twins_with_each_other(project):
    for letter in "bd":
        for number in "12":
            with np.load(f"data/predictions/{number}{letter}.npz") as predictions:
                write(tuned(f"{number}{letter}"), predictions["probabilities"])
    assert CliRunner().invoke(main, [], catch_exceptions=False).exit_code == 0
    pairs = pd.read_csv("metrics/tuned_comparisons.csv")
    assert sorted(zip(pairs.model, pairs.other, strict=True)) == [
        ("1b_tuned", "1b"),
        ("1b_tuned", "2b_tuned"),
        ("1d_tuned", "1d"),
        ("1d_tuned", "2d_tuned"),
        ("2b_tuned", "2b"),
        ("2d_tuned", "2d"),
    ]


def test_same_input_gives_the_same_bytes(project):
    contents = []
    for _ in range(2):
        CliRunner().invoke(main, [], catch_exceptions=False)
        contents.append([Path(output).read_bytes() for output in OUTPUTS])
    assert contents[0] == contents[1]


def remove_a_score():
    path = Path("data/scores/1c.json")
    del (scores := json.loads(path.read_text()))["final_validation_error"]
    path.write_text(json.dumps(scores))
    return "data/scores/1c.json: final_validation_error: missing; run"


def remove_predictions():
    Path("data/predictions/2d.npz").unlink()
    return "data/predictions/2d.npz: no such file; run"


def take_other_seeds():
    write("2a", np.full((2, 40, 10), 0.1, np.float32), [1, 3])
    return "data/predictions/2a.npz: its seeds (1, 3) are not those of the other models, (1, 2); run"


def take_predictions_of_another_model():
    shutil.copy("data/predictions/1a.npz", "data/predictions/2d.npz")
    return "data/predictions/2d.npz: it is of model 1a, not 2d; run"


def take_scores_of_another_model():
    shutil.copy("data/scores/1a.json", "data/scores/2d.json")
    return "data/scores/2d.json: it is of model 1a, not 2d; run"


def permute_classes():
    path = Path("data/predictions/2b.npz")
    with np.load(path) as predictions:
        arrays = dict(predictions)
    np.savez(path, **arrays | {"probabilities": np.roll(arrays["probabilities"], 1, axis=-1)})
    return "data/predictions/2b.npz: its test_error is 100, and data/scores/2b.json has 7.5; run"


def take_predictions_of_another_model_under_this_ones_name():
    with np.load("data/predictions/2a.npz") as predictions:
        np.savez("data/predictions/2d.npz", **dict(predictions) | {"model": np.array(b"2d")})
    return "data/predictions/2d.npz: its test_error is 75, and data/scores/2d.json has 2.5; run"


def take_predictions_of_other_data():
    write("1b", np.full((2, 40, 10), 0.1, np.float32), data_sha256="ab" * 32)
    return f"data/predictions/1b.npz: it is of data_sha256 {'ab' * 32}, not "


@pytest.mark.parametrize(
    "spoil",
    [
        remove_a_score,
        remove_predictions,
        take_other_seeds,
        take_predictions_of_another_model,
        take_scores_of_another_model,
        take_predictions_of_other_data,
        permute_classes,
        take_predictions_of_another_model_under_this_ones_name,
    ],
)
def test_a_faulty_input_is_one_line_and_leaves_no_output(project, spoil):
    message = spoil()
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {message}")
    assert result.output.count("\n") == 1
    assert not any(Path(output).exists() for output in OUTPUTS)


def test_a_tuned_model_of_other_images_is_left_out(project):
    """As `make tuned` leaves it if it ran before the data changed."""
    write("1b_tuned", np.full((2, 40, 10), 0.1, np.float32), data_sha256="ab" * 32)
    assert CliRunner().invoke(main, [], catch_exceptions=False).exit_code == 0
    assert list(read_details(Path("metrics/details.json")).models) == list(MODELS)
    write("1b_tuned", np.full((2, 40, 10), 0.1, np.float32))
    assert CliRunner().invoke(main, [], catch_exceptions=False).exit_code == 0
    assert list(read_details(Path("metrics/details.json")).models) == [*MODELS, "1b_tuned"]
