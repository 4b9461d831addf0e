"""Runs the quick profile as an experiment in a copy of the project; shows its errors beside the committed ones."""

import subprocess
import sys

import click

from mnist_core.errors import UserError
from stages.command import StageCommand

NAME = "quick"
TABLE = "metrics/error_table.md"


@click.command(cls=StageCommand)
def main() -> None:
    """Run the pipeline on a slice of the images; the workspace stays as it is."""
    reference = run_quick(NAME)
    click.echo(f"\nThe committed results:\n\n{output('git', 'show', f'HEAD:{TABLE}')}")
    click.echo(f"This run, on a slice of the images:\n\n{output('git', 'show', f'{reference}:{TABLE}')}")
    click.echo(f"It is the experiment {NAME}. `dvc exp apply {NAME}` brings its files here, `make restore` goes back.")


def run_quick(name: str) -> str:
    """Run every stage of the quick profile in a copy of the project and return git's reference to the experiment.

    Raises:
        UserError: the run failed.
    """
    run = ["exp", "run", "--temp", "--force", "--name", name, "--set-param", "profile=quick"]
    if subprocess.run([sys.executable, "-m", "dvc", *run], check=False).returncode:
        raise UserError(f"{name}: the run failed, as said above; the workspace is as it was")
    revision = output("dvc", "exp", "list", "--rev", "HEAD", "--names-only")
    if name not in revision.split():
        raise UserError(f"{name}: DVC has no such experiment; run `dvc exp list`")
    head = output("git", "rev-parse", "HEAD").strip()
    return f"refs/exps/{head[:2]}/{head[2:]}/{name}"  # where DVC keeps the experiments of a commit


def output(program: str, *arguments: str) -> str:
    """Return what git or DVC prints; UserError with its own words if it fails."""
    command = [sys.executable, "-m", "dvc"] if program == "dvc" else [program]
    result = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(f"{program} {arguments[0]}: {result.stderr.strip() or 'failed'}")
    return result.stdout


if __name__ == "__main__":
    main()
