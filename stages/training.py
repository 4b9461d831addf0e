"""What the stages that train share: which model, what all its trainings have in common, and where they run."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from mnist_core.models import ALL_MODELS, framework_and_letter
from mnist_core.params import Params
from mnist_core.training.run import TrainingSetup
from stages.command import PREPARED

P = ParamSpec("P")
R = TypeVar("R")

model_option = click.option("--model", required=True, type=click.Choice(list(ALL_MODELS)), help="Name of the model.")


def cluster_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add --workers and --scheduler, which say where training jobs run and never change their results."""
    function = click.option(
        "--workers",
        type=click.IntRange(min=0),
        envvar="MNIST_WORKERS",
        help="Local worker processes; default: one a core. With 0 all runs in this one, for a debugger.",
    )(function)
    return click.option(
        "--scheduler", envvar="MNIST_SCHEDULER", help="Address of a Dask scheduler to use instead of local workers."
    )(function)


def training_setup(model: str, params: Params) -> TrainingSetup:
    """Return what all trainings of a model share, by its name in the report, such as "2d"."""
    return TrainingSetup(
        framework=framework_and_letter(model)[0],
        architecture=params.architecture(model),
        data_directory=PREPARED.resolve(),
        batch_size=params.active.batch_size(model),
        fast=params.fast,
    )
