"""From the raw IDX files to the three prepared splits.

It has a module of its own so that training, which only loads the result, does not depend on it.
"""

from pathlib import Path

from mnist_core.data.dataset import save_split
from mnist_core.data.idx import TEST_FILES, TRAIN_FILES, read_examples
from mnist_core.errors import UserError


def prepare_splits(raw: Path, prepared: Path, *, train: int, validation: int, test: int) -> None:
    """Split the images in file order: the training file gives `validation`, then `train`; the test file gives `test`.

    Args:
        raw: directory that holds the four uncompressed IDX files.
        prepared: existing directory to write the six .npy files to.
        train: images to learn from.
        validation: images that choices are made on.
        test: images that only report.

    Raises:
        UserError: a raw file is missing or faulty, or has fewer images than the splits need.
    """
    images, labels = read_examples(*(raw / name for name in TRAIN_FILES))
    test_images, test_labels = read_examples(*(raw / name for name in TEST_FILES))
    for name, keys, wanted, found in (
        (TRAIN_FILES[0], "data.train + data.validation", train + validation, len(images)),
        (TEST_FILES[0], "data.test", test, len(test_images)),
    ):
        if wanted > found:
            raise UserError(f"{raw / name}: it has {found} images, but {keys} asks for {wanted}; ask for fewer")
    end = validation + train
    save_split(prepared, "validation", images[:validation], labels[:validation])
    save_split(prepared, "train", images[validation:end], labels[validation:end])
    save_split(prepared, "test", test_images[:test], test_labels[:test])
