import numpy as np
import pytest

from mnist_core.data.dataset import load_manifest
from mnist_core.data.idx import encode_idx
from mnist_core.data.params import DataParams, SplitSizes
from mnist_core.data.splitting import choose_test_images, prepare_splits
from mnist_core.errors import UserError

MNIST = DataParams(dataset="mnist", directory="", class_names=())


@pytest.fixture
def raw(tmp_path):
    """Ten training and four test images, each filled with its own number (the test images from 100 on).

    Class 1 are the multiples of three.
    """
    directory = tmp_path / "raw"
    directory.mkdir()
    for prefix, first, count in (("train", 0, 10), ("t10k", 100, 4)):
        numbers = np.arange(first, first + count, dtype=np.uint8)
        images = np.repeat(numbers, 784).reshape(count, 28, 28)
        (directory / f"{prefix}-images-idx3-ubyte").write_bytes(encode_idx(images))
        (directory / f"{prefix}-labels-idx1-ubyte").write_bytes(encode_idx(class_of(numbers)))
    return directory


def class_of(numbers):
    return (np.asarray(numbers) % 3 == 0).astype(np.uint8)


def prepare(raw, directory, data=MNIST, **sizes):
    prepare_splits(raw, directory, data, SplitSizes(**sizes), section="profiles.quick.data")


def test_validation_comes_first_then_train_and_test_from_both_halves(raw, tmp_path):
    prepare(raw, tmp_path, train=5, validation=3, test=2)
    expected = {"validation": [0, 1, 2], "train": [3, 4, 5, 6, 7], "test": [100, 102]}
    for name, numbers in expected.items():
        images = np.load(tmp_path / f"{name}_images.npy")
        assert images.shape == (len(numbers), 28, 28)
        assert images.dtype == np.uint8
        assert images[:, 0, 0].tolist() == numbers
        assert np.load(tmp_path / f"{name}_labels.npy").tolist() == class_of(numbers).tolist()


def test_all_images_may_be_used(raw, tmp_path):
    prepare(raw, tmp_path, train=6, validation=4, test=4)
    assert len(np.load(tmp_path / "train_labels.npy")) == 6
    assert np.load(tmp_path / "test_images.npy")[:, 0, 0].tolist() == [100, 101, 102, 103]


def test_the_quick_profile_tests_on_500_images_of_students_and_500_of_employees():
    assert choose_test_images(1000, 10000).tolist() == [*range(500), *range(5000, 5500)]


@pytest.mark.parametrize(
    ("count", "available", "expected"),
    [
        (1, 4, [0]),
        (2, 4, [0, 2]),
        (3, 4, [0, 1, 2]),
        (4, 5, [0, 1, 3, 4]),
        (5, 5, [0, 1, 2, 3, 4]),
    ],
)
def test_an_odd_image_comes_from_the_start(count, available, expected):
    assert choose_test_images(count, available).tolist() == expected


def test_the_manifest_has_the_names_of_the_data_set(raw, tmp_path):
    own = DataParams(dataset="custom", directory="mine", class_names=tuple("abcdefghij"))
    prepare(raw, tmp_path, own, train=5, validation=3, test=2)
    manifest = load_manifest(tmp_path)
    assert (manifest.dataset, "".join(manifest.class_names)) == ("custom", "abcdefghij")


def test_the_known_data_sets_know_their_classes():
    assert MNIST.names == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    fashion = DataParams(dataset="fashion_mnist", directory="", class_names=())
    assert len(fashion.names) == 10
    assert (fashion.names[0], fashion.names[9]) == ("T-shirt/top", "Ankle boot")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (
            {"train": 7, "validation": 4, "test": 1},
            r"^profiles.quick.data: train \+ validation: asks for 11 images, but .*train-images-idx3-ubyte has 10; ask",
        ),
        (
            {"train": 1, "validation": 1, "test": 5},
            "^profiles.quick.data.test: asks for 5 images, but .*t10k-images-idx3-ubyte has 4; ask for fewer",
        ),
    ],
)
def test_too_few_images_are_an_error_and_nothing_is_written(raw, tmp_path, sizes, message):
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    with pytest.raises(UserError, match=message):
        prepare(raw, prepared, **sizes)
    assert not list(prepared.iterdir())
