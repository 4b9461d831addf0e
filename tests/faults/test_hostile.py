"""Hostile files by the thousand: each is read as what it claims to be, or refused in one short line."""

import csv
import gzip
import io
import json
import math
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from pydantic import TypeAdapter

from mnist_core.candidates import Choice, Hyperparameters, Search
from mnist_core.data.dataset import SPLIT_NAMES, Manifest, load_split, save_dataset
from mnist_core.data.download import SourceFault
from mnist_core.data.idx import read_idx
from mnist_core.data.sources import _members
from mnist_core.errors import UserError
from mnist_core.files.arrays import read_array, read_arrays
from mnist_core.files.reading import read_csv, read_record, read_yaml
from mnist_core.networks.architectures import Dense, architecture_to_dicts, parameter_shapes
from mnist_core.networks.model_file import Provenance, check_weights, load_model
from mnist_core.params import load_params
from mnist_core.predict.pictures import FORMATS, decode
from mnist_core.published import PublishedModel
from mnist_core.records import GradientChecks, ModelScores, Scores, Twins, read_confusion
from mnist_core.report.results import read_trials
from mnist_core.training.checkpoints import Checkpoints, kept_runs
from mnist_core.training.history import EpochRecord
from mnist_core.training.run import TrainingRun, TrainingSetup, TrainingState
from tests.projects import ROOT, squares
from tests.records import SCORES, model_scores, search_record
from tools import watch


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@st.composite
def damaged(draw, contents):
    """Bytes with up to four pieces replaced, cut out or cut off."""
    content = draw(contents)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.sampled_from([start, start + 1, start + 1, start + 1, len(content)]))
        content = content[:start] + draw(st.binary(max_size=4)) + content[end:]
    return content


IDX_SIZES = st.one_of(st.integers(0, 4), st.integers(0, 2**32 - 1))


@st.composite
def idx_files(draw):
    sizes = draw(st.lists(IDX_SIZES, min_size=1, max_size=4))
    magic = draw(
        st.sampled_from([bytes([0, 0, 8, 3]), bytes([0, 0, 8, 3]), bytes([0, 0, 8, len(sizes)]), b"\0\0\x0d\3"])
    )
    size = math.prod(sizes)
    numbers = st.binary(max_size=60) if size > 60 else st.binary(min_size=size, max_size=size)
    content = magic + struct.pack(f">{len(sizes)}I", *sizes) + draw(numbers)
    return gzip.compress(content, 1) if draw(st.booleans()) else content


def check_idx(path):
    array = read_idx(path, num_dimensions=3)
    assert (array.dtype, array.ndim) == (np.uint8, 3)
    assert array.nbytes < 1000  # no more than was there


DTYPES = ["<f4", "<f8", ">i2", "|u1", "|b1", "<U3", "|S2", "<c8", "|O", "<M8[s]", "|V3", "<f16", "<U0", "<U999999999"]


@st.composite
def npy_files(draw):
    shape = tuple(draw(st.lists(st.one_of(st.integers(-1, 5), st.integers(0, 10**30)), max_size=4)))
    header = {"descr": draw(st.sampled_from(DTYPES)), "fortran_order": draw(st.booleans()), "shape": shape}
    text = f"{header!r}\n".replace("}", ", }").encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + draw(st.binary(max_size=80))


def check_array(path):
    assert read_array(path).dtype.kind in "biufUS"


def check_arrays(path):
    for array in read_arrays(path, max_bytes=1000).values():
        assert array.dtype.kind in "biufUS"


ARRAYS = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]).map(
    partial(zipped, {"a.npy": npy(np.arange(12.0)), "b.npy": npy(np.array("x"))})
)

# Control characters in keys are left out: see the last test.
KEYS = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | KEYS | st.sampled_from([10**30, -1, 0, 1e300, "nan"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(KEYS, values, max_size=3),
    max_leaves=5,
)


def places(content, path=()):
    """Yield the path of every value in something that came from JSON."""
    yield path
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from places(value, (*path, key))


def edited(content, path, edit):
    """Return a copy of the content in which `edit` has changed the value at a path; None takes it out."""
    if not path:
        return edit(content)
    first, *rest = path
    copy = content.copy()
    copy[first] = edited(copy[first], rest, edit)
    if not rest and copy[first] is None:
        del copy[first]
    return copy


def added(old, key, new):
    return old | {key: new} if isinstance(old, dict) else [old, new]


@st.composite
def changed(draw, content):
    """JSON with one or two values replaced, removed or added."""
    for _ in range(draw(st.integers(1, 2))):
        path, new, key = draw(st.sampled_from(list(places(content)))), draw(JSON), draw(KEYS)
        replace = draw(st.booleans())
        content = edited(content, path, partial(added, key=key, new=new) if not replace else lambda old, new=new: new)
    return content


def as_json(content):
    return json.dumps(content).encode()


def check_finite(content):
    if isinstance(content, dict | list | tuple):
        for value in content.values() if isinstance(content, dict) else content:
            check_finite(value)
    assert not isinstance(content, float) or math.isfinite(content)


CANDIDATES = [{"learning_rate": 0.1, "epochs": 3, "validation_error": 1.5}]
FAILURE = {"learning_rate": 1.0, "epochs": 3, "seed": 1, "failure": "dead", "epoch": 1}
SPLIT = {"num_images": 10, "class_counts": [1] * 10, "images_sha256": "a" * 64, "labels_sha256": "b" * 64}
RECORDS = {
    ModelScores: model_scores("2b", "ab" * 32),
    dict[str, Scores]: {"1a": SCORES, "2a": SCORES},
    Search: search_record("2b", CANDIDATES),
    Choice: {"model": "2b", **CANDIDATES[0], "failures": [FAILURE]},
    Manifest: {
        "dataset": "mnist",
        "class_names": ["a", "b"],
        **dict.fromkeys(SPLIT_NAMES, SPLIT),
        "shared_images": {"train_test": 0},
    },
    GradientChecks: json.loads((ROOT / "metrics/gradients.json").read_text()),
    dict[str, Twins]: json.loads((ROOT / "metrics/parity.json").read_text()),
    dict[str, PublishedModel]: {
        "2b": {"sha256": "a" * 64, "test_error": 1.0, "seed": 1, "learning_rate": 0.1, "epochs": 3}
    },
}
ADAPTERS = {kind: TypeAdapter(kind) for kind in RECORDS}


@st.composite
def records(draw):
    kind = draw(st.integers(0, len(RECORDS) - 1))
    return bytes([kind]) + draw(changed(list(RECORDS.values())[kind]).map(as_json))


def check_record(path):
    content = path.read_bytes()
    kind = list(RECORDS)[content[0] % len(RECORDS)] if content else ModelScores
    path.write_bytes(content[1:])
    check_finite(ADAPTERS[kind].dump_python(read_record(path, kind)))


CONFUSION = "actual,predicted,count\n" + "".join(f"{a},{p},{a + p}\n" for a in range(10) for p in range(10))
TRIALS = "learning_rate,epoch,validation_error,best\n0.1,1,5.0,0\n0.1,2,2.0,0\n0.1,3,1.5,1\n"
SEARCH = TypeAdapter(Search).validate_python(search_record("2b", CANDIDATES))
CELLS = st.sampled_from(
    [
        "1e308",
        "-77",
        "2500",
        "true",
        "0.1",
        "2",
        "nan",
        "inf",
        "-1",
        "0.5",
        "1e999",
        "",
        "x",
        '"',
        "9" * 30,
        "\x1b[31m",
        "1,2",
        "\0",
        "True",
    ]
)


@st.composite
def tables(draw):
    """A table with cells replaced, rows that are longer or shorter, columns twice, or far too many of them."""
    table = draw(st.sampled_from([CONFUSION, TRIALS]))
    rows = [line.split(",") for line in table.splitlines()]
    for _ in range(draw(st.integers(0, 3))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
        place = draw(st.integers(0, len(row) - 1))
        how = draw(st.sampled_from(["replace", "replace", "insert", "remove", "repeat", "widen"]))
        if how == "replace":
            row[place] = draw(CELLS)
        elif how == "insert":
            row.insert(place, draw(CELLS))
        elif how == "remove" and len(row) > 1:
            del row[place]
        elif how == "repeat":
            for each in rows:
                each.append(each[min(place, len(each) - 1)])
        elif how == "widen":
            rows[0] += [""] * draw(st.sampled_from([1, 100, 100_000]))
    return "\n".join(map(",".join, rows)).encode()


def check_table(path):
    """What is read of it stands in the file where a careful reader looks for it."""
    text = path.read_bytes().decode(errors="replace")
    if not text.startswith("learning_rate"):
        counts = read_confusion(path)
        assert (counts >= 0).all()
        columns, frame = ["actual", "predicted", "count"], read_csv(path, ["actual", "predicted", "count"])
    else:
        frame = read_trials(path, SEARCH)
        columns = list(frame)
        assert frame["validation_error"].between(0, 100).all()
        assert frame["epoch"].to_list() == [1, 2, 3]
    header, *rows = csv.reader(io.StringIO(text))
    assert len(set(header)) == len(header) <= 100
    assert {len(row) for row in rows} == {len(header)}
    for column in columns:
        assert [float(row[header.index(column)]) for row in rows] == frame[column].to_list()


ARCHITECTURE = (Dense(3, "relu"), Dense(10))
WEIGHTS = {name: np.ones(shape, np.float32) for name, shape in parameter_shapes(ARCHITECTURE).items()}
PROVENANCE = Provenance(model="2b", seed=1, learning_rate=0.1, epochs=3, batch_size=20, data_sha256="ab")
TEXTS = {"architecture": architecture_to_dicts(ARCHITECTURE), "provenance": PROVENANCE.model_dump()}
ODD_ARRAYS = st.sampled_from(
    [
        np.full(10, value, dtype)
        for value, dtype in [(np.nan, "f4"), (np.inf, "f4"), (1e300, "f8"), (1, "c8"), (1, "i4"), (1, "f2"), (0, ">f4")]
    ]
    + [np.ones((10, 1), "f4"), np.ones(9, "f4"), np.zeros(0, "f4"), np.array("text"), np.ones(10, "f4")]
)


def text_array(content):
    return np.frombuffer(as_json(content), np.uint8)


@st.composite
def with_odd_arrays(draw, texts, weights, names):
    """An .npz file, one or two of its texts and `names` replaced, removed or added: zip is slow to damage else."""
    arrays = {name: text_array(content) for name, content in texts.items()} | weights
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from([*texts, *texts, *names]))
        how = draw(st.sampled_from(["replace", "replace", "remove"]))
        if how == "remove":
            arrays.pop(name, None)
        elif name in texts:
            arrays[name] = draw(changed(texts[name]).map(text_array))
        else:
            arrays[name] = draw(ODD_ARRAYS)
    compression = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    return zipped({f"{name}.npy": npy(array) for name, array in arrays.items()}, compression)


MODELS = with_odd_arrays(TEXTS, WEIGHTS, ["dense_1.kernel", "dense_2.bias", "dense_9.bias"])


def check_model(path):
    architecture, weights = load_model(path, {"model": "2b", "seed": 1, "data_sha256": "ab"})
    assert {name: array.shape for name, array in weights.items()} == parameter_shapes(architecture)
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in weights.values())


RUN = TrainingRun(
    TrainingSetup("numpy", ARCHITECTURE, ROOT / "no data", batch_size=20),
    Hyperparameters(learning_rate=0.1, epochs=3, momentum=0.9),
    seed=1,
    evaluate_on=("validation",),
)
STATE = TrainingState(
    WEIGHTS, tuple(EpochRecord(epoch, 2 / epoch, {"validation": 0.5}) for epoch in (1, 2)), velocity=WEIGHTS
)


def checkpoint():
    """The name of a checkpoint, what it says in JSON, and its arrays."""
    with TemporaryDirectory() as directory:
        Checkpoints(Path(directory)).save(RUN, STATE)
        (file,) = Path(directory).iterdir()
        arrays = read_arrays(file)
        return file.name, json.loads(arrays.pop("progress").tobytes()), arrays


CHECKPOINT, PROGRESS, KEPT_ARRAYS = checkpoint()
CHECKPOINTS = with_odd_arrays(
    {"progress": PROGRESS}, KEPT_ARRAYS, ["dense_1.kernel", "velocity/dense_2.bias", "dense_9.bias"]
)


def check_checkpoint(path):
    state = Checkpoints(path.parent).load(RUN)
    for kept_run in kept_runs(path.parent):
        check_finite(kept_run.model_dump())
        assert watch.lines(path.parent.parent)[1].isprintable()
    if state is None:
        raise UserError(f"{path}: the run begins anew")
    for arrays in (state.weights, state.velocity):
        if arrays or not state.failure:
            check_weights(path, ARCHITECTURE, arrays)
    check_finite([asdict(record) for record in state.records])
    assert [record.epoch for record in state.records] == list(range(1, len(state.records) + 1))
    assert len(state.records) <= RUN.num_epochs


IMAGES, LABELS = squares(np.random.default_rng(0), 3)


@st.composite
def prepared_arrays(draw):
    array = draw(st.sampled_from([IMAGES, IMAGES[:2], IMAGES[::-1], IMAGES // 128, IMAGES / np.float32(255), LABELS]))
    content = npy(array)
    return draw(st.sampled_from([content, content[: draw(st.integers(0, len(content)))], content + b"x"]))


def check_prepared_array(path):
    if not (path.parent / "manifest.json").exists():
        splits = {"train": (IMAGES, LABELS), "validation": (255 - IMAGES, LABELS), "test": (IMAGES // 2, LABELS)}
        content = path.read_bytes()
        save_dataset(path.parent, splits)
        path.write_bytes(content)
    split = load_split(path.parent, "train")
    np.testing.assert_array_equal(split.images[..., 0] * 255, IMAGES)


PARAMS = read_yaml(ROOT / "params.yaml")
PARAMS["profiles"] = {"quick": PARAMS["profiles"]["quick"]}  # pure Python reads a YAML file in 10 to 80 ms
PARAMS["profile"] = "quick"


def check_params(path):
    params = load_params(path)
    assert params.active.train.seeds
    check_finite(params.model_dump())


@st.composite
def npm_archives(draw):
    file = io.BytesIO()
    with tarfile.open(
        fileobj=file, mode="w", format=draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
    ) as tar:
        for name in ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
            member = tarfile.TarInfo(f"package/data/{name}")
            member.size = 5
            member.type = draw(st.sampled_from([tarfile.REGTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]))
            tar.addfile(member, io.BytesIO(b"bytes"))
    return gzip.compress(draw(damaged(st.just(file.getvalue()))), 1)


def pictures():
    """Small pictures in each format that we read, with what comes with pictures: palettes, profiles, EXIF, frames."""
    grey = Image.fromarray(np.arange(0, 192, 3, dtype=np.uint8).reshape(8, 8))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    extras = {
        "PNG": [{"transparency": 3}, {"icc_profile": b"profile", "exif": exif}],
        "JPEG": [{"progressive": True}, {"icc_profile": b"profile", "exif": exif}],
        "GIF": [{"transparency": 3}, {"save_all": True, "append_images": [grey.rotate(90)]}],
        "WEBP": [{"lossless": True}, {"icc_profile": b"profile", "exif": exif}],
        "BMP": [],
    }
    for kind in FORMATS:
        for mode, options in product(("L", "P", "RGB"), ({}, *extras[kind])):
            file = io.BytesIO()
            with suppress(OSError, ValueError):  # the format does not have the mode, nor its transparency
                grey.convert(mode).save(file, kind, **options)
                yield file.getvalue()


PNG_START = b"\x89PNG\r\n\x1a\n"


def with_checksums(content):
    """Return a PNG whose checksums are right again, so that what is damaged gets further than to them."""
    at, parts = len(PNG_START), [content[: len(PNG_START)]]
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        parts += [content[at:end], struct.pack(">I", zlib.crc32(content[at + 4 : end]))]
        at = end + 4
    return b"".join(parts)


METADATA = st.builds(
    lambda start, end: start + end,
    st.sampled_from([b"", b"II*\0", b"II+\0", b"MM\0*", b"Exif\0\0II*\0\x08\0\0\0", b"x\0\0"]),
    st.binary(max_size=4),
)


@st.composite
def damaged_pictures(draw):
    """Pictures with pieces replaced, inserted or cut off; a PNG perhaps with another chunk, and right checksums."""
    content = draw(st.sampled_from(PICTURES))
    if not content.startswith(PNG_START) or draw(st.booleans()):
        return draw(damaged(st.just(content)))
    if draw(st.booleans()):
        return with_checksums(draw(damaged(st.just(content))))
    kind = draw(st.sampled_from([b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"zTXt", b"iTXt", b"acTL", b"fcTL", b"cHRM"]))
    new = draw(METADATA)
    place = content.index(b"IEND" if draw(st.booleans()) else b"IDAT") - 4
    return with_checksums(content[:place] + struct.pack(">I", len(new)) + kind + new + bytes(4) + content[place:])


PICTURES = list(pictures())


def check_picture(path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)  # what may fill memory by right, takes seconds
        try:
            picture = decode(path.read_bytes())
        except UserError as error:
            raise UserError(f"{path}: {error}") from error  # as the command says it
    assert (picture.dtype, picture.ndim, picture.shape[2]) == (np.uint8, 3, 4)
    assert 0 < picture.size <= 4 * 100_000


@dataclass(frozen=True)
class Kind:
    """A kind of file: how to make hostile ones, who reads them and checks the result; `all`: tried by `make faults`."""

    name: str
    files: st.SearchStrategy[bytes]
    check: Callable[[Path], Any]
    all: int
    file: str = "file"
    refusal: type[Exception] = UserError


KINDS = [
    *[Kind("IDX", st.one_of(idx_files(), damaged(idx_files())), check_idx, 10_000)] * 10,
    Kind("model", st.one_of(MODELS, MODELS, damaged(MODELS)), check_model, 10_000),
    Kind(
        "prepared array",
        st.one_of(prepared_arrays(), damaged(prepared_arrays())),
        check_prepared_array,
        10_000,
        "train_images.npy",
    ),
    Kind("array", st.one_of(npy_files(), damaged(npy_files())), check_array, 10_000),
    Kind("archive of arrays", damaged(ARRAYS), check_arrays, 10_000),
    Kind("metrics and records", st.one_of(records(), records(), damaged(records())), check_record, 10_000),
    Kind("table", st.one_of(tables(), tables(), damaged(tables())), check_table, 10_000),
    *[Kind("params", changed(PARAMS).map(as_json), check_params, 2_500)] * 3,
    Kind("params", damaged(st.just(as_json(PARAMS))), check_params, 2_500),
    Kind("picture", damaged_pictures(), check_picture, 10_000),
    Kind("npm archive", npm_archives(), _members, 10_000, refusal=SourceFault),
    Kind(
        "checkpoint",
        st.one_of(CHECKPOINTS, CHECKPOINTS, damaged(CHECKPOINTS)),
        check_checkpoint,
        2_000,
        f"train-2b/{CHECKPOINT}",
    ),
]
QUICK = {"IDX": 20, "params": 10}


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("number", range(len(KINDS)), ids=lambda number: f"{KINDS[number].name} {number}")
def test_a_hostile_file_is_what_it_claims_or_one_line(number, tmp_path, trying, all_faults):
    kind = KINDS[number]
    path = tmp_path / kind.file
    path.parent.mkdir(exist_ok=True)
    said = []
    with trying(f"hostile file: {kind.name}", hostile=True) as attempt:

        @seed(number)
        @settings(
            max_examples=kind.all if all_faults else QUICK.get(kind.name, 100),
            deadline=None,  # the machine may be busy
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        @given(kind.files)
        def read(content):
            attempt.times = len(said) + 1
            path.write_bytes(content)
            try:
                kind.check(path)
            except kind.refusal as error:
                said.append(str(error))
                assert said[-1].isprintable()  # a line's end is not
                assert len(said[-1]) < 1000
                assert kind.refusal is SourceFault or said[-1].startswith(f"{path}: ")
            else:
                said.append("")

        read()
        attempt.times = len(said)
        attempt.message = next(filter(None, said), "").replace(str(path), path.name)
    assert any(said)  # some are refused
    assert not all(said) or not all_faults  # and some are not


UNITS = ("architectures", "b", 0, "units")
TOO_MUCH = {
    "a key that a terminal obeys": edited(PARAMS, ["data"], lambda old: old | {"\x1b[31m\nkey": 1}),
    "a value of 100 kB": edited(PARAMS, ["data", "dataset"], lambda old: "x" * 100_000),
    "units of 400 digits": edited(PARAMS, UNITS, lambda old: 10**400),
    "units of 100 kB of lists": edited(PARAMS, UNITS, lambda old: [[1, 2]] * 10_000),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_is_shown_of_a_file_is_short_and_no_terminal_obeys_it(name, tmp_path, trying):
    path = tmp_path / "params.yaml"
    path.write_bytes(as_json(TOO_MUCH[name]))
    with trying(f"params: {name}") as attempt:
        with pytest.raises(UserError) as refused:
            load_params(path)
        attempt.message = ascii(str(refused.value))
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 1000
