import json

import pytest

from mnist_core.candidates import Candidate, rank, read_candidates, read_choice
from mnist_core.errors import UserError

GOOD = {"model": "2a", "learning_rate": 0.1, "epochs": 3, "validation_error": 1.5}


def test_both_files_are_read_back(tmp_path):
    (tmp_path / "model.json").write_text(json.dumps(GOOD))
    (tmp_path / "search.json").write_text(json.dumps({"model": "2a", "candidates": [GOOD, GOOD | {"epochs": 4}]}))
    best = Candidate(learning_rate=0.1, epochs=3, validation_error=1.5)
    assert read_choice(tmp_path / "model.json", "2a") == best
    assert read_candidates(tmp_path / "search.json", "2a") == (best, best.model_copy(update={"epochs": 4}))


FAULTS = {
    "not JSON": ("{", "not valid JSON (Expecting property name"),
    "not text": (b"\xff", "not valid JSON ('utf-8' codec"),
    "not an object": ("[]", "Input should be a valid dictionary"),
    "a key missing": (json.dumps({"model": "2a", "learning_rate": 0.1, "epochs": 3}), "validation_error: missing"),
    "no number": (json.dumps(GOOD | {"learning_rate": "fast"}), "learning_rate: Input should be a valid number"),
    "impossible": (json.dumps(GOOD | {"epochs": 0}), "epochs: Input should be greater than 0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damage_is_one_line_that_names_file_and_key(tmp_path, fault):
    content, message = FAULTS[fault]
    path = tmp_path / "hyperparameters.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as raised:
        read_choice(path, "2a")
    assert str(raised.value).startswith(f"{path}: {message}")
    assert str(raised.value).endswith("; train the model first (dvc repro)")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": "2a"}, "candidates: missing"),
        ({"model": "2a", "candidates": []}, "candidates: Tuple should have at least 1 item"),
        ({"model": "2a", "candidates": [GOOD, {"epochs": 3}]}, "candidates.1.learning_rate: missing"),
    ],
)
def test_damaged_candidates_is_named(tmp_path, content, message):
    path = tmp_path / "2a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as raised:
        read_candidates(path, "2a")
    assert str(raised.value).startswith(f"{path}: {message}")
    assert str(raised.value).endswith("; run the search first (dvc repro)")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"2a\.json: no such file; run the search first"):
        read_candidates(tmp_path / "2a.json", "2a")


def test_candidates_are_ranked_by_error_then_fewer_epochs_then_the_larger_rate():
    rows = [(0.1, 1, 3.0), (0.1, 2, 2.0), (0.01, 1, 2.5), (0.01, 2, 2.0), (1.0, 2, 2.0), (0.01, 3, 2.0)]
    found = [Candidate(learning_rate=rate, epochs=epochs, validation_error=error) for rate, epochs, error in rows]
    assert [(candidate.learning_rate, candidate.epochs) for candidate in rank(found)] == [
        (1.0, 2),
        (0.1, 2),
        (0.01, 2),
        (0.01, 3),
        (0.01, 1),
        (0.1, 1),
    ]


def test_the_files_of_another_model_are_refused(tmp_path):
    """Copied from 2b to 2a they would choose what 2b found."""
    path = tmp_path / "2a.json"
    path.write_text(json.dumps(GOOD | {"model": "2b", "candidates": [GOOD]}))
    for read in (read_choice, read_candidates):
        with pytest.raises(UserError, match=r"2a\.json: it is about model 2b, not 2a; "):
            read(path, "2a")
