"""What every stage command shares: where the project's files lie, and how a user's error is shown."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from mnist_core.errors import UserError
from mnist_core.registry import MODELS

P = ParamSpec("P")
R = TypeVar("R")

PARAMS = Path("params.yaml")
RAW = Path("data/raw")
PREPARED = Path("data/prepared")
SEARCH = Path("data/search")  # <model>.json
MODEL_FILES = Path("data/models")  # <model>/hyperparameters.json, seed_<seed>.npz, .csv and, for TensorFlow, .keras
PREDICTIONS = Path("data/predictions")  # <model>.npz
METRICS = Path("metrics")
PLOTS = Path("plots")
HYPERPARAMETERS = "hyperparameters.json"

model_option = click.option(
    "--model", required=True, type=click.Choice(list(MODELS)), help="Name of the model in the report."
)


class StageCommand(click.Command):
    """Shows a user's error as one line and exits with code 1; every other exception keeps its traceback."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the options."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise click.ClickException(" ".join(error.format_message().split())) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the stage."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            raise click.ClickException(str(error)) from error


@contextmanager
def output_directory(path: Path) -> Iterator[Path]:
    """Give an empty directory beside `path` that replaces `path` once the block has succeeded, and is removed if not.

    A failure, Ctrl-C included, leaves `path` as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside, not in /tmp: a rename is atomic only within one file system.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True) as parent:
        temporary = Path(parent) / path.name  # a child: mkdtemp's own directory is closed to other users
        temporary.mkdir()
        yield temporary
        if path.exists():
            path.rename(Path(parent) / f"{path.name}.old")  # removed at the end, with `parent`
        temporary.rename(path)


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Give a file name beside `path` that becomes `path` once the block has succeeded, and is removed if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True) as parent:
        temporary = Path(parent) / path.name  # the same name: writers such as Keras go by the suffix
        yield temporary
        temporary.replace(path)


def cluster_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add --workers and --scheduler, which say where training jobs run and never change their results."""
    function = click.option(
        "--workers",
        type=click.IntRange(min=1),
        envvar="MNIST_WORKERS",
        help="Local worker processes; default: one a core.",
    )(function)
    return click.option(
        "--scheduler", envvar="MNIST_SCHEDULER", help="Address of a Dask scheduler to use instead of local workers."
    )(function)
