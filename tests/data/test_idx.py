import gzip
import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mnist_core.data.idx import encode_idx, read_at_most, read_examples, read_idx
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


def test_encodes_by_hand():
    assert encode_idx(np.array([[1, 2, 255]], np.uint8)) == b"\0\0\x08\x02\0\0\0\1\0\0\0\3\1\2\xff"


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
        (b"\x1f\x8b\x08\x00rest", "not an IDX file (Compressed file ended before"),
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


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_gzip_is_known_by_its_content(tmp_path, suffix):
    path = tmp_path / f"labels{suffix}"
    path.write_bytes(gzip.compress(encode(np.array([3, 1, 4], np.uint8))))
    assert read_idx(path, num_dimensions=1).tolist() == [3, 1, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x02\x07", mtime=0), "truncated, 9 bytes instead of 10"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x02" + bytes(99), mtime=0), "oversized, more bytes instead of 10"),
        (gzip.compress(encode(np.zeros(9, np.uint8)), mtime=0)[:-9], "not an IDX file (Compressed file ended"),
        (
            gzip.compress(b"\0\0\x08\x01\xff\xff\xff\xff", mtime=0),
            "it unpacks to 4294967303 bytes; at most 1073741824 are read",
        ),
        (gzip.compress(b"\x1f\x8b", mtime=0), "starts with 1f8b, not with"),
        (b"\x1f\x8b", "not an IDX file (Compressed file ended"),
    ],
)
def test_a_faulty_gzip_file_is_named_in_one_line(tmp_path, content, message):
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_idx(path, num_dimensions=1)
    assert f"{path}: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("header", [b"\0\0\x08\x01\x3f\0\0\0", b"\0\0\x08\x01\0\0\0\x09"])
def test_a_file_that_lies_about_its_size_takes_little_memory(tmp_path, header):
    """A bomb that says 9 bytes and unpacks to 60 MB, and one that says 1 GB and has 60 MB: memory for what there is."""
    path = tmp_path / "labels"
    path.write_bytes(gzip.compress(header + bytes(60_000_000), 1))
    small = header.endswith(b"\x09")
    tracemalloc.start()
    with pytest.raises(UserError, match="oversized" if small else "truncated"):
        read_idx(path, num_dimensions=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (2_000_000 if small else 150_000_000)  # a growing bytearray takes up to twice its content


@settings(max_examples=200, deadline=None)  # the machine may be busy
@given(st.data(), st.booleans())
def test_hostile_bytes_are_an_array_or_one_line(scratch, data, packed):
    dimensions = data.draw(st.integers(1, 4))
    sizes = st.one_of(st.integers(0, 4), st.integers(0, 2**32 - 1))
    header = bytes([0, 0, 8, dimensions]) + b"".join(data.draw(sizes).to_bytes(4, "big") for _ in range(dimensions))
    content = data.draw(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(header.__add__)))
    content = gzip.compress(content) if packed else content
    for _ in range(data.draw(st.integers(0, 3))):  # damaged here and there
        position = data.draw(st.integers(0, max(0, len(content) - 1)))
        content = content[:position] + data.draw(st.binary(max_size=2)) + content[position + 1 :]
    scratch.write_bytes(content)
    try:
        array = read_idx(scratch, num_dimensions=dimensions)
    except UserError as error:
        message = str(error)
    else:
        message = f"{scratch}: "
        assert array.dtype == np.uint8
        assert array.ndim == dimensions
    assert message.startswith(f"{scratch}: ")
    assert message.isprintable()  # a line's end is not


def test_a_stream_is_read_up_to_its_limit_and_no_further():
    stream = io.BytesIO(bytes(5_000_000))
    assert len(read_at_most(stream, 3_000_000)) == stream.tell() == 3_000_000
    assert len(read_at_most(stream, 3_000_000)) == 2_000_000


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
        ((2, 28, 28), [1, 10], "labels", "label 10 is not a class from 0 to 9;"),
    ],
)
def test_examples_that_do_not_fit_are_refused(tmp_path, shape, labels, culprit, message):
    paths = write_pair(tmp_path, np.zeros(shape, np.uint8), np.array(labels, np.uint8))
    with pytest.raises(UserError, match=f"{culprit}: {message}"):
        read_examples(*paths)
