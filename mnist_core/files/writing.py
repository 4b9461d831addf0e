"""Writes files, whole or not at all."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_core.arrays import Array


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    path.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON that ends in a newline."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame with Unix line ends and no index."""
    frame.to_csv(path, index=False, lineterminator="\n")


def write_arrays(path: Path, arrays: dict[str, Array]) -> None:
    """Write an .npz file; equal arrays give equal bytes."""
    with path.open("wb") as file:  # a file object: np.savez would append ".npz" to another suffix
        np.savez(file, allow_pickle=False, **arrays)


@contextmanager
def output_directory(path: Path) -> Iterator[Path]:
    """Give an empty directory beside `path` that replaces `path` once the block has succeeded, and is removed if not.

    A failure, Ctrl-C included, leaves `path` as it was.
    """
    with _beside(path) as temporary:
        temporary.mkdir()  # a child: mkdtemp's own directory is closed to other users
        yield temporary
        if path.exists():
            path.rename(temporary.with_name(f"{path.name}.old"))  # removed at the end, with what is around it
        temporary.rename(path)


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Give a file name beside `path` that becomes `path` once the block has succeeded, and is removed if not."""
    with _beside(path) as temporary:  # the same name: writers such as Keras go by the suffix
        yield temporary
        temporary.replace(path)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside, not in /tmp: a rename is atomic only within one file system.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True) as parent:
        yield Path(parent) / path.name
