import hashlib
import json

import numpy as np
import pytest

from mnist_core.data.dataset import load_bytes, load_dataset, load_manifest, load_split, save_dataset
from mnist_core.errors import UserError

COUNTS = {"train": 5, "validation": 2, "test": 3}
AGAIN = r"; prepare the data again \(dvc repro --force prepare\)$"


def some_splits(seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: (rng.integers(0, 256, (count, 28, 28), np.uint8), (np.arange(count) % 2).astype(np.uint8))
        for name, count in COUNTS.items()
    }


@pytest.fixture
def saved(tmp_path):
    splits = some_splits()
    save_dataset(tmp_path, splits)
    return splits


def test_pixels_become_fractions_and_labels_int64(tmp_path):
    splits = some_splits()
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 2, 5] = 255
    images[0, 3, 5] = 51
    save_dataset(tmp_path, splits | {"test": (images, np.array([1, 0], np.uint8))})
    split = load_split(tmp_path, "test")
    assert split.images.shape == (2, 28, 28, 1)
    assert split.images.dtype == np.float32
    assert split.images[0, 2, 5, 0] == 1.0
    assert split.images[0, 3, 5, 0] == np.float32(0.2)
    assert np.count_nonzero(split.images) == 2
    assert split.labels.dtype == np.int64
    assert split.labels.tolist() == [1, 0]


def test_stored_as_bytes(saved, tmp_path):
    assert np.load(tmp_path / "train_images.npy").dtype == np.uint8
    assert (tmp_path / "train_images.npy").stat().st_size == 128 + 5 * 784
    images, labels = load_bytes(tmp_path, "train")
    np.testing.assert_array_equal(images, saved["train"][0])
    assert labels.tolist() == [0, 1, 0, 1, 0]


def test_a_dataset_keeps_its_splits_apart(saved, tmp_path):
    dataset = load_dataset(tmp_path)
    assert [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)] == [5, 2, 3]
    np.testing.assert_array_equal(dataset.test.images[..., 0] * 255, saved["test"][0])


def test_the_manifest_says_what_the_data_are(saved, tmp_path):
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["dataset"], manifest["class_names"]) == ("mnist", list("0123456789"))
    assert manifest["test"] == {
        "num_images": 3,
        "class_counts": [2, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        "images_sha256": hashlib.sha256(saved["test"][0].tobytes()).hexdigest(),
        "labels_sha256": hashlib.sha256(b"\0\1\0").hexdigest(),
    }
    assert manifest["shared_images"] == {"train_validation": 0, "train_test": 0, "validation_test": 0}


def test_one_hash_for_all_images_and_labels_in_their_places(tmp_path):
    def hash_of(name, splits, **names):
        (tmp_path / name).mkdir()
        save_dataset(tmp_path / name, splits, **names)
        return load_dataset(tmp_path / name).sha256

    splits = some_splits()
    first = hash_of("a", splits)
    assert len(first) == 64
    assert hash_of("b", some_splits(), dataset="custom", class_names="abcde") == first
    images, labels = splits["train"]
    hashes = {
        first,
        hash_of("labels", splits | {"train": (images, 1 - labels)}),
        hash_of("order", splits | {"train": (images[::-1], labels)}),
        hash_of("exchanged", splits | {"test": splits["validation"], "validation": splits["test"]}),
    }
    assert len(hashes) == 4


@pytest.mark.parametrize("missing", ["train_images.npy", "train_labels.npy", "manifest.json"])
def test_a_missing_file_is_named(saved, tmp_path, missing):
    (tmp_path / missing).unlink()
    with pytest.raises(UserError, match=f"{missing}: no such file{AGAIN}"):
        load_split(tmp_path, "train")


def one_class(directory):
    np.save(directory / "train_labels.npy", np.zeros(5, np.uint8))
    return "train_labels.npy: changed since it was prepared"


def shuffled_labels(directory):
    np.save(directory / "train_labels.npy", np.array([1, 0, 0, 1, 0], np.uint8))
    return "train_labels.npy: changed since it was prepared"


def training_images_as_test_images(directory):
    np.save(directory / "test_images.npy", np.load(directory / "train_images.npy")[:3])
    return "test_images.npy: changed since it was prepared"


def fewer_images(directory):
    for kind in ("images", "labels"):
        np.save(directory / f"train_{kind}.npy", np.load(directory / f"train_{kind}.npy")[:4])
    return r"train_images.npy: not a .npy file \(it holds uint8 \(4, 28, 28\), not uint8 \(5, 28, 28\)\)"


def pixels_up_to_one(directory):
    np.save(directory / "test_images.npy", np.load(directory / "test_images.npy") // 128)
    return "test_images.npy: changed since it was prepared"


def fractions(directory):
    np.save(directory / "test_images.npy", np.load(directory / "test_images.npy") / np.float32(255))
    return r"test_images.npy: not a .npy file \(it holds float32 \(3, 28, 28\), not uint8 \(3, 28, 28\)\)"


def another_split_under_the_name(directory):
    (directory / "test_images.npy").write_bytes((directory / "train_images.npy").read_bytes())
    return r"test_images.npy: not a .npy file \(it holds uint8 \(5, 28, 28\)"


def edit_manifest(directory, change):
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def manifest_with_other_counts(directory):
    edit_manifest(directory, lambda manifest: manifest["train"].update(class_counts=[5] + [0] * 9))
    return "manifest.json: the class counts of train are not those of its labels"


def manifest_that_owns_up_to_shared_images(directory):
    edit_manifest(directory, lambda manifest: manifest["shared_images"].update(train_test=3))
    return "manifest.json: 3 of 3 test images are train images too"


def manifest_without_shared_images(directory):
    edit_manifest(directory, lambda manifest: manifest.update(shared_images={}))
    return "manifest.json: None of 2 validation images"


def manifest_with_another_key(directory):
    edit_manifest(directory, lambda manifest: manifest.update(more=1))
    return "manifest.json: more: unknown key"


def manifest_that_nests_deeply(directory):
    (directory / "manifest.json").write_text("[" * 100_000)
    return "manifest.json: not valid JSON"


FAULTS = [
    one_class,
    shuffled_labels,
    training_images_as_test_images,
    fewer_images,
    pixels_up_to_one,
    fractions,
    another_split_under_the_name,
    manifest_with_other_counts,
    manifest_that_owns_up_to_shared_images,
    manifest_without_shared_images,
    manifest_with_another_key,
    manifest_that_nests_deeply,
]


@pytest.mark.parametrize("change", FAULTS)
def test_data_changed_by_hand_are_refused_in_one_line(saved, tmp_path, change):
    message = change(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        load_dataset(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("; prepare the data again (dvc repro --force prepare)")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images, labels: (images * 0, labels), "all training images are black: every pixel is 0; mend the"),
        (lambda images, labels: (images // 128, labels), "the pixels of the training images are 0 to 1, not 0 to 255"),
        (lambda images, labels: (images, labels * 0), "all training images are of class 0"),
    ],
)
def test_data_that_teach_nothing_are_not_saved(tmp_path, change, message):
    splits = some_splits()
    with pytest.raises(UserError, match=rf"data\.dataset: {message}"):
        save_dataset(tmp_path, splits | {"train": change(*splits["train"])})


def test_a_label_without_a_name_is_not_saved(tmp_path):
    with pytest.raises(UserError, match=r"data\.class_names: no name for label 1; give one to each class"):
        save_dataset(tmp_path, some_splits(), class_names="a")


def with_class_2(splits, *names):
    """Return the splits with one image of class 2 more in each split that is named."""
    image, label = np.full((1, 28, 28), 9, np.uint8), np.array([2], np.uint8)
    more = {name: (np.concatenate([splits[name][0], image]), np.append(splits[name][1], label)) for name in names}
    return splits | more


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (["train", "test"], "no validation image of class 2 (cat); shuffle both training files alike, "),
        (["train", "validation"], "no test image of class 2 (cat); shuffle both test files alike, "),
        (["validation", "test"], "no training image of class 2 (cat); shuffle both training files alike, "),
        (["train"], "no validation image of class 2 (cat); shuffle both training files alike, "),
        (["validation"], "no training image of class 2 (cat); shuffle both training files alike, "),
        (["test"], "no training image of class 2 (cat); shuffle both training files alike, "),
    ],
)
def test_a_class_that_a_split_lacks_is_not_saved(tmp_path, where, message):
    with pytest.raises(UserError) as refused:
        save_dataset(tmp_path, with_class_2(some_splits(), *where), class_names=["ant", "bee", "cat"])
    more = "add images of this class to them, or use more of their images"
    assert str(refused.value) == f"data.dataset: {message}{more}"
    assert not (tmp_path / "manifest.json").exists()


def test_images_sorted_by_class_are_not_saved(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)
    labels = np.repeat(np.arange(10, dtype=np.uint8), 4)
    splits = {"train": (images[8:], labels[8:]), "validation": (images[:8], labels[:8]), "test": (255 - images, labels)}
    with pytest.raises(UserError, match=r"^data\.dataset: no training image of class 0; shuffle both training files"):
        save_dataset(tmp_path, splits)


def test_a_name_may_stand_for_no_image(tmp_path):
    save_dataset(tmp_path, some_splits(), class_names=["ant", "bee", "cat"])
    assert load_manifest(tmp_path).class_names == ("ant", "bee", "cat")


@pytest.mark.parametrize(("shared", "accepted"), [(1, True), (2, False)])
def test_one_image_in_a_hundred_may_be_in_two_splits(tmp_path, shared, accepted):
    splits = some_splits()
    images = np.random.default_rng(1).integers(0, 256, (100, 28, 28), np.uint8)
    images[10 : 10 + shared] = splits["train"][0][:shared]
    splits["test"] = images, (np.arange(100) % 2).astype(np.uint8)
    if accepted:
        save_dataset(tmp_path, splits)
        assert load_manifest(tmp_path).shared_images["train_test"] == 1
    else:
        with pytest.raises(UserError, match=r"data\.dataset: 2 of 100 test images are train images too; take out"):
            save_dataset(tmp_path, splits)


@pytest.mark.parametrize("content", [b"", b"no array", "truncated"])
def test_an_unreadable_file_is_refused(saved, tmp_path, content):
    path = tmp_path / "train_images.npy"
    path.write_bytes(path.read_bytes()[:1000] if content == "truncated" else content)
    with pytest.raises(UserError, match=r"train_images.npy: not a .npy file"):
        load_split(tmp_path, "train")


def test_a_pickle_is_not_opened(saved, tmp_path):
    np.save(tmp_path / "train_images.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(UserError, match=r"not a \.npy file"):
        load_split(tmp_path, "train")
