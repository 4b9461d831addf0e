"""The prepared images: split, stored as uint8 .npy files and loaded as the numbers that networks see.

Nothing here knows IDX files or where they come from, and batches are made by whoever visits the images.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Array
from mnist_core.errors import UserError
from mnist_core.files import read_array

SPLIT_NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Images and their labels: float32 (N, 28, 28, 1) in [0, 1] and int64 (N,), values 0 to 9."""

    images: Array
    labels: Array


@dataclass(frozen=True)
class Dataset:
    """The three splits: networks learn from `train`, choices are made on `validation`, `test` only reports."""

    train: Split
    validation: Split
    test: Split


def load_dataset(directory: Path) -> Dataset:
    """Load all three splits written by `save_split`.

    Raises:
        UserError: a file is missing or is not what `save_split` writes.
    """
    return Dataset(*(load_split(directory, name) for name in SPLIT_NAMES))


def load_split(directory: Path, name: str) -> Split:
    """Load one split, "train", "validation" or "test"; pixels 0 to 255 become 0 to 1.

    Raises:
        UserError: a file is missing or is not what `save_split` writes.
    """
    images_path, labels_path = _paths(directory, name)
    images = _load_bytes(images_path)
    labels = _load_bytes(labels_path)
    if images.ndim != 3 or images.shape[1:] != IMAGE_SHAPE[:2] or not len(images):
        raise UserError(f"{images_path}: its shape is {images.shape}, not (N, 28, 28); {_REMEDY}")
    if labels.shape != images.shape[:1]:
        raise UserError(f"{labels_path}: its shape is {labels.shape}, not ({len(images)},); {_REMEDY}")
    if labels.max() >= NUM_CLASSES:
        raise UserError(f"{labels_path}: label {labels.max()} is not a class from 0 to {NUM_CLASSES - 1}; {_REMEDY}")
    scaled = np.divide(images[..., np.newaxis], np.float32(255), dtype=np.float32)
    return Split(scaled, labels.astype(np.int64))


def save_split(directory: Path, name: str, images: Array, labels: Array) -> None:
    """Write one split: images uint8 (N, 28, 28) and labels uint8 (N,), as two .npy files in `directory`."""
    for path, array in zip(_paths(directory, name), (images, labels), strict=True):
        np.save(path, array, allow_pickle=False)


def _paths(directory: Path, name: str) -> tuple[Path, Path]:
    return directory / f"{name}_images.npy", directory / f"{name}_labels.npy"


def _load_bytes(path: Path) -> Array:
    array = read_array(path, _REMEDY)
    if array.dtype != np.uint8:
        raise UserError(f"{path}: it does not hold bytes (uint8); {_REMEDY}")
    return array


_REMEDY = "prepare the data again (dvc repro --force prepare)"
