import json

import pytest

from mnist_core.candidates import Hyperparameters, read_hyperparameters, read_ranking
from mnist_core.errors import UserError

GOOD = {"learning_rate": 0.1, "epochs": 3, "validation_error": 1.5}


def test_both_files_are_read_back(tmp_path):
    (tmp_path / "model.json").write_text(json.dumps(GOOD))
    (tmp_path / "search.json").write_text(json.dumps({"model": "2a", "ranking": [GOOD, GOOD | {"epochs": 4}]}))
    best = Hyperparameters(learning_rate=0.1, epochs=3, validation_error=1.5)
    assert read_hyperparameters(tmp_path / "model.json") == best
    assert read_ranking(tmp_path / "search.json") == (best, best.model_copy(update={"epochs": 4}))


FAULTS = {
    "not JSON": ("{", "not valid JSON (Expecting property name"),
    "not text": (b"\xff", "not valid JSON ('utf-8' codec"),
    "not an object": ("[]", "Input should be a valid dictionary"),
    "a key missing": (json.dumps({"learning_rate": 0.1, "epochs": 3}), "validation_error: missing"),
    "no number": (json.dumps(GOOD | {"learning_rate": "fast"}), "learning_rate: Input should be a valid number"),
    "impossible": (json.dumps(GOOD | {"epochs": 0}), "epochs: Input should be greater than 0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damage_is_one_line_that_names_file_and_key(tmp_path, fault):
    content, message = FAULTS[fault]
    path = tmp_path / "hyperparameters.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as raised:
        read_hyperparameters(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert str(raised.value).endswith("; train the model first (dvc repro)")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": "2a"}, "ranking: missing"),
        ({"ranking": []}, "ranking: Tuple should have at least 1 item"),
        ({"ranking": [GOOD, {"epochs": 3}]}, "ranking.1.learning_rate: missing"),
    ],
)
def test_a_damaged_ranking_is_named(tmp_path, content, message):
    path = tmp_path / "2a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as raised:
        read_ranking(path)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert str(raised.value).endswith("; run the search first (dvc repro)")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"2a\.json: no such file; run the search first"):
        read_ranking(tmp_path / "2a.json")
