"""The IDX format of the MNIST files: a magic number, big-endian dimensions, then the bytes of the array.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits". Only unsigned bytes occur there,
so only they are read. Where the files come from is the business of sources.py.
"""

import struct
from math import prod
from pathlib import Path

import numpy as np

from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Array
from mnist_core.errors import UserError
from mnist_core.files import reading

TRAIN_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST_FILES = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, *, num_dimensions: int) -> Array:
    """Read an uncompressed IDX file of unsigned bytes as a uint8 array with `num_dimensions` axes.

    Raises:
        UserError: the file is missing, has another magic number, or is not exactly as long as its dimensions say.
    """
    magic = bytes((0, 0, _UNSIGNED_BYTE, num_dimensions))
    header_size = len(magic) + 4 * num_dimensions
    with reading(path, "an IDX file", _REMEDY), path.open("rb") as file:
        header = file.read(header_size)
        if header[: len(magic)] != magic:
            found = header[: len(magic)].hex() or "nothing"
            raise UserError(f"{path}: starts with {found}, not with IDX magic number {magic.hex()}; {_REMEDY}")
        if len(header) < header_size:
            raise UserError(f"{path}: truncated within its header; {_REMEDY}")
        shape = struct.unpack(f">{num_dimensions}I", header[len(magic) :])
        expected = header_size + prod(shape)
        size = path.stat().st_size  # known before reading: an absurd header must not fill memory
        if size != expected:
            fault = "truncated" if size < expected else "oversized"
            raise UserError(f"{path}: {fault}, {size} bytes instead of {expected}; {_REMEDY}")
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


def read_examples(images_path: Path, labels_path: Path) -> tuple[Array, Array]:
    """Read a pair of IDX files: images uint8 (N, 28, 28) with values 0 to 255 and labels uint8 (N,) with values 0 to 9.

    Raises:
        UserError: a file is unreadable, images have another size, a label is no class, or the counts differ.
    """
    images = read_idx(images_path, num_dimensions=3)
    labels = read_idx(labels_path, num_dimensions=1)
    height, width = IMAGE_SHAPE[:2]
    if images.shape[1:] != (height, width):
        found = "x".join(str(size) for size in images.shape[1:])
        raise UserError(f"{images_path}: its images are {found}, not {height}x{width}; {_REMEDY}")
    if len(images) != len(labels):
        raise UserError(f"{labels_path}: {len(labels)} labels for {len(images)} images; {_REMEDY}")
    largest = int(labels.max(initial=0))
    if largest >= NUM_CLASSES:
        raise UserError(f"{labels_path}: label {largest} is not a class from 0 to {NUM_CLASSES - 1}; {_REMEDY}")
    return images, labels


_REMEDY = "fetch the data again (dvc repro --force fetch)"
