"""The only room that opens files: outputs appear whole or not at all, and what cannot be read becomes one line.

Readers know formats, not meanings: what a file must hold is said by whoever asks for it.
"""

import ctypes
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mnist_core.arrays import Array
from mnist_core.errors import UserError

Content = TypeVar("Content")

REMEDY = "run `dvc repro` to write it again"
"""What to do about a file of an earlier stage that is missing or broken."""


class Section(BaseModel):
    """A part of params.yaml: an unknown key is an error, and no value changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@contextmanager
def reading(path: Path, expected: str, remedy: str = REMEDY) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into one line.

    Args:
        path: the file.
        expected: what it should be, such as "valid JSON".
        remedy: what the user can do.

    Raises:
        UserError: the block raised one of the errors that readers raise for a missing or a broken file.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {remedy}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from error
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, YAMLError) as error:
        raise UserError(f"{path}: not {expected} ({' '.join(str(error).split())}); {remedy}") from error


def read_text(path: Path, remedy: str = REMEDY) -> str:
    """Read a UTF-8 text file; UserError if it is missing or unreadable."""
    with reading(path, "text in UTF-8", remedy):
        return path.read_text(encoding="utf-8")


def read_json(path: Path, keys: Iterable[str] = ()) -> Any:
    """Read a JSON file that an earlier stage wrote; with `keys`, an object that has them all.

    Raises:
        UserError: it is missing, is not JSON or lacks a key.
    """
    with reading(path, "valid JSON"):
        content = json.loads(path.read_text(encoding="utf-8"))
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            raise UserError(f"{path}: no key {key}; {REMEDY}")
    return content


def read_record(path: Path, kind: type[Content], remedy: str = REMEDY) -> Content:
    """Read a JSON file as a value of a type that pydantic can validate.

    Raises:
        UserError: it is missing, is not JSON or does not fit the type; the first misfit is named by its key.
    """
    with reading(path, "valid JSON", remedy):
        content = json.loads(path.read_text(encoding="utf-8"))
    return validate(content, kind, path=path, remedy=remedy)


def read_yaml(path: Path, remedy: str = "run from the project's root") -> Any:
    """Read a YAML 1.2 file, as DVC does, so that 1e-3 is a number.

    Raises:
        UserError: it is missing or is not YAML.
    """
    with reading(path, "valid YAML", remedy):
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def validate(content: Any, kind: type[Content], *, path: Path, section: str = "", remedy: str = "") -> Content:
    """Return what was read as a value of a type that pydantic can validate.

    Args:
        content: what the file holds, or a section of it.
        kind: the type.
        path: the file, for the message.
        section: key of the section, for the message.
        remedy: what the user can do, where it is more than to correct the key.

    Raises:
        UserError: a key is unknown, missing or has an impossible value; it is named.
    """
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        # A misspelt key is reported as unknown and as missing: the unknown one shows the spelling.
        faults = sorted(error.errors(), key=lambda fault: fault["type"] not in _UNKNOWN_KEY)
        fault, advice = _describe(content, faults[0], section)
        raise UserError(f"{path}: {fault}; {remedy or advice}".removesuffix("; ")) from error


_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")


def _describe(content: Any, fault: Any, section: str) -> tuple[str, str]:
    """Return what is wrong with which key, and what to do about it in a file that the user wrote."""
    key = ".".join(filter(None, [section, *_keys(content, fault)]))
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] in _UNKNOWN_KEY:
        return f"{key}: unknown key", "remove it or correct its spelling"
    if fault["type"] == "missing":
        return f"{key}: missing", "add it"
    value = "" if isinstance(fault["input"], dict | list) else f" (found {fault['input']!r})"
    return (f"{key}: {message}{value}" if key else message), ""


def _keys(content: Any, fault: Any) -> list[str]:
    """Return the keys that lead to a fault: pydantic's location also has the tags of unions, which are no keys."""
    keys = []
    for part in fault["loc"]:
        is_key = part in content if isinstance(content, dict) else isinstance(content, list) and isinstance(part, int)
        if is_key:
            content = content[part]
            keys.append(str(part))
    return [*keys, str(fault["loc"][-1])] if fault["type"] == "missing" else keys


def read_csv(path: Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read a CSV file that an earlier stage wrote, with these columns and at least one row.

    Raises:
        UserError: it is missing, is not CSV, lacks a column or has no rows.
    """
    with reading(path, "valid CSV"):  # pandas' parser and empty-file errors are ValueErrors
        frame = pd.read_csv(path)
    for column in columns:
        if column not in frame.columns:
            raise UserError(f"{path}: no column {column}; {REMEDY}")
    if frame.empty:
        raise UserError(f"{path}: no rows; {REMEDY}")
    return frame


def read_array(path: Path, remedy: str = REMEDY) -> Array:
    """Read a .npy file without unpickling anything; UserError if it is missing or something else."""
    with reading(path, "a .npy file", remedy), path.open("rb") as file:
        array: Any = np.load(file, allow_pickle=False)  # np.load leaves a broken file open that it opened itself
        if not isinstance(array, np.ndarray):
            raise ValueError("an archive")
        return array


def read_arrays(path: Path, remedy: str = REMEDY) -> dict[str, Array]:
    """Read all arrays of an .npz file without unpickling anything; UserError if it is missing or something else."""
    with (
        reading(path, "an .npz file of arrays", remedy),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return {name: arrays[name] for name in arrays.files}


def read_bytes(path: Path, remedy: str = REMEDY) -> bytes:
    """Read a file as it is; UserError if it is missing or unreadable."""
    with reading(path, "a file", remedy):
        return path.read_bytes()


def content_hash(directory: Path) -> str:
    """Return the SHA-256 of the names and contents of a directory's files; a missing directory is like an empty one."""
    digest = hashlib.sha256()
    for path in sorted(directory.glob("*")):
        content = read_bytes(path)
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file as it is."""
    path.write_bytes(content)


def remove_directory(path: Path) -> None:
    """Remove a directory with all in it, if it is there."""
    shutil.rmtree(path, ignore_errors=True)


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

    A failure, Ctrl-C included, leaves `path` as it was. Where the system can exchange two names, `path` never misses.
    """
    with _beside(path) as temporary:
        temporary.mkdir()  # a child: mkdtemp's own directory is closed to other users
        yield temporary
        if _exchange(temporary, path):
            return
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
def scratch_directory() -> Iterator[Path]:
    """Give an empty directory that nobody else can read, for as long as the block lasts."""
    with _beside(Path(tempfile.gettempdir()) / "mnist") as path:
        path.mkdir()
        yield path


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    # Beside, not in /tmp: a rename is atomic only within one file system.
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}.{os.getpid()}.", dir=path.parent, ignore_cleanup_errors=True
    ) as parent:
        yield Path(parent) / path.name


def _remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed has left beside `path`; the name says which process it was."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
        found = re.fullmatch(rf"\.{re.escape(path.name)}\.(\d+)\.\w{{8}}", leftover.name)
        if found and not _is_another(int(found[1])):
            shutil.rmtree(leftover, ignore_errors=True)


def _is_another(pid: int) -> bool:
    if os.name != "posix":
        return True  # there is no harmless way to ask
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()  # in a container, the process that was killed may have had the same number


def _exchange(first: Path, second: Path) -> bool:
    """Let two names change places in one step; False if one is missing or the system (not Linux, or old) cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # the last one: Windows
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0)
