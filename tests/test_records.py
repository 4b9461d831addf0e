"""Small files of earlier stages: the right ones are read, the others refused in one line that names file and key."""

import json

import numpy as np
import pytest

from mnist_core.errors import UserError
from mnist_core.files.reading import read_record
from mnist_core.models import MODELS
from mnist_core.records import (
    GradientChecks,
    Twins,
    read_confusion,
    read_details,
    read_predictions,
    read_scores,
    read_summary,
    read_twins,
)
from tests.records import SCORES, model_scores, write_predictions
from tests.report.comparison_inputs import DETAILS

DATA, OTHER_DATA = "ab" * 32, "cd" * 32
NAMES = "1a, 1b, 1c, 1d, 2a, 2b, 2c, 2d"
REMEDY = "run `dvc repro` to write it again"
AFTER_ONE_STEP = {"1": 1e-7}
TWINS = {
    "logit_difference": AFTER_ONE_STEP,
    "logit_difference_float64": AFTER_ONE_STEP,
    "logit_difference_momentum_float64": AFTER_ONE_STEP,
    "logit_difference_one_rounding": AFTER_ONE_STEP,
    "same_start": True,
    "largest_error_gap": 0.1,
    "cross_loaded": {
        "predictions": 9,
        "disagreements": 0,
        "near_ties": 0,
        "unexplained": 0,
        "logit_difference": 0.0,
        "rounding": 1e-5,
    },
}


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


def scores_of_2d(path):
    return read_scores(path, "2d", DATA)


def test_scores_are_read(path):
    path.write_text(json.dumps(model_scores("2d", DATA)))
    scores = scores_of_2d(path)
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
        ({"test_error_std": 71.5}, "test_error_std: Input should be less than or equal to 71 (found 71.5)"),
        ({"brier_score": 2.5}, "brier_score: Input should be less than or equal to 2 (found 2.5)"),
        (
            {"negative_log_likelihood": 99.0},
            "negative_log_likelihood: Input should be less than or equal to 88 (found 99.0)",
        ),
        ({"batch_size": 10**12}, f"batch_size: Input should be less than or equal to 10000000 (found {10**12})"),
    ],
)
def test_impossible_scores_are_refused(path, change, fault):
    assert message(path, scores_of_2d, model_scores("2d", DATA) | change) == fault


@pytest.mark.parametrize("name", ["test_error", "model", "data_sha256"])
def test_a_missing_score_is_named(path, name):
    del (scores := model_scores("2d", DATA))[name]
    assert message(path, scores_of_2d, scores) == f"{name}: missing"


def test_scores_of_another_model_or_of_other_data_are_refused(path):
    assert message(path, scores_of_2d, model_scores("1a", DATA)) == "it is of model 1a, not 2d"
    assert message(path, scores_of_2d, model_scores("2d\n1a", DATA)) == "it is of model 2d 1a, not 2d"
    of_other_data = model_scores("2d", OTHER_DATA)
    assert message(path, scores_of_2d, of_other_data) == f"it is of data_sha256 {OTHER_DATA}, not {DATA}"


def test_a_file_of_another_kind_is_refused(path):
    assert message(path, scores_of_2d, "[]").startswith("Input should be a valid dictionary")
    assert message(path, scores_of_2d, "{").startswith("not valid JSON")


def test_the_summary_holds_the_eight_models(path):
    summary = dict.fromkeys(MODELS, SCORES)
    path.write_text(json.dumps(summary))
    assert list(read_summary(path)) == list(MODELS)
    assert message(path, read_summary, summary | {"3a": SCORES}) == f"holds {NAMES}, 3a instead of {NAMES}"
    assert message(path, read_summary, {}) == f"holds no model instead of {NAMES}"


def test_the_details_hold_the_eight_models(path):
    details = json.loads(DETAILS.model_dump_json())
    path.write_text(json.dumps(details))
    assert read_details(path) == DETAILS
    details["models"]["3a"] = details["models"].pop("2d")
    assert message(path, read_details, details) == f"holds {NAMES.replace('2d', '3a')} instead of {NAMES}"
    del details["models"]["3a"]
    assert message(path, read_details, details) == f"holds {NAMES.removesuffix(', 2d')} instead of {NAMES}"


def changed(content, place, value):
    """A copy in which the value at a place is another."""
    copy = json.loads(json.dumps(content))
    part = copy
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return copy


OF_1A, BIN = ("models", "1a"), ("models", "1a", "reliability", 1)
NO_BIN = "models.1a.reliability.1: confidence and accuracy are those of a count above 0"


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        ((*OF_1A, "first_half_error"), 250.0, "models.1a.first_half_error: Input should be less than or equal to 100"),
        ((*OF_1A, "second_half_error"), -1.0, "models.1a.second_half_error: Input should be greater than or equal"),
        ((*OF_1A, "error_without_disputed"), 101.0, "models.1a.error_without_disputed: Input should be less than"),
        ((*OF_1A, "validation_error"), -1.0, "models.1a.validation_error: Input should be greater than or equal to 0"),
        ((*OF_1A, "final_validation_error"), 1e9, "models.1a.final_validation_error: Input should be less than"),
        ((*OF_1A, "optimism"), -150.0, "models.1a.optimism: Input should be greater than or equal to -100"),
        ((*OF_1A, "optimism"), 0.5, "models.1a: optimism is not final_validation_error minus validation_error"),
        ((*OF_1A, "precision"), [98.0] * 9, "models.1a.precision: Tuple should have at least 10 items"),
        ((*OF_1A, "recall"), [98.0] * 11, "models.1a.recall: Tuple should have at most 10 items"),
        ((*OF_1A, "recall", 3), 980.0, "models.1a.recall.3: Input should be less than or equal to 100"),
        ((*OF_1A, "precision", 3), -9.8, "models.1a.precision.3: Input should be greater than or equal to 0"),
        ((*OF_1A, "reliability"), [], "models.1a.reliability: Tuple should have at least 1 item"),
        ((*BIN, "low"), 0.4, "models.1a: the bins of reliability are not side by side from 0 to 1"),
        ((*BIN, "high"), 1.5, "models.1a.reliability.1.high: Input should be less than or equal to 1"),
        ((*BIN, "count"), -19, "models.1a.reliability.1.count: Input should be greater than or equal to 0"),
        ((*BIN, "count"), 0, NO_BIN),
        ((*BIN, "accuracy"), None, NO_BIN),
        ((*BIN, "accuracy"), 4.0, "models.1a.reliability.1.accuracy: Input should be less than or equal to 1"),
        ((*BIN, "confidence"), -0.6, "models.1a.reliability.1.confidence: Input should be greater than or equal to 0"),
        ((*BIN, "confidence"), 0.9, "models.1a.reliability.1: confidence is not between low and high"),
        (("disputed_images",), [10_000], "disputed_images are not within num_images"),
        (("disputed_images",), [-1], "disputed_images.0: Input should be greater than or equal to 0"),
        (("seeds",), [1, 1], "seeds do not differ from each other"),
        (("seeds",), [-1], "seeds.0: Input should be greater than or equal to 0"),
        (("rule", "confidence"), 95.0, "rule.confidence: Input should be less than 1"),
        (("rule", "num_resamples"), 0, "rule.num_resamples: Input should be greater than 0"),
        (("rule", "smallest_difference"), -0.2, "rule.smallest_difference: Input should be greater than or equal to 0"),
    ],
)
def test_impossible_details_are_refused(path, place, value, fault):
    details = json.loads(DETAILS.model_dump_json())
    assert message(path, read_details, changed(details, place, value)).startswith(fault)


def read_checks(path):
    return read_record(path, GradientChecks)


CHECKS = {
    "layers": {},
    "networks": {letter: {"input": {"naive": 2e-9}} for letter in "abcd"},
    "largest": 2e-9,
    "tolerance": 1.96e-9,  # rounded as the errors are, it is as large
}


@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        (("largest",), 1e-16, "largest is 1e-16, and the largest error 2e-09"),
        (("tolerance",), 1e-9, "largest is 2e-09, above the tolerance 1e-09"),
        (("networks",), {"a": {"input": {"naive": 2e-9}}}, "networks are not a, b, c, d"),
        (("networks", "a"), {}, "networks.a: Dictionary should have at least 1 item"),
        (("networks", "a", "input"), {}, "networks.a.input: Dictionary should have at least 1 item"),
    ],
)
def test_gradient_checks_that_do_not_add_up_are_refused(path, place, value, fault):
    path.write_text(json.dumps(CHECKS))
    assert read_checks(path).largest == 2e-9
    assert message(path, read_checks, changed(CHECKS, place, value)).startswith(fault)


NOT_ADDED = "a.cross_loaded: predictions, disagreements, near_ties and unexplained do not add up"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"same_start": False}, "a.same_start: Input should be True (found False)"),
        ({"largest_error_gap": 101.0}, "a.largest_error_gap: Input should be less than or equal to 100"),
        ({"cross_loaded": {"unexplained": 1}}, NOT_ADDED),
        ({"cross_loaded": {"disagreements": 1}}, NOT_ADDED),
        ({"cross_loaded": {"near_ties": 10}}, NOT_ADDED),
        ({"cross_loaded": {"disagreements": 10, "unexplained": 10}}, NOT_ADDED),
    ],
)
def test_impossible_twins_are_refused(path, change, fault):
    crossed = TWINS["cross_loaded"] | change.get("cross_loaded", {})
    twins = dict.fromkeys("abcd", TWINS) | {"a": TWINS | change | {"cross_loaded": crossed}}
    assert message(path, read_twins, twins).startswith(fault)


def test_parity_holds_the_four_letters(path):
    path.write_text(json.dumps(dict.fromkeys("abcd", TWINS)))
    assert list(read_twins(path)) == list("abcd")
    assert message(path, read_twins, dict.fromkeys("abd", TWINS)) == "holds a, b, d instead of a, b, c, d"
    assert message(path, read_twins, dict.fromkeys("abcde", TWINS)) == "holds a, b, c, d, e instead of a, b, c, d"


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
    twins = TWINS | {"largest_error_gap": -1.0}
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
    [
        *[("\n4,9,49", ""), ("4,9,49", "4,10,49"), ("4,9,49", "4,8,49"), ("4,9,49", "4,9,-1"), (",49", ",.5")],
        *[("4,9,49", f"4,9,{10**30 - 1}"), ("4,9,49", "4,9,1e300")],
    ],
)
def test_confusion_counts_are_whole_and_one_for_each_pair(path, replaced, by):
    assert (
        message(path, read_confusion, confusion_text(replaced, by)) == "not one count for each pair of the 10 classes"
    )


TENTHS = np.full((2, 30, 10), 0.1, np.float32)
ODD = [
    *(-TENTHS, TENTHS * np.float32(1e30), TENTHS * np.float32(0.99), np.full_like(TENTHS, np.nan)),
    np.where(np.arange(10) < 1, -0.5, TENTHS * np.float32(5 / 3)).astype(np.float32),  # a sum of 1
    *(TENTHS.astype(kind) for kind in ("U3", "S3", "bool", "int64", "float64")),
]
ODD_SEEDS = [np.array(seeds) for seeds in (["x", "y"], [np.nan, 1.0], [77, 77], [-1, 1], [1.0, 2.0], [False, True])]


class TestReadPredictions:
    def write(self, path, **changes):
        right = {"model": "1a", "data_sha256": DATA, "probabilities": np.full((2, 30, 10), 0.1, np.float32)}
        write_predictions(path, **right | {"seeds": [1, 2]} | changes)
        return path

    def test_seeds_and_probabilities(self, tmp_path):
        seeds, probabilities = read_predictions(self.write(tmp_path / "1a.npz"), "1a", DATA, num_images=30)
        assert seeds == (1, 2)
        assert probabilities.shape == (2, 30, 10)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"seeds": None}, "no array seeds; run"),
            ({"probabilities": None}, "no array probabilities; run"),
            ({"model": None}, "no array model; run"),
            ({"data_sha256": None}, "no array data_sha256; run"),
            ({"seeds": np.array([1, 2, 3])}, r"have the shape \(2, 30, 10\), not \(3, 30, 10\); run"),
            ({"probabilities": np.ones((30, 10), np.float32)}, r"have the shape \(30, 10\), not \(2, 30, 10\); run"),
            ({"probabilities": np.ones((2, 29, 10), np.float32)}, r"\(2, 29, 10\), not \(2, 30, 10\); run"),
            ({"probabilities": np.ones((0, 30, 10)), "seeds": np.zeros(0)}, r"\(0, 30, 10\), not"),
            ({"model": "2d"}, r"1a\.npz: it is of model 2d, not 1a; run `dvc repro`"),
            ({"model": "1a_tuned"}, "it is of model 1a_tuned, not 1a; run"),
            ({"model": np.array(7)}, r"it is of model \\x07.*, not 1a; run"),
            ({"model": np.frombuffer(b"\xff" * 8, "<U2").reshape(())}, "not predictions of a model .*; run"),
            ({"data_sha256": OTHER_DATA}, f"it is of data_sha256 {OTHER_DATA}, not {DATA}; run"),
            *[
                ({"probabilities": odd}, r"1a\.npz: its probabilities are not float32 from 0 to 1 .*; run")
                for odd in ODD
            ],
            *[({"seeds": odd}, r"1a\.npz: its seeds are not int64 from 0 on, all different; run") for odd in ODD_SEEDS],
        ],
    )
    def test_a_file_of_something_else_is_one_line(self, tmp_path, changes, message):
        path = self.write(tmp_path / "1a.npz", **changes)
        with pytest.raises(UserError, match=message) as refused:
            read_predictions(path, "1a", DATA, num_images=30)
        assert str(refused.value).isprintable()
