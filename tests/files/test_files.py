import io
import os
import struct
import tracemalloc
import zipfile
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, PositiveInt

from mnist_core.errors import UserError, printable
from mnist_core.files.arrays import read_array, read_arrays
from mnist_core.files.reading import Record, read_bytes, read_csv, read_json, read_text, read_yaml, validate
from mnist_core.files.writing import write_arrays
from mnist_core.published import sha256


def test_reads_what_was_written(tmp_path):
    (tmp_path / "x.json").write_text('{"1a": {"test_error": 7.5}}')
    (tmp_path / "x.csv").write_text("epoch,test_error\n1,7.5\n2,6.25\n")
    assert read_json(tmp_path / "x.json") == {"1a": {"test_error": 7.5}}
    assert read_csv(tmp_path / "x.csv", ["test_error"])["test_error"].to_list() == [7.5, 6.25]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", None, "x.json: no such file; run `dvc repro` to write it again"),
        (
            "x.json",
            "{",
            "x.json: not valid JSON (Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)); run `dvc repro` to write it again",
        ),
        ("x.csv", None, "x.csv: no such file; run `dvc repro` to write it again"),
    ],
)
def test_a_missing_or_broken_file_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as caught:
        read_json(path) if name.endswith("json") else read_csv(path, ["a", "b"])
    assert str(caught.value) == str(path.parent) + "/" + message


def npy(array, allow_pickle=False):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def npy_with_header(header, data=b"", version=1):
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def header(descr="'<f4'", shape="(3,)", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()


PLAIN = [
    np.float32([1.5, -2]),
    np.zeros((0, 3), np.uint8),
    np.array(7),
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.array([True, False]),
    np.array("text"),
    np.array([b"ab", b"c"]),
    np.arange(4, dtype=">u2"),
]


@pytest.mark.parametrize("array", PLAIN, ids=lambda array: f"{array.dtype}{array.shape}")
def test_plain_arrays_come_back_and_can_be_written_to(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    write_arrays(tmp_path / "x.npz", {"a": array, "b": np.arange(3)})
    for found in (read_array(tmp_path / "x.npy"), read_arrays(tmp_path / "x.npz")["a"]):
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)
        assert found.flags.writeable


def test_only_the_type_and_shape_that_are_asked_for(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((2, 3), np.float32))
    assert read_array(path, dtype=np.float32, shape=(2, 3)).shape == (2, 3)
    message = r"not a .npy file \(it holds float32 \(2, 3\), not "
    with pytest.raises(UserError, match=message + r"uint8 \(2, 3\)\); run `dvc repro`"):
        read_array(path, dtype=np.uint8)
    with pytest.raises(UserError, match=message + r"float32 \(3, 2\)\)"):
        read_array(path, shape=(3, 2))


HOSTILE_NPY = {
    "empty": b"",
    "text": b"no array",
    "pickle": npy(np.array([{"a": 1}]), allow_pickle=True),
    "complex": npy(np.zeros(3, complex)),
    "structured": npy(np.zeros(2, [("a", "f4")])),
    "dates": npy(np.zeros(2, "M8[s]")),
    "header with no end": npy_with_header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3"),
    "tokens": npy_with_header(b"{'descr': '<f4', (((("),
    "deep nesting": npy_with_header(b"(" * 60_000),
    "373 GiB": npy_with_header(header(shape="(100000000000,)"), bytes(12)),
    "beyond 64 bits": npy_with_header(header(shape="(999999999999999, 999999999999999)"), bytes(12)),
    "negative": npy_with_header(header(shape="(-3,)"), bytes(12)),
    "long integer": npy_with_header(header(shape=f"({'9' * 5000},)"), bytes(12)),
    "many dimensions": npy_with_header(header(shape=f"({', '.join(['1'] * 40)})"), bytes(4)),
    "nothing times everything": npy_with_header(header(shape="(0, 999999999999999, 999999999999999)")),
    "unknown type": npy_with_header(header(descr="'<f3'"), bytes(9)),
    "wide text": npy_with_header(header(descr="'<U999999999'"), bytes(12)),
    "too short": npy(np.zeros(3))[:-1],
    "too long": npy(np.zeros(3)) + b"x",
    "header cut off": npy(np.zeros(3))[:60],
    "another version, and 4 GB of header": b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    "an archive": b"PK\x05\x06" + bytes(18),
}


@pytest.mark.parametrize("name", HOSTILE_NPY)
def test_a_hostile_array_is_one_line(tmp_path, name):
    """Alone, and as a member of an archive."""
    (tmp_path / "x.npy").write_bytes(HOSTILE_NPY[name])
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", HOSTILE_NPY[name])
    for path, read, kind in (
        (tmp_path / "x.npy", read_array, "a .npy file"),
        (tmp_path / "x.npz", read_arrays, "an .npz file of arrays"),
    ):
        tracemalloc.start()
        with pytest.raises(UserError) as caught:
            read(path, "mend it")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert str(caught.value).startswith(f"{path}: not {kind} (")
        assert str(caught.value).endswith("); mend it")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500
        assert peak < 1_000_000  # none of the files is larger than 60 kB


def write_zip(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members:
            archive.writestr(name, data)


def foreign_member(path):
    write_zip(path, [("a.npy", npy(np.zeros(3))), ("\x1b[31mREADME", "x")])
    return r"its member '\\\\x1b\[31mREADME' is no array"


def member_twice(path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        write_zip(path, [("a.npy", npy(np.zeros(3)))] * 2)
    return "it has two members of one name"


def packed_bomb(path):
    write_zip(path, [("a.npy", npy(np.zeros(10_000_000, np.uint8)))], compression=zipfile.ZIP_DEFLATED)
    return "it unpacks to 10000128 bytes; at most "


def bomb_that_says_it_is_small(path):
    packed_bomb(path)
    content = path.read_bytes()
    assert content.count(struct.pack("<L", 10_000_128)) == 2  # in the member's header, and in the table of members
    path.write_bytes(content.replace(struct.pack("<L", 10_000_128), struct.pack("<L", 300)))
    return "Bad CRC-32 for file 'a.npy'"


def unknown_packing(path):
    write_zip(path, [("a.npy", npy(np.zeros(3)))], compression=zipfile.ZIP_LZMA)
    return "its member 'a.npy' is packed in an unknown way"


def flipped_bit(path):
    write_zip(path, [("a.npy", npy(np.zeros(30, np.uint8)))])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") - 1] ^= 1
    path.write_bytes(content)
    return "Bad CRC-32 for file 'a.npy'"


def table_of_members_only(path):
    write_zip(path, [])
    entry = b"PK\1\2" + bytes(24) + struct.pack("<H", 5) + bytes(16) + b"a.npy"
    table = entry * 40_000
    path.write_bytes(table + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 40_000, 40_000, len(table), 0, 0))
    return "its table of members is larger than 1048576 bytes"


def zip64(path):
    write_zip(path, [])
    path.write_bytes(struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1) + path.read_bytes())
    return "it is a zip64 file"


def cut_off(path):
    write_arrays(path, {"a": np.zeros(3)})
    path.write_bytes(path.read_bytes()[:-1])
    return "it is no zip file, or is cut off"


ARCHIVES = [
    foreign_member,
    member_twice,
    packed_bomb,
    bomb_that_says_it_is_small,
    unknown_packing,
    flipped_bit,
    table_of_members_only,
    zip64,
    cut_off,
]


@pytest.mark.parametrize("write", ARCHIVES)
def test_a_hostile_archive_is_one_line_and_takes_little_memory(tmp_path, write):
    path = tmp_path / "x.npz"
    message = write(path)
    tracemalloc.start()
    with pytest.raises(UserError, match=rf"x\.npz: not an .npz file of arrays \({message}") as caught:
        read_arrays(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert peak < 1_000_000


def test_packed_arrays_may_take_what_the_caller_allows(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=np.zeros(1000), b=np.ones(1000))
    assert read_arrays(path, max_bytes=16_256)["b"].sum() == 1000
    with pytest.raises(UserError, match="it unpacks to 16256 bytes; at most 16255 are expected"):
        read_arrays(path, max_bytes=16_255)


def test_memory_for_one_array_and_little_more(tmp_path):
    array = np.random.default_rng(0).random(1_000_000)
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", a=array)
    np.savez_compressed(tmp_path / "packed.npz", a=array)
    for name, read in (("x.npy", read_array), ("x.npz", read_arrays), ("packed.npz", read_arrays)):
        options = {} if name == "x.npy" else {"max_bytes": 8_000_128}
        tracemalloc.start()
        read(tmp_path / name, **options)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert 8_000_000 <= peak < 12_000_000, name


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "file"


def damaged(data, content):
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.sampled_from([start, start + 1, start + 1, start + 1, len(content)]))
        content = content[:start] + data.draw(st.binary(max_size=4)) + content[end:]
    return content


def read_or_refuse(path, read):
    try:
        return read(path)
    except UserError as error:
        message = str(error)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()  # a line's end is not
    return None


@settings(max_examples=200, deadline=None)  # the machine may be busy
@given(st.data())
def test_damaged_arrays_are_arrays_or_one_line(scratch, data):
    kinds = st.sampled_from(
        ["<f4", "<f8", ">i2", "|u1", "|b1", "<U3", "|S2", "<c8", "|O", "<M8[s]", "|V3", "<f16", "<U0"]
    )
    sizes = st.one_of(st.integers(-1, 5), st.integers(0, 10**30))
    shape = tuple(data.draw(st.lists(sizes, max_size=4)))
    text = header(repr(data.draw(kinds)), repr(shape), data.draw(st.sampled_from(["True", "False"])))
    content = npy_with_header(text, data.draw(st.binary(max_size=80)))
    scratch.write_bytes(
        data.draw(st.sampled_from([content, damaged(data, content), damaged(data, npy(np.zeros((2, 3))))]))
    )
    array = read_or_refuse(scratch, read_array)
    assert array is None or array.dtype.kind in "biufUS"


@settings(max_examples=200, deadline=None)  # the machine may be busy
@given(st.data(), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_damaged_archives_are_arrays_or_one_line(scratch, data, compression):
    content = io.BytesIO()
    write_zip(content, [("a.npy", npy(np.arange(12.0))), ("b.npy", npy(np.array("x")))], compression=compression)
    scratch.write_bytes(damaged(data, content.getvalue()))
    for array in (read_or_refuse(scratch, lambda path: read_arrays(path, max_bytes=1000)) or {}).values():
        assert array.dtype.kind in "biufUS"


def test_what_comes_from_outside_is_one_short_line_that_no_terminal_obeys():
    assert printable("\x1b[31mred\x1b]0;title\x07\n\tand\u202eback\x00") == (
        r"\x1b[31mred\x1b]0;title\x07 and\u202eback\x00"
    )
    assert printable("ein Übel: 手") == "ein Übel: 手"
    assert printable("x" * 400) == "x" * 297 + "..."
    assert printable(ValueError("a\r\nb"), 10) == "a b"


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize(
    "read",
    [read_text, read_json, read_yaml, read_bytes, read_arrays, lambda path: read_csv(path, ["a"]), sha256],
    ids=["text", "JSON", "YAML", "bytes", "arrays", "CSV", "hash"],
)
@pytest.mark.timeout(10)
def test_what_never_ends_is_not_read(tmp_path, kind, read):
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(UserError, match=r"x: not .* \(a device or a pipe\); "):
        read(path)


def test_a_key_twice_is_no_json(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"a": {"b": 1, "c": 2, "b": 1}}')
    with pytest.raises(UserError, match=r"x\.json: not valid JSON \(a key twice in one object\); run `dvc repro`"):
        read_json(path)


PERCENTS = {"model": str, "epoch": PositiveInt, "test_error": Annotated[float, Field(ge=0, le=100)]}


def test_columns_are_of_the_types_that_are_asked_for(tmp_path):
    (tmp_path / "x.csv").write_text('model,loss,epoch,test_error\n"1a",x,1,5\n2,,30,0.1\n')
    frame = read_csv(tmp_path / "x.csv", PERCENTS)
    assert frame.to_dict("list") == {"model": ["1a", "2"], "epoch": [1, 30], "test_error": [5.0, 0.1]}
    assert frame["test_error"].dtype == np.float64


NUMBER = "Input should be a valid number, unable to parse string as a number"
INTEGER = "Input should be a valid integer, unable to parse string as an integer"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "no column model"),
        ("model,epoch\n1a,1\n", "no column test_error"),
        ("model,epoch,test_error\n", "no rows"),
        ("model,epoch,test_error\n1a,1,2,3\n", "row 1 has 4 values, and the header 3"),
        ("model,epoch,test_error\n1a,1,2\n1a,2\n", "row 2 has 2 values, and the header 3"),
        ("model,epoch,test_error\n\n1a,1,2\n", "row 1 has 0 values, and the header 3"),
        ("model,epoch,test_error,epoch\n1a,1,2,1\n", "more than one column epoch"),
        ("model,epoch,test_error,x,x\n1a,1,2,0,0\n", "more than one column x"),
        ("model,epoch,test_error\n1a,1,True\n", f"test_error of row 1: {NUMBER} (found 'True')"),
        ("model,epoch,test_error\n1a,1,2\n1a,2,\n", f"test_error of row 2: {NUMBER} (found '')"),
        ("model,epoch,test_error\n1a,True,2\n", f"epoch of row 1: {INTEGER} (found 'True')"),
        ("model,epoch,test_error\n1a,1.5,2\n", f"epoch of row 1: {INTEGER} (found '1.5')"),
        ("model,epoch,test_error\n1a,0,2\n", "epoch of row 1: Input should be greater than 0 (found '0')"),
        ("model,epoch,test_error\n1a,1,nan\n", "test_error of row 1: Input should be a finite number (found 'nan')"),
        (
            "model,epoch,test_error\n1a,1,1e999\n",
            "test_error of row 1: Input should be a finite number (found '1e999')",
        ),
        *[
            (
                f"model,epoch,test_error\n1a,1,{error}\n",
                f"test_error of row 1: Input should be {limit} (found '{error}')",
            )
            for error, limit in [
                ("-77", "greater than or equal to 0"),
                ("2500", "less than or equal to 100"),
                ("1e308", "less than or equal to 100"),
            ]
        ],
        ('model,epoch,test_error\n"1a,1,2\n', "unexpected end of data"),
        ('model,epoch,test_error\n"1"a,1,2\n', "',' expected after '\"'"),
        ("," * 1000 + "\n", "1001 columns, and at most 100 are read"),
    ],
)
def test_a_table_that_is_none_is_one_line(tmp_path, content, fault):
    path = tmp_path / "x.csv"
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        read_csv(path, PERCENTS)
    assert str(caught.value) == f"{path}: not valid CSV ({fault}); run `dvc repro` to write it again"


@pytest.mark.timeout(30)  # the machine may be busy
@pytest.mark.parametrize("content", [",", ",\n", "a,", "a\n,", '"', "a\n1\n"])
def test_no_table_takes_long(tmp_path, content):
    """As long as any that is read, and one longer."""
    path = tmp_path / "x.csv"
    for size in ((1 << 21) - 10, 1 << 22):
        path.write_text(content * (size // len(content)))
        with pytest.raises(UserError, match=r"x\.csv: not valid CSV"):
            read_csv(path, ["a"])


@pytest.mark.parametrize("content", ['seed: !!int ""', 'seed: !!float "_"', "seed: !!int '-'", "seed: !!bool x"])
def test_yaml_of_a_type_that_its_text_is_not_is_one_line(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"params\.yaml: not valid YAML \(.*\); run from the project's root"):
        read_yaml(path)


@pytest.mark.parametrize(("remedy", "advice"), [("", "correct them"), ("run it again", "run it again")])
def test_a_thousand_wrong_keys_are_counted_and_none_is_named(remedy, advice, tmp_path):
    with pytest.raises(UserError, match=f": 1001 keys or values are wrong; {advice}$"):
        validate(dict.fromkeys(map(str, range(1001)), 1), Record, path=tmp_path, remedy=remedy)
