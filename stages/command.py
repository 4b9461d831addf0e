"""What every stage command shares: where the project's files lie, and how a user's error is shown."""

from pathlib import Path
from typing import Any

import click

from mnist_core.errors import UserError

PARAMS = Path("params.yaml")
RAW = Path("data/raw")
PREPARED = Path("data/prepared")
SEARCH = Path("data/search")  # <model>.json
MODEL_FILES = Path("data/models")  # <model>/hyperparameters.json, seed_<seed>.npz, .csv and, for TensorFlow, .keras
PREDICTIONS = Path("data/predictions")  # <model>.npz
METRICS = Path("metrics")
PLOTS = Path("plots")
HYPERPARAMETERS = "hyperparameters.json"


CHECKPOINTS = Path(".dvc/tmp/mnist")  # <stage>-<model>/, while that stage runs or after it was killed


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
