"""What every stage command shares: where the project's files lie, and how a user's error is shown."""

import _thread
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import click

from mnist_core.errors import UserError, printable
from stages import PARENT, end_at_once, interrupted

PARAMS = Path("params.yaml")
SOURCE = Path("data/source.json")
RAW = Path("data/raw")
PREPARED = Path("data/prepared")
SEARCH = Path("data/search")  # <model>.json
MODEL_FILES = Path("data/models")  # <model>/hyperparameters.json, seed_<seed>.npz, .csv and, for TensorFlow, .keras
PREDICTIONS = Path("data/predictions")  # <model>.npz
SCORES = Path("data/scores")  # <model>.json
METRICS = Path("metrics")
PLOTS = Path("plots")

CHECKPOINTS = Path(".dvc/tmp/mnist")  # <stage>-<model>/, while that stage runs or after it was killed


scheduler_option = click.option(
    "--scheduler", envvar="MNIST_SCHEDULER", help="Address of a Dask scheduler to use instead of local workers."
)


class StageCommand(click.Command):
    """Shows a user's error as one line, exit code 1, and Ctrl-C too, 130; other exceptions keep their traceback.

    Whoever kills DVC alone, as a batch system may, finds the stage gone soon after.
    """

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the options."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise click.ClickException(printable(error.format_message())) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the stage."""
        if "DVC_STAGE" in os.environ:  # set by DVC; a stage run by hand may outlive its shell
            threading.Thread(target=_end_with_parent, args=(PARENT,), daemon=True).start()
        ends_at_once = signal.getsignal(signal.SIGINT) is end_at_once
        try:
            if ends_at_once:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(f"\n{interrupted()}", err=True)
            raise click.exceptions.Exit(130) from None
        except UserError as error:
            raise click.ClickException(str(error)) from error
        finally:
            if ends_at_once:
                signal.signal(signal.SIGINT, end_at_once)


def _end_with_parent(parent: int) -> None:
    """Interrupt the stage once its parent is gone, and end it for good soon after; workers end with the stage."""
    while os.getppid() == parent:
        time.sleep(0.25)
    _thread.interrupt_main()
    time.sleep(1.5)
    os._exit(130)
