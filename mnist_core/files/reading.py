"""Reads files: what cannot be read becomes one line that names the file and says what to do.

Readers know formats, not meanings: what a file must hold is said by whoever asks for it.
"""

import csv
import hashlib
import itertools
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mnist_core.errors import UserError, printable

if TYPE_CHECKING:
    import pandas as pd

Content = TypeVar("Content")

REMEDY = "run `dvc repro` to write it again"
"""What to do about a file of an earlier stage that is missing or broken."""


class Section(BaseModel):
    """A part of params.yaml: an unknown key is an error, and no value changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Record(BaseModel):
    """A JSON object that a stage wrote: only the keys named, no number for a text, no NaN and no infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


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
        _refuse_endless(path)
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {remedy}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or printable(error)}); {remedy}") from error
    except _BROKEN as error:
        raise UserError(f"{path}: not {expected} ({printable(error)}); {remedy}") from error


def _refuse_endless(path: Path) -> None:
    """Refuse a pipe or a device, which a reader would wait for, or read until memory is full."""
    with suppress(OSError):  # said by whoever reads
        if stat.S_IFMT(path.stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            raise ValueError("a device or a pipe")


# What readers raise for content that is not theirs: RecursionError for deep nesting, the two after it for absurd sizes.
_BROKEN = (
    *(ValueError, LookupError, TypeError, EOFError, RecursionError, MemoryError, OverflowError),
    *(NotImplementedError, struct.error, zipfile.BadZipFile, zlib.error, csv.Error, YAMLError),
)


# Bytes, many times what stages write.
_MAX_TEXT = 16 << 20
_MAX_RECORD = 2 << 20  # of JSON and YAML, whose parsers take up to twenty-five times as much memory
_MAX_TABLE = 2 << 20  # of CSV, whose shortest numbers take eight times as much memory
_MAX_COLUMNS = 100  # of CSV; no stage writes more than a dozen
_MAX_FAULTS = 1000  # of a record, that are looked at: pydantic takes sixty times the text for them


def read_text(path: Path, remedy: str = REMEDY) -> str:
    """Read a UTF-8 text file; UserError if it is missing or unreadable."""
    with reading(path, "text in UTF-8", remedy):
        return _text(path)


def _text(path: Path, limit: int = _MAX_TEXT) -> str:
    _check_size(path, limit)
    return path.read_text(encoding="utf-8")


def _check_size(path: Path, limit: int) -> None:
    if (size := path.stat().st_size) > limit:
        raise ValueError(f"{size} bytes, and at most {limit} are read")


def read_json(path: Path, remedy: str = REMEDY) -> Any:
    """Read a JSON file that an earlier stage wrote; UserError if it is missing or is not JSON."""
    with reading(path, "valid JSON", remedy):
        return json.loads(_text(path, _MAX_RECORD), object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pairs.reverse()
    while pairs:  # taken from one as they go into the other: memory holds them once
        key, value = pairs.pop()
        if key in found:
            raise ValueError("a key twice in one object")
        found[key] = value
    return found


def read_record(path: Path, kind: type[Content], remedy: str = REMEDY) -> Content:
    """Read a JSON file as a value of a type that pydantic can validate.

    Raises:
        UserError: it is missing, is not JSON or does not fit the type; the first misfit is named by its key.
    """
    return validate(read_json(path, remedy), kind, path=path, remedy=remedy)


def read_yaml(path: Path, remedy: str = "run from the project's root") -> Any:
    """Read a YAML 1.2 file, in which 1e-3 is a number as it is to DVC.

    Raises:
        UserError: it is missing or is not YAML.
    """
    with reading(path, "valid YAML", remedy):
        return YAML(typ="safe", pure=True).load(_text(path, _MAX_RECORD))


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
        if (count := error.error_count()) > _MAX_FAULTS:
            raise UserError(f"{path}: {count} keys or values are wrong; {remedy or 'correct them'}") from error
        # A misspelt key is reported as unknown and as missing: the unknown one shows the spelling.
        faults = sorted(
            error.errors(include_url=False, include_context=False), key=lambda fault: fault["type"] not in _UNKNOWN_KEY
        )
        fault, advice = _describe(content, faults[0], section)
        raise UserError(f"{path}: {printable(fault)}; {remedy or advice}".removesuffix("; ")) from error


_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")


def _describe(content: Any, fault: Any, section: str) -> tuple[str, str]:
    """Return what is wrong with which key, and what to do about it in a file that the user wrote."""
    key = ".".join(filter(None, [section, *_keys(content, fault)]))
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] in _UNKNOWN_KEY:
        return f"{key}: unknown key", "remove it or correct its spelling"
    if fault["type"] == "missing":
        return f"{key}: missing", "add it"
    return (f"{key}: {message}{_found(fault['input'])}" if key else message), ""


def _found(value: Any) -> str:
    try:
        return "" if isinstance(value, dict | list) else f" (found {value!r})"
    except ValueError:  # Python spells no number of more than 4,300 digits
        return ""


def _keys(content: Any, fault: Any) -> list[str]:
    """Return the keys that lead to a fault: pydantic's location also has the tags of unions, which are no keys."""
    keys = []
    for part in fault["loc"]:
        is_key = part in content if isinstance(content, dict) else isinstance(content, list) and isinstance(part, int)
        if is_key:
            content = content[part]
            keys.append(str(part))
    return [*keys, str(fault["loc"][-1])] if fault["type"] == "missing" else keys


def read_csv(path: Path, columns: Iterable[str] | Mapping[str, Any]) -> "pd.DataFrame":
    """Read columns of a CSV file that an earlier stage wrote; others may stand beside them.

    Args:
        path: the file.
        columns: those it must have, each with its values' type, one that pydantic can make of a text; names alone ask
            for finite numbers.

    Raises:
        UserError: it is missing, is not CSV, lacks a column or has one twice, has no rows or some that are longer or
            shorter than the header, or a value is not of its type; the first misfit is named by column and row.
    """
    kinds = dict(columns) if isinstance(columns, Mapping) else dict.fromkeys(columns, float)
    adapters = {column: TypeAdapter(kind, config=_FINITE) for column, kind in kinds.items()}
    import pandas as pd  # not at the top: half of the stages do without, and it takes half a second

    with reading(path, "valid CSV"), path.open(encoding="utf-8", newline="") as file:
        _check_size(path, _MAX_TABLE)
        rows = csv.reader(file, strict=True)
        header = next(rows, [])
        _check_header(header, kinds)
        cells = _cells(rows, header, adapters)
        # Piece by piece, since a number that Python holds takes four times the memory of one in a frame.
        pieces = iter(lambda: list(itertools.islice(cells, _PIECE)), [])
        frames = [pd.DataFrame(piece, columns=[*adapters]) for piece in pieces]
        if not frames:
            raise ValueError("no rows")
    return pd.concat(frames, ignore_index=True)


_FINITE = ConfigDict(allow_inf_nan=False)
_PIECE = 10_000  # rows


def _check_header(header: list[str], columns: Iterable[str]) -> None:
    """Refuse more columns than any stage writes, one that is there twice, and the lack of one that is asked for."""
    if len(header) > _MAX_COLUMNS:
        raise ValueError(f"{len(header)} columns, and at most {_MAX_COLUMNS} are read")
    for column in columns:
        if column not in header:
            raise ValueError(f"no column {column}")
    for column in header:
        if header.count(column) > 1:
            raise ValueError(f"more than one column {column}")


def _cells(
    rows: Iterator[list[str]], header: Sequence[str], adapters: Mapping[str, TypeAdapter[Any]]
) -> Iterator[list[Any]]:
    """Give the values of every row in the order of `adapters`, each of its type."""
    places = [header.index(column) for column in adapters]
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValueError(f"row {number} has {len(row)} values, and the header {len(header)}")
        yield [
            _cell(row[place], adapter, f"{header[place]} of row {number}")
            for place, adapter in zip(places, adapters.values(), strict=True)
        ]


def _cell(text: str, adapter: TypeAdapter[Any], place: str) -> Any:
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        raise ValueError(f"{place}: {error.errors()[0]['msg']} (found {text!r})") from error


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
