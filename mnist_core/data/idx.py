"""The IDX format of the MNIST files: a magic number, big-endian dimensions, then the bytes of the array.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits". Only unsigned bytes occur there,
so only they are read. Where the files come from is the business of sources.py.
"""

import gzip
import os
import struct
from io import BufferedIOBase
from math import prod
from pathlib import Path

import numpy as np

from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Array
from mnist_core.errors import UserError
from mnist_core.files.reading import reading

TRAIN_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST_FILES = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
GZIP_MAGIC = b"\x1f\x8b"
MAX_UNPACKED = 1 << 30  # bytes that a gzip file may unpack to: 1.3 million images

_UNSIGNED_BYTE = 0x08
_FETCH_AGAIN = "fetch the data again (dvc repro --force fetch)"


def read_idx(path: Path, *, num_dimensions: int, remedy: str = _FETCH_AGAIN) -> Array:
    """Read an IDX file of unsigned bytes, plain or gzip, as a uint8 array with `num_dimensions` axes.

    Raises:
        UserError: the file is missing, has another magic number, or is not exactly as long as its dimensions say.
    """
    magic = bytes((0, 0, _UNSIGNED_BYTE, num_dimensions))
    header_size = len(magic) + 4 * num_dimensions
    with reading(path, "an IDX file", remedy), path.open("rb") as file:
        packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        content: BufferedIOBase = gzip.GzipFile(fileobj=file) if packed else file
        header = content.read(header_size)
        if header[: len(magic)] != magic:
            found = header[: len(magic)].hex() or "nothing"
            raise UserError(f"{path}: starts with {found}, not with IDX magic number {magic.hex()}; {remedy}")
        if len(header) < header_size:
            raise UserError(f"{path}: truncated within its header; {remedy}")
        shape = struct.unpack(f">{num_dimensions}I", header[len(magic) :])
        expected = header_size + prod(shape)
        if packed and expected > MAX_UNPACKED:
            raise UserError(f"{path}: it unpacks to {expected} bytes; at most {MAX_UNPACKED} are read; {remedy}")
        if packed:
            data = read_at_most(content, prod(shape) + 1)
            size = header_size + len(data)
        else:
            size = os.fstat(file.fileno()).st_size  # known before reading: an absurd header must not fill memory
        if size != expected:
            fault = "truncated" if size < expected else "oversized"
            found = "more" if packed and size > expected else str(size)
            raise UserError(f"{path}: {fault}, {found} bytes instead of {expected}; {remedy}")
        return np.frombuffer(data if packed else content.read(), np.uint8).reshape(shape)


def read_at_most(content: BufferedIOBase, limit: int) -> bytearray:
    """Read a stream to its end or up to `limit` bytes, taking memory for what comes and not for what is asked."""
    data = bytearray()
    while len(data) < limit and (chunk := content.read(min(1 << 20, limit - len(data)))):
        data += chunk
    return data


def encode_idx(array: Array) -> bytes:
    """Return a uint8 array as the content of an uncompressed IDX file."""
    header = bytes((0, 0, _UNSIGNED_BYTE, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def read_examples(images_path: Path, labels_path: Path, *, remedy: str = _FETCH_AGAIN) -> tuple[Array, Array]:
    """Read a pair of IDX files: images uint8 (N, 28, 28) with values 0 to 255 and labels uint8 (N,) with values 0 to 9.

    Raises:
        UserError: a file is unreadable, images have another size, a label is no class, or the counts differ.
    """
    images = read_idx(images_path, num_dimensions=3, remedy=remedy)
    labels = read_idx(labels_path, num_dimensions=1, remedy=remedy)
    height, width = IMAGE_SHAPE[:2]
    if images.shape[1:] != (height, width):
        found = "x".join(str(size) for size in images.shape[1:])
        raise UserError(f"{images_path}: its images are {found}, not {height}x{width}; {remedy}")
    if len(images) != len(labels):
        raise UserError(f"{labels_path}: {len(labels)} labels for {len(images)} images; {remedy}")
    largest = int(labels.max(initial=0))
    if largest >= NUM_CLASSES:
        raise UserError(f"{labels_path}: label {largest} is not a class from 0 to {NUM_CLASSES - 1}; {remedy}")
    return images, labels
