"""Reads .npy and .npz files through one careful door: names and sizes first, then headers, then numbers.

Nothing is unpickled, and memory is taken for what a file really holds.
"""

import os
import re
import struct
import zipfile
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import DTypeLike

from mnist_core.arrays import Array
from mnist_core.errors import printable
from mnist_core.files.reading import REMEDY, reading


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
