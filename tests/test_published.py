"""What is known of published models: the right record is read, others are refused in one line."""

import json

import pytest

from mnist_core.errors import UserError
from mnist_core.published import RECORD, read_published

KNOWN = {"sha256": "ab" * 32, "test_error": 1.25, "seed": 1, "learning_rate": 0.1, "epochs": 3}


def test_the_record_is_read(tmp_path):
    (tmp_path / RECORD).write_text(json.dumps({"2d": KNOWN}))
    assert read_published(tmp_path)["2d"].model_dump(exclude_defaults=True) == KNOWN


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"learning_rate": float("inf")}, "2d.learning_rate: Input should be a finite number (found inf)"),
        ({"test_error": float("nan")}, "2d.test_error: Input should be a finite number (found nan)"),
        ({"epochs": "3"}, "2d.epochs: Input should be a valid integer (found '3')"),
        ({"momentum": 0.9}, "2d.momentum: unknown key"),
    ],
)
def test_an_impossible_record_is_one_line(tmp_path, change, fault):
    (tmp_path / RECORD).write_text(json.dumps({"2d": KNOWN | change}))
    with pytest.raises(UserError) as refused:
        read_published(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / RECORD}: {fault}; restore it with git checkout")
