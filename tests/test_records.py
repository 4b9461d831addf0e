"""Small files of earlier stages: the right ones are read, the others refused in one line that names file and key."""

import json

import pytest

from mnist_core.errors import UserError
from mnist_core.files.reading import read_record
from mnist_core.models import MODELS
from mnist_core.records import (
    GradientChecks,
    Twins,
    read_confusion,
    read_scores,
    read_summary,
)
from tests.records import SCORES

REMEDY = "run `dvc repro` to write it again"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.json"


def message(path, read, content):
    """What the reader says of a file with this content."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert str(refused.value).endswith(f"; {REMEDY}")
    return str(refused.value).removeprefix(f"{path}: ").removesuffix(f"; {REMEDY}")


def test_scores_are_read(path):
    path.write_text(json.dumps(SCORES))
    scores = read_scores(path)
    assert (scores.learning_rate, scores.epochs, scores.test_error, scores.test_error_std) == (0.1, 3, 2.0, 0.2)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"test_error": float("nan")}, "test_error: Input should be a finite number (found nan)"),
        ({"train_error_std": float("inf")}, "train_error_std: Input should be a finite number (found inf)"),
        ({"test_error": 100.1}, "test_error: Input should be less than or equal to 100 (found 100.1)"),
        ({"test_error": -0.1}, "test_error: Input should be greater than or equal to 0 (found -0.1)"),
        ({"test_error": "2.0"}, "test_error: Input should be a valid number (found '2.0')"),
        ({"epochs": 0}, "epochs: Input should be greater than 0 (found 0)"),
        ({"epochs": 2.0}, "epochs: Input should be a valid integer (found 2.0)"),
        ({"tset_error": 2.0}, "tset_error: unknown key"),
    ],
)
def test_impossible_scores_are_refused(path, change, fault):
    assert message(path, read_scores, SCORES | change) == fault


def test_a_missing_score_is_named(path):
    del (scores := dict(SCORES))["test_error"]
    assert message(path, read_scores, scores) == "test_error: missing"


def test_a_file_of_another_kind_is_refused(path):
    assert message(path, read_scores, "[]").startswith("Input should be a valid dictionary")
    assert message(path, read_scores, "{").startswith("not valid JSON")


def test_the_summary_holds_the_eight_models(path):
    summary = dict.fromkeys(MODELS, SCORES)
    path.write_text(json.dumps(summary))
    assert list(read_summary(path)) == list(MODELS)
    names = "1a, 1b, 1c, 1d, 2a, 2b, 2c, 2d"
    assert message(path, read_summary, summary | {"3a": SCORES}) == f"holds {names}, 3a instead of {names}"
    assert message(path, read_summary, {}) == f"holds no model instead of {names}"


def test_gradient_checks_and_twins_hold_finite_numbers_only(path):
    checks = {
        "layers": {"dense": {"kernel": {"naive": float("nan")}}},
        "networks": {},
        "largest": 0.0,
        "tolerance": 1e-6,
    }
    assert (
        message(path, lambda path: read_record(path, GradientChecks), checks)
        == "layers.dense.kernel.naive: Input should be a finite number (found nan)"
    )
    cross = {"predictions": 9, "disagreements": 0, "near_ties": 0, "unexplained": 0, "logit_difference": 0.0}
    after_one_step = {"1": 1e-7}
    differences = {
        "logit_difference": after_one_step,
        "logit_difference_float64": after_one_step,
        "logit_difference_momentum_float64": after_one_step,
        "logit_difference_one_rounding": after_one_step,
    }
    differences["same_start"] = True
    twins = differences | {"largest_error_gap": -1.0, "cross_loaded": cross | {"rounding": 1e-5}}
    assert message(path, lambda path: read_record(path, Twins), twins).startswith("largest_error_gap: Input should be")


def confusion_text(replaced="", by=""):
    rows = [f"{actual},{predicted},{10 * actual + predicted}" for actual in range(10) for predicted in range(10)]
    return "\n".join(["actual,predicted,count", *rows, ""]).replace(replaced, by)


def test_the_confusion_matrix_has_actual_classes_in_rows(path):
    path.write_text(confusion_text())
    matrix = read_confusion(path)
    assert matrix.shape == (10, 10)
    assert matrix[4, 9] == 49
    assert matrix[9, 4] == 94


@pytest.mark.parametrize(
    ("replaced", "by"),
    [("\n4,9,49", ""), ("4,9,49", "4,10,49"), ("4,9,49", "4,8,49"), ("4,9,49", "4,9,-1"), (",49", ",.5")],
)
def test_confusion_counts_are_whole_and_one_for_each_pair(path, replaced, by):
    assert (
        message(path, read_confusion, confusion_text(replaced, by)) == "not one count for each pair of the 10 classes"
    )
