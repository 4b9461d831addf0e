import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mnist_core.data.idx import read_examples, read_idx
from mnist_core.errors import UserError


def encode(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "file"


def test_reads_a_file_written_out_by_hand(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(b"\0\0\x08\x03" + b"\0\0\0\x02" + b"\0\0\0\x01" + b"\0\0\0\x03" + bytes([1, 2, 3, 253, 254, 255]))
    np.testing.assert_array_equal(
        read_idx(path, num_dimensions=3), np.array([[[1, 2, 3]], [[253, 254, 255]]], np.uint8)
    )


@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)))
def test_reads_back_what_was_encoded(scratch, array):
    scratch.write_bytes(encode(array))
    decoded = read_idx(scratch, num_dimensions=array.ndim)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, array)


@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=4)), st.data())
def test_every_truncation_is_refused(scratch, array, data):
    content = encode(array)
    scratch.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(UserError, match=r"file: (truncated|starts with)"):
        read_idx(scratch, num_dimensions=3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with nothing, not with IDX magic number 00000801"),
        (b"\x1f\x8b\x08\x00rest", "starts with 1f8b0800"),
        (b"\0\0\x08\x03\0\0\0\0\0\0\0\0\0\0\0\0", "starts with 00000803"),  # three axes
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "starts with 00000d01"),  # float32
        (b"\0\0\x08\x01\0\0", "truncated within its header"),
        (b"\0\0\x08\x01\0\0\0\x02\x07", "truncated, 9 bytes instead of 10"),
        (b"\0\0\x08\x01\0\0\0\x02\x07\x07\x07", "oversized, 11 bytes instead of 10"),
        (b"\0\0\x08\x01\xff\xff\xff\xff", "truncated, 8 bytes instead of 4294967303"),
    ],
)
def test_a_faulty_file_is_named_in_one_line(tmp_path, content, message):
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_idx(path, num_dimensions=1)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="absent: no such file; fetch the data again"):
        read_idx(tmp_path / "absent", num_dimensions=1)


def write_pair(directory, images, labels):
    (directory / "images").write_bytes(encode(images))
    (directory / "labels").write_bytes(encode(labels))
    return directory / "images", directory / "labels"


def test_examples_are_images_with_their_labels(tmp_path):
    images = np.full((3, 28, 28), 255, np.uint8)
    found_images, found_labels = read_examples(*write_pair(tmp_path, images, np.array([0, 9, 4], np.uint8)))
    np.testing.assert_array_equal(found_images, images)
    assert found_labels.tolist() == [0, 9, 4]


@pytest.mark.parametrize(
    ("shape", "labels", "culprit", "message"),
    [
        ((2, 28, 27), [1, 2], "images", "its images are 28x27, not 28x28"),
        ((2, 784, 1), [1, 2], "images", "its images are 784x1, not 28x28"),
        ((2, 28, 28), [1, 2, 3], "labels", "3 labels for 2 images"),
        ((2, 28, 28), [1, 10], "labels", "label 10 is not a class"),
    ],
)
def test_examples_that_do_not_fit_are_refused(tmp_path, shape, labels, culprit, message):
    paths = write_pair(tmp_path, np.zeros(shape, np.uint8), np.array(labels, np.uint8))
    with pytest.raises(UserError, match=f"{culprit}: {message}"):
        read_examples(*paths)
