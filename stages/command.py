"""What every stage command shares: where the project's files lie, and how a user's error is shown."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from mnist_core.errors import UserError
from mnist_core.registry import MODELS

P = ParamSpec("P")
R = TypeVar("R")

PARAMS = Path("params.yaml")
RAW = Path("data/raw")
PREPARED = Path("data/prepared")
SEARCH = Path("data/search")  # <model>.json
MODEL_FILES = Path("data/models")  # <model>/seed_<seed>.npz, .csv and, for TensorFlow, .keras
PREDICTIONS = Path("data/predictions")  # <model>.npz
METRICS = Path("metrics")
PLOTS = Path("plots")

model_option = click.option(
    "--model", required=True, type=click.Choice(list(MODELS)), help="Name of the model in the report."
)


def stage_command(function: Callable[P, R]) -> Callable[P, R]:
    """Show a `UserError` as one line and exit with code 1; every other exception keeps its traceback."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            raise click.ClickException(str(error)) from error

    return wrapper
