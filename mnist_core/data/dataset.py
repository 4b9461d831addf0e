"""The prepared images: split, stored as uint8 .npy files and loaded as the numbers that networks see.

Beside the six arrays lies a manifest that says what they are; nothing is loaded that is not what it says. Nothing here
knows IDX files or where they come from, and batches are made by whoever visits the images.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

from mnist_core.arrays import IMAGE_SHAPE, NUM_CLASSES, Array
from mnist_core.data.params import DataParams, SplitSizes
from mnist_core.errors import UserError
from mnist_core.files.arrays import read_array
from mnist_core.files.reading import Section, read_record
from mnist_core.files.writing import write_array, write_json

SPLIT_NAMES = ("train", "validation", "test")
MANIFEST = "manifest.json"
MAX_SHARED = 0.01  # of a split's images may also be in another; MNIST shares none

_REMEDY = "prepare the data again (dvc repro --force prepare)"
_Checksum: TypeAlias = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class SplitRecord(Section):
    """What one split is: images, how many of each class, and the SHA-256 of the bytes of its two arrays."""

    num_images: PositiveInt
    class_counts: Annotated[tuple[NonNegativeInt, ...], Field(min_length=NUM_CLASSES, max_length=NUM_CLASSES)]
    images_sha256: _Checksum
    labels_sha256: _Checksum


class Manifest(Section):
    """What the prepared data are; `shared_images`: how many images of the second of two splits the first has too."""

    dataset: str
    class_names: Annotated[tuple[str, ...], Field(min_length=1, max_length=NUM_CLASSES)]
    train: SplitRecord
    validation: SplitRecord
    test: SplitRecord
    shared_images: dict[str, NonNegativeInt]

    def split(self, name: str) -> SplitRecord:
        """Return the record of "train", "validation" or "test"."""
        record: SplitRecord = getattr(self, name)
        return record

    @property
    def sha256(self) -> str:
        """One hash for all images and labels, in their order and splits; names do not count."""
        records = [self.split(name) for name in SPLIT_NAMES]
        return hashlib.sha256("".join(r.images_sha256 + r.labels_sha256 for r in records).encode()).hexdigest()


@dataclass(frozen=True)
class Split:
    """Images and their labels: float32 (N, 28, 28, 1) in [0, 1] and int64 (N,), values 0 to 9."""

    images: Array
    labels: Array


@dataclass(frozen=True)
class Dataset:
    """The three splits: networks learn from `train`, choices are made on `validation`, `test` only reports.

    `sha256` is the manifest's: models record by it what they learned from.
    """

    train: Split
    validation: Split
    test: Split
    sha256: str = ""  # of data that were never on disk


def load_dataset(directory: Path) -> Dataset:
    """Load all three splits written by `save_dataset`.

    Raises:
        UserError: a file is missing or is not what the manifest says.
    """
    splits = {name: load_split(directory, name) for name in SPLIT_NAMES}
    return Dataset(**splits, sha256=load_manifest(directory).sha256)


def load_split(directory: Path, name: str) -> Split:
    """Load one split, "train", "validation" or "test"; pixels 0 to 255 become 0 to 1.

    Raises:
        UserError: a file is missing or is not what the manifest says.
    """
    images, labels = load_bytes(directory, name)
    scaled = np.divide(images[..., np.newaxis], np.float32(255), dtype=np.float32)
    return Split(scaled, labels.astype(np.int64))


def load_bytes(directory: Path, name: str) -> tuple[Array, Array]:
    """Load one split as it is stored: images uint8 (N, 28, 28) and labels uint8 (N,).

    Raises:
        UserError: a file is missing or is not what the manifest says.
    """
    record = load_manifest(directory).split(name)
    images_path, labels_path = _paths(directory, name)
    images = _load(images_path, (record.num_images, *IMAGE_SHAPE[:2]), record.images_sha256)
    labels = _load(labels_path, (record.num_images,), record.labels_sha256)
    if _class_counts(labels) != record.class_counts:
        raise UserError(f"{directory / MANIFEST}: the class counts of {name} are not those of its labels; {_REMEDY}")
    return images, labels


def check_as_asked(directory: Path, data: DataParams, sizes: SplitSizes) -> None:
    """Do the prepared data have the name and the numbers of images that params.yaml asks for?

    Raises:
        UserError: they do not, or there is no manifest that says so.
    """
    manifest = load_manifest(directory)
    found = [manifest.dataset, *(manifest.split(name).num_images for name in SPLIT_NAMES)]
    asked = [data.dataset, *(getattr(sizes, name) for name in SPLIT_NAMES)]
    if found != asked:
        said = " but params.yaml asks for ".join(
            f"{name} with {train:,} training, {validation:,} validation and {test:,} test images"
            for name, train, validation, test in (found, asked)
        )
        raise UserError(f"{directory}: {said}; {_REMEDY}")


def load_manifest(directory: Path) -> Manifest:
    """Read what the prepared data are.

    Raises:
        UserError: the manifest is missing, broken, or tells of splits that share images.
    """
    path = directory / MANIFEST
    manifest = read_record(path, Manifest, _REMEDY)
    _check_disjoint(manifest, path, _REMEDY)
    return manifest


def save_dataset(
    directory: Path,
    splits: Mapping[str, tuple[Array, Array]],
    *,
    dataset: str = "mnist",
    class_names: Sequence[str] = "0123456789",
) -> None:
    """Write the three splits and their manifest.

    Args:
        directory: existing directory.
        splits: "train", "validation" and "test" -> images uint8 (N, 28, 28) and labels uint8 (N,).
        dataset: name of the data set.
        class_names: at most ten; label 0 means the first.

    Raises:
        UserError: one can see that networks cannot learn from these data, or that testing on them would mean nothing.
    """
    for name in SPLIT_NAMES:
        for path, array in zip(_paths(directory, name), splits[name], strict=True):
            write_array(path, array)
    manifest = Manifest(
        dataset=dataset,
        class_names=tuple(class_names),
        shared_images=_shared_images({name: splits[name][0] for name in SPLIT_NAMES}),
        **{name: _describe(*splits[name]) for name in SPLIT_NAMES},
    )
    images, labels = splits["train"]
    if not images.any():
        raise UserError("data.dataset: all training images are black: every pixel is 0; mend the training files")
    if images.max() <= 1:
        raise UserError(
            "data.dataset: the pixels of the training images are 0 to 1, not 0 to 255; multiply them by 255"
        )
    if len(np.unique(labels)) < 2:
        raise UserError(f"data.dataset: all training images are of class {labels[0]}; mix the classes")
    if (largest := max(int(labels.max()) for _, labels in splits.values())) >= len(class_names):
        raise UserError(f"data.class_names: no name for label {largest}; give one to each class")
    _check_classes(manifest)
    _check_disjoint(manifest, Path("data.dataset"), "take out what occurs twice")
    write_json(directory / MANIFEST, manifest.model_dump(mode="json"))


def _paths(directory: Path, name: str) -> tuple[Path, Path]:
    return directory / f"{name}_images.npy", directory / f"{name}_labels.npy"


def _load(path: Path, shape: tuple[int, ...], sha256: str) -> Array:
    array = read_array(path, _REMEDY, dtype=np.uint8, shape=shape)
    if _sha256(array) != sha256:
        raise UserError(f"{path}: changed since it was prepared; {_REMEDY}")
    return array


def _describe(images: Array, labels: Array) -> SplitRecord:
    return SplitRecord(
        num_images=len(images),
        class_counts=_class_counts(labels),
        images_sha256=_sha256(images),
        labels_sha256=_sha256(labels),
    )


def _sha256(array: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _class_counts(labels: Array) -> tuple[int, ...]:
    return tuple(np.bincount(labels, minlength=NUM_CLASSES).tolist())


def _shared_images(images: Mapping[str, Array]) -> dict[str, int]:
    """Count, for each two splits, the images of the second that occur in the first, byte for byte."""
    contents = {name: [image.tobytes() for image in array] for name, array in images.items()}
    return {
        f"{first}_{second}": sum(map(set(contents[first]).__contains__, contents[second]))
        for first, second in combinations(SPLIT_NAMES, 2)
    }


def _check_classes(manifest: Manifest) -> None:
    """Refuse a class that one split has and another lacks, as the splits of images sorted by class do."""
    counts = {name: manifest.split(name).class_counts for name in SPLIT_NAMES}
    adjectives = dict(zip(SPLIT_NAMES, ("training", "validation", "test"), strict=True))
    for label, name in enumerate(manifest.class_names):
        lacking = next((split for split in SPLIT_NAMES if not counts[split][label]), None)
        if lacking and any(count[label] for count in counts.values()):
            named = f"class {label}" if name == str(label) else f"class {label} ({name})"
            files = "test" if lacking == "test" else "training"
            raise UserError(
                f"data.dataset: no {adjectives[lacking]} image of {named}; shuffle both {files} files alike, add "
                "images of this class to them, or use more of their images"
            )


def _check_disjoint(manifest: Manifest, place: Path, remedy: str) -> None:
    for first, second in combinations(SPLIT_NAMES, 2):
        shared, count = manifest.shared_images.get(f"{first}_{second}"), manifest.split(second).num_images
        if shared is None or shared > MAX_SHARED * count:
            raise UserError(f"{place}: {shared} of {count} {second} images are {first} images too; {remedy}")
