"""The only room that opens files: outputs appear whole or not at all, and what cannot be read becomes one line.

Readers know formats, not meanings: what a file must hold is said by whoever asks for it.
"""

import json
import os
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mnist_core.arrays import Array
from mnist_core.errors import UserError, printable

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
        raise UserError(f"{path}: cannot be read ({error.strerror or printable(error)}); {remedy}") from error
    except _BROKEN as error:
        raise UserError(f"{path}: not {expected} ({printable(error)}); {remedy}") from error


# What readers raise for content that is not theirs: RecursionError for deep nesting, the two after it for absurd sizes.
_BROKEN = (
    *(ValueError, KeyError, TypeError, EOFError, RecursionError, MemoryError, OverflowError),
    *(NotImplementedError, struct.error, zipfile.BadZipFile, zlib.error, YAMLError),
)


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


def read_array(
    path: Path, remedy: str = REMEDY, *, dtype: DTypeLike | None = None, shape: tuple[int, ...] | None = None
) -> Array:
    """Read a .npy file; nothing is unpickled, and memory is taken for what the file really holds.

    Args:
        path: the file.
        remedy: what the user can do about a faulty file.
        dtype: the only type accepted; any of `read_arrays` without it.
        shape: the only shape accepted; any without it.

    Raises:
        UserError: it is missing or is something else.
    """
    with reading(path, "a .npy file", remedy), path.open("rb") as file:
        return _read_npy(file, os.fstat(file.fileno()).st_size, dtype, shape)


def read_arrays(path: Path, remedy: str = REMEDY, *, max_bytes: int | None = None) -> dict[str, Array]:
    """Read all arrays of an .npz file: whole numbers, floats, truth values and texts, never objects.

    Args:
        path: the file.
        remedy: what the user can do about a faulty file.
        max_bytes: what the members may take when unpacked; the file's own size without it, enough for `np.savez`, not
            for `np.savez_compressed`.

    Raises:
        UserError: it is missing, is something else, has a member that is no array, or unpacks to more than it may.
    """
    with reading(path, "an .npz file of arrays", remedy), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        _check_directory_of_zip(file, size)
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            for member in members:
                _check_member(member)
            if len({member.filename for member in members}) < len(members):
                raise ValueError("it has two members of one name")
            unpacked, limit = sum(member.file_size for member in members), size if max_bytes is None else max_bytes
            if unpacked > limit:
                raise ValueError(f"it unpacks to {unpacked} bytes; at most {limit} are expected")
            arrays = {}
            for member in members:
                with archive.open(member) as content:
                    arrays[member.filename.removesuffix(".npy")] = _read_npy(content, member.file_size)
            return arrays


_END_OF_ZIP = struct.Struct("<4s4H2LH")
_MAX_DIRECTORY = 1 << 20  # bytes of a zip file's table of members; ours have some dozens of members of 60 bytes


def _check_directory_of_zip(file: IO[bytes], size: int) -> None:
    # zipfile makes an object of every entry before one can look: a file of nothing but entries would fill memory.
    file.seek(max(0, size - _END_OF_ZIP.size))
    end = file.read(_END_OF_ZIP.size)
    if len(end) < _END_OF_ZIP.size or not end.startswith(b"PK\5\6"):
        raise ValueError("it is no zip file, or is cut off")
    if _END_OF_ZIP.unpack(end)[5] > _MAX_DIRECTORY:
        raise ValueError(f"its table of members is larger than {_MAX_DIRECTORY} bytes")
    file.seek(max(0, size - _END_OF_ZIP.size - 20))
    if file.read(4) == b"PK\6\7":
        raise ValueError("it is a zip64 file")
    file.seek(0)


def _check_member(member: zipfile.ZipInfo) -> None:
    if not member.filename.endswith(".npy"):
        raise ValueError(f"its member {printable(member.filename, 60)!r} is no array")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        raise ValueError(f"its member {printable(member.filename, 60)!r} is packed in an unknown way")


# What np.save writes for plain arrays, and nothing else; no structured types, objects, complex numbers or dates.
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|][biufUS]\d{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,15},)?|\d{1,15}(?:, \d{1,15}){1,31})\), \} *\n"
)


def _read_npy(
    file: IO[bytes], size: int, dtype: DTypeLike | None = None, shape: tuple[int, ...] | None = None
) -> Array:
    """Read an array from a file of `size` bytes: first the header, then, if its size is true, the numbers."""
    start = file.read(10)
    if start[:8] != b"\x93NUMPY\x01\x00" or len(start) < 10:
        raise ValueError("it does not start as one")
    length = int.from_bytes(start[8:], "little")
    header = _NPY_HEADER.fullmatch(file.read(length))
    if header is None:
        raise ValueError("its header is cut off, or is not that of a plain array")
    found_dtype, found_shape = np.dtype(header[1].decode()), tuple(int(part) for part in re.findall(rb"\d+", header[3]))
    expected_dtype = found_dtype if dtype is None else np.dtype(dtype)
    expected_shape = found_shape if shape is None else shape
    if (found_dtype, found_shape) != (expected_dtype, expected_shape):
        raise ValueError(f"it holds {found_dtype} {found_shape}, not {expected_dtype} {expected_shape}")
    num_bytes, expected = size - 10 - length, prod(found_shape) * found_dtype.itemsize
    if num_bytes != expected:
        raise ValueError(f"{num_bytes} bytes for {found_dtype} {found_shape}, which takes {expected}")
    content = bytearray(num_bytes)
    view = memoryview(content)
    filled = 0
    while filled < num_bytes and (count := file.readinto(view[filled : filled + _CHUNK])):  # type: ignore[attr-defined]
        filled += count
    if filled < num_bytes:
        raise ValueError("it is cut off")
    array: Array = np.frombuffer(content, found_dtype)
    return array.reshape(found_shape, order="F" if header[2] == b"True" else "C")


_CHUNK = 1 << 20  # a packed member is unpacked piece by piece: zipfile would hold it twice


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
