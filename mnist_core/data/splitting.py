"""From the raw IDX files to the three prepared splits.

It has a module of its own so that training, which only loads the result, does not depend on it.
"""

from pathlib import Path

import numpy as np

from mnist_core.arrays import Array
from mnist_core.data.dataset import save_dataset
from mnist_core.data.idx import TEST_FILES, TRAIN_FILES, read_examples
from mnist_core.data.params import DataParams, SplitSizes
from mnist_core.errors import UserError


def prepare_splits(raw: Path, prepared: Path, data: DataParams, sizes: SplitSizes, *, section: str) -> None:
    """Split the images: the training file gives validation, then train, in its order; `test` comes from both halves.

    Args:
        raw: directory that holds the four uncompressed IDX files.
        prepared: existing directory to write the six .npy files and the manifest to.
        data: the data set's name and classes.
        sizes: images in each split.
        section: where `sizes` stands in params.yaml, for messages.

    Raises:
        UserError: a raw file is missing or faulty, has fewer images than the splits need, or has nothing to learn from.
    """
    images, labels = read_examples(*(raw / name for name in TRAIN_FILES))
    test_images, test_labels = read_examples(*(raw / name for name in TEST_FILES))
    end = sizes.validation + sizes.train
    for name, keys, wanted, found in (
        (TRAIN_FILES[0], f"{section}: train + validation", end, len(images)),
        (TEST_FILES[0], f"{section}.test", sizes.test, len(test_images)),
    ):
        if wanted > found:
            raise UserError(f"{keys}: asks for {wanted} images, but {raw / name} has {found}; ask for fewer")
    chosen = choose_test_images(sizes.test, len(test_images))
    splits = {
        "train": (images[sizes.validation : end], labels[sizes.validation : end]),
        "validation": (images[: sizes.validation], labels[: sizes.validation]),
        "test": (test_images[chosen], test_labels[chosen]),
    }
    save_dataset(prepared, splits, dataset=data.dataset, class_names=data.names)


def choose_test_images(count: int, available: int) -> Array:
    """Return which test images are used: the first of each half of the file, int64 (count,); see `SplitSizes`."""
    from_first = (count + 1) // 2
    second_half = (available + 1) // 2
    return np.concatenate([np.arange(from_first), np.arange(second_half, second_half + count - from_first)])
