import numpy as np
import pytest

from mnist_core.data.dataset import load_dataset, load_split, save_split
from mnist_core.errors import UserError


def save(directory, name="train", count=3, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 28, 28), np.uint8)
    labels = rng.integers(0, 10, count, np.uint8)
    save_split(directory, name, images, labels)
    return images, labels


def test_pixels_become_fractions_and_labels_int64(tmp_path):
    images = np.zeros((1, 28, 28), np.uint8)
    images[0, 2, 5] = 255
    images[0, 3, 5] = 51
    save_split(tmp_path, "train", images, np.array([7], np.uint8))
    split = load_split(tmp_path, "train")
    assert split.images.shape == (1, 28, 28, 1)
    assert split.images.dtype == np.float32
    assert split.images[0, 2, 5, 0] == 1.0
    assert split.images[0, 3, 5, 0] == np.float32(0.2)
    assert np.count_nonzero(split.images) == 2
    assert split.labels.dtype == np.int64
    assert split.labels.tolist() == [7]


def test_stored_as_bytes(tmp_path):
    save(tmp_path, count=4)
    assert np.load(tmp_path / "train_images.npy").dtype == np.uint8
    assert (tmp_path / "train_images.npy").stat().st_size == 128 + 4 * 784


def test_a_dataset_keeps_its_splits_apart(tmp_path):
    for seed, (name, count) in enumerate({"train": 5, "validation": 2, "test": 3}.items()):
        save(tmp_path, name, count, seed)
    dataset = load_dataset(tmp_path)
    assert [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)] == [5, 2, 3]
    assert dataset.test.labels.tolist() == np.load(tmp_path / "test_labels.npy").tolist()


@pytest.mark.parametrize("missing", ["train_images.npy", "train_labels.npy"])
def test_a_missing_file_is_named(tmp_path, missing):
    save(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(UserError, match=f"{missing}: no such file"):
        load_split(tmp_path, "train")


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        ("images", np.zeros((3, 28, 28), np.float32), "does not hold bytes"),
        ("images", np.zeros((3, 784), np.uint8), r"its shape is \(3, 784\)"),
        ("images", np.zeros((0, 28, 28), np.uint8), r"its shape is \(0, 28, 28\)"),
        ("labels", np.zeros(2, np.uint8), r"its shape is \(2,\), not \(3,\)"),
        ("labels", np.array([0, 1, 10], np.uint8), "label 10 is not a class"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, file, array, message):
    save(tmp_path)
    np.save(tmp_path / f"train_{file}.npy", array)
    with pytest.raises(UserError, match=f"train_{file}.npy: .*{message}"):
        load_split(tmp_path, "train")


@pytest.mark.parametrize("content", [b"", b"no array", "truncated"])
def test_an_unreadable_file_is_refused(tmp_path, content):
    save(tmp_path)
    path = tmp_path / "train_images.npy"
    path.write_bytes(path.read_bytes()[:1000] if content == "truncated" else content)
    with pytest.raises(UserError, match=r"train_images.npy: not a .npy file"):
        load_split(tmp_path, "train")


def test_a_pickle_is_not_opened(tmp_path):
    save(tmp_path)
    np.save(tmp_path / "train_images.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(UserError, match=r"not a \.npy file"):
        load_split(tmp_path, "train")
