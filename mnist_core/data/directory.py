"""The directory that the user named: it holds the four files of the data set, or the run stops and says why not."""

from collections.abc import Mapping
from pathlib import Path

from mnist_core.arrays import Array
from mnist_core.data.idx import TEST_FILES, TRAIN_FILES, read_examples
from mnist_core.errors import UserError, printable
from mnist_core.files.reading import reading

VARIABLE = "MNIST_DIRECTORY"


def named_directory(from_params: str, environment: Mapping[str, str]) -> Path | None:
    """Return the directory of `data.directory` or, where that is empty, of MNIST_DIRECTORY; None if both are empty.

    Raises:
        UserError: there is no such directory.
    """
    key, text = ("data.directory", from_params) if from_params else (VARIABLE, environment.get(VARIABLE, ""))
    if not text:
        return None
    name = printable(text)
    try:
        path = Path(text).expanduser()
        if path.is_dir():
            return path
        exists = path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{key}: {name} cannot be looked up ({printable(error, 100)}); correct it") from error
    if exists:
        raise UserError(f"{key}: {name} is no directory; name the directory that holds the four files")
    if path.is_absolute():
        raise UserError(f"{key}: {name}: no such directory; correct it")
    raise UserError(
        f"{key}: {name}: no such directory in {Path.cwd()}; give the whole path (`make quick` and a run "
        "with --temp or --queue work on a copy that has only what git tracks)"
    )


def find_file(directory: Path, name: str) -> Path | None:
    """Return one of the four files, as it may be called: train-images-idx3-ubyte or train-images.idx3-ubyte, or .gz."""
    return next((path for path in _candidates(directory, name) if path.is_file()), None)


def why_not_found(directory: Path, name: str) -> str:
    """Say what there is in place of the file that `find_file` did not find; the words follow the file's name."""
    for path in _candidates(directory, name):
        if path.exists():
            return f"is there, but {path.name} is no file"
        if path.is_symlink():
            return f"is there, but {path.name} is a link to nothing"
    return "is not there, nor with a dot before idx or with .gz"


def _candidates(directory: Path, name: str) -> list[Path]:
    dotted = name.replace("-idx", ".idx")
    return [directory / f"{stem}{suffix}" for suffix in ("", ".gz") for stem in (name, dotted)]


def read_own_files(directory: Path) -> dict[str, Array]:
    """Read a data set of the user's own, checked: file name -> images uint8 (N, 28, 28) or labels uint8 (N,).

    Raises:
        UserError: a file is missing or is not what `read_examples` accepts.
    """
    arrays: dict[str, Array] = {}
    for names in (TRAIN_FILES, TEST_FILES):
        images, labels = read_examples(*(_own_file(directory, name) for name in names), remedy="mend the file")
        arrays.update(zip(names, (images, labels), strict=True))
    return arrays


def _own_file(directory: Path, name: str) -> Path:
    with reading(directory, "a directory", "let this user look into it"):
        path = find_file(directory, name)
        if path is None:
            raise UserError(f"{directory}: {name} {why_not_found(directory, name)}; put the file there")
    return path
