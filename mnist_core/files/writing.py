"""Writes files, whole or not at all."""

import ctypes
import errno
import glob
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from mnist_core.arrays import Array
from mnist_core.errors import UserError, printable

if TYPE_CHECKING:
    import pandas as pd


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file as it is."""
    path.write_bytes(content)


def remove_directory(path: Path) -> None:
    """Remove a directory with all in it, if it is there."""
    shutil.rmtree(path, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    path.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON that ends in a newline."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_csv(frame: "pd.DataFrame", path: Path) -> None:
    """Write a frame with Unix line ends and no index."""
    frame.to_csv(path, index=False, lineterminator="\n")


def write_array(path: Path, array: Array) -> None:
    """Write an .npy file; equal arrays give equal bytes."""
    content = io.BytesIO()  # on a full disk NumPy's own writing to a file does not say what is wrong
    np.save(content, array, allow_pickle=False)
    path.write_bytes(content.getbuffer())


def write_arrays(path: Path, arrays: dict[str, Array]) -> None:
    """Write an .npz file; equal arrays give equal bytes."""
    with path.open("wb") as file:  # a file object: np.savez would append ".npz" to another suffix
        np.savez(file, allow_pickle=False, **arrays)


@contextmanager
def output_directory(path: Path, *, size: int = 0) -> Iterator[Path]:
    """Give an empty directory beside `path` that replaces `path` once the block has succeeded, and is removed if not.

    A failure, Ctrl-C included, leaves `path` as it was. Where the system can exchange two names, `path` never misses.
    Long work belongs inside the block: where nothing can be written, it does not start.

    Args:
        path: the directory.
        size: bytes that will be written; so many must be free.

    Raises:
        UserError: the directory cannot be made, or a file in it cannot be written, for want of room or permission.
    """
    _refuse_device(path)
    with _beside(path, size) as temporary:
        temporary.mkdir()  # a child: mkdtemp's own directory is closed to other users
        yield temporary
        if _exchange(temporary, path):
            return
        with _writing(path):
            if path.exists():
                path.rename(temporary.with_name(f"{path.name}.old"))  # removed at the end, with what is around it
            temporary.rename(path)


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Give a file name beside `path` that becomes `path` once the block has succeeded; as `output_directory`."""
    _refuse_device(path)
    with _beside(path) as temporary:  # the same name: writers such as Keras go by the suffix
        yield temporary
        with _writing(path):
            temporary.replace(path)


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Give an empty directory that nobody else can read, for as long as the block lasts."""
    with _beside(Path(tempfile.gettempdir()) / "mnist") as path:
        path.mkdir(0o700)
        yield path


def _refuse_device(path: Path) -> None:
    with _writing(path):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UserError(f"{path}: a device or a pipe, which a file would replace; name another place")


@contextmanager
def _beside(path: Path, size: int = 0) -> Iterator[Path]:
    with _writing(path):  # whatever the reason
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        # Beside, not in /tmp: a rename is atomic only within one file system.
        prefix = f".{path.name}.{os.getpid()}."
        scratch = tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent, ignore_cleanup_errors=True)
    with scratch as parent, _in_use(parent), _writing(path, _NO_ROOM):
        if (free := shutil.disk_usage(parent).free) < size:
            needed, free_size = (tqdm.format_sizeof(number, "B") for number in (size, free))
            raise OSError(errno.ENOSPC, f"{needed} needed, {free_size} free")
        try:
            yield Path(parent) / path.name
        except FileNotFoundError as error:
            if Path(parent).exists():
                raise
            raise UserError(f"{path}: what was being written beside it is gone; run again") from error


_used_here: set[Path] = set()  # directories beside outputs, of this process


@contextmanager
def _in_use(directory: str) -> Iterator[None]:
    path = Path(directory).absolute()
    _used_here.add(path)
    try:
        yield
    finally:
        _used_here.discard(path)


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""What cannot be a fault of the program that writes: disk, quota or size limit are used up, or the disk fails."""


@contextmanager
def _writing(path: Path, reasons: Container[int] | None = None) -> Iterator[None]:
    """Turn what the file system refuses, for one of the reasons if there are any, into one line."""
    try:
        yield
    except OSError as error:
        if reasons is not None and error.errno not in reasons:
            raise
        reason = error.strerror or printable(error)
        raise UserError(
            f"{path}: cannot be written ({reason}); make room for it or allow it, then run again"
        ) from error


def _remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed has left beside `path`; the name says which process it was."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
        found = re.fullmatch(rf"\.{re.escape(path.name)}\.(\d{{1,9}})\.\w{{8}}", leftover.name)
        if found and leftover.absolute() not in _used_here and not _is_another(int(found[1])):
            shutil.rmtree(leftover, ignore_errors=True)


def _is_another(pid: int) -> bool:
    if os.name != "posix":
        return True  # there is no harmless way to ask
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()  # in a container, the process that was killed may have had the same number


def _exchange(first: Path, second: Path) -> bool:
    """Let two names change places in one step; False if one is missing or the system (not Linux, or old) cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # the last one: Windows
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(renameat2(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0)
