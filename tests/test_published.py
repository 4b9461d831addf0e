"""What is known of published models: the right record is read, others are refused in one line."""

import errno
import json
import os
from pathlib import Path

import pytest

from mnist_core.errors import UserError
from mnist_core.published import (
    PUBLISHED,
    RECORD,
    TRAINED,
    find_model,
    is_there,
    learned_with,
    read_published,
    seeds_of,
)

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


@pytest.mark.parametrize(
    "ask", [find_model, is_there, learned_with, lambda model, *, root: seeds_of(model, [1], root=root)]
)
def test_a_place_that_this_user_may_not_look_into_is_one_line(tmp_path, monkeypatch, ask):
    (tmp_path / TRAINED / "2d").mkdir(parents=True)

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        UserError, match=r"data/models/2d: cannot be read \(Permission denied\); let this user look there"
    ):
        ask("2d", root=tmp_path)


def test_a_published_file_that_this_user_may_not_see_is_one_line(tmp_path, monkeypatch):
    looked_at = Path.is_file

    def refuse(path):
        if path.parent == tmp_path / PUBLISHED:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return looked_at(path)

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(UserError, match=r"2d\.npz: cannot be read \(Permission denied\)"):
        find_model("2d", root=tmp_path)
