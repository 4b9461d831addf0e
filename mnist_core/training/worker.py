"""What runs on a worker process: it says what it is, receives the data, and does jobs on one thread.

A worker may be anybody's process on another machine. Equal code and libraries, equal data and one thread are what makes
its bytes those of a local worker, so all three are seen to here.
"""

import hashlib
import os
import platform
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from distributed import get_worker
from threadpoolctl import threadpool_limits

from mnist_core.files.reading import content_hash, read_bytes
from mnist_core.files.writing import output_directory, write_bytes
from mnist_core.training.loop import data_placed

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_LIBRARIES = ("numpy", "tensorflow", "keras", "h5py", "distributed")


def _code_digest() -> str:
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + read_bytes(path) + b"\0")
    return digest.hexdigest()[:12]


_CODE = _code_digest()  # now: the files of a process that lives long may change after it has read them
_received: dict[str, Path] = {}  # hash -> directory


class NotAdmitted(Exception):
    """The worker that was asked for a job has come to the address of another, which was admitted."""


@cache
def versions() -> dict[str, str]:
    """Return everything besides parameters and data that may change a result: name -> version."""
    found = {"code": _CODE, "machine": platform.machine(), "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


@cache
def hash_of(directory: Path) -> str:
    """Return the hash of the data in a directory; they do not change while a stage runs."""
    return content_hash(directory)


def join(data_sha256: str) -> tuple[dict[str, str], bool]:
    """Return this worker's versions, and whether it has these data already."""
    os.environ.update(ONE_THREAD)  # TensorFlow is told by it, when it is imported
    return versions(), data_sha256 in _received


def receive(data_sha256: str, contents: Mapping[str, bytes]) -> None:
    """Keep the files of a data directory as long as this process lives."""
    directory = Path(get_worker().local_directory) / f"data-{data_sha256}"
    with output_directory(directory) as temporary:
        for name, content in contents.items():
            write_bytes(temporary / name, content)
        if content_hash(temporary) != data_sha256:
            raise ValueError("the data were damaged on their way")
    _received[data_sha256] = directory


def perform(
    function: Callable[..., Any], arguments: tuple[Any, ...], data_sha256: str, expected: Mapping[str, str]
) -> Any:
    """Do a job on one thread, with the data received earlier.

    Raises:
        NotAdmitted: the versions here are not those expected, or there are no such data.
    """
    if versions() != expected or data_sha256 not in _received:
        raise NotAdmitted
    with threadpool_limits(1), data_placed(_received[data_sha256]):
        return function(*arguments)
