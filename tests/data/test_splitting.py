import numpy as np
import pytest

from mnist_core.data.splitting import prepare_splits
from mnist_core.errors import UserError


def write_idx(path, array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


@pytest.fixture
def raw(tmp_path):
    """Ten training and four test images, each filled with its own number (the test images from 100 on)."""
    directory = tmp_path / "raw"
    directory.mkdir()
    for prefix, first, count in (("train", 0, 10), ("t10k", 100, 4)):
        numbers = np.arange(first, first + count, dtype=np.uint8)
        write_idx(directory / f"{prefix}-images-idx3-ubyte", np.repeat(numbers, 784).reshape(count, 28, 28))
        write_idx(directory / f"{prefix}-labels-idx1-ubyte", numbers % 10)
    return directory


def test_validation_comes_first_then_train(raw, tmp_path):
    prepare_splits(raw, tmp_path, train=5, validation=3, test=2)
    expected = {"validation": [0, 1, 2], "train": [3, 4, 5, 6, 7], "test": [100, 101]}
    for name, numbers in expected.items():
        images = np.load(tmp_path / f"{name}_images.npy")
        assert images.shape == (len(numbers), 28, 28)
        assert images.dtype == np.uint8
        assert images[:, 0, 0].tolist() == numbers
        assert np.load(tmp_path / f"{name}_labels.npy").tolist() == [number % 10 for number in numbers]


def test_all_images_may_be_used(raw, tmp_path):
    prepare_splits(raw, tmp_path, train=6, validation=4, test=4)
    assert len(np.load(tmp_path / "train_labels.npy")) == 6


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"train": 7, "validation": 4, "test": 1}, r"train-images-idx3-ubyte: it has 10 images, but data.train \+"),
        ({"train": 1, "validation": 1, "test": 5}, "t10k-images-idx3-ubyte: it has 4 images, but data.test asks for 5"),
    ],
)
def test_too_few_images_are_an_error_and_nothing_is_written(raw, tmp_path, sizes, message):
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    with pytest.raises(UserError, match=message):
        prepare_splits(raw, prepared, **sizes)
    assert not list(prepared.iterdir())
