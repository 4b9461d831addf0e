"""Runs the quick profile as an experiment in a copy of the project; shows its errors beside the committed ones."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from mnist_core.errors import UserError
from mnist_core.files.writing import scratch_directory, write_text
from mnist_core.training.cluster import open_cluster
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
    """Run the quick profile in a copy of the project and return git's reference to the experiment.

    The stages are `quick_stages`.

    Raises:
        UserError: the run failed.
    """
    run = ["exp", "run", "--temp", "--force", "--name", name, "--set-param", "profile=quick", "--single-item"]
    with workers_for_all() as environment:
        failed = subprocess.run(
            [sys.executable, "-m", "dvc", *run, *quick_stages()], check=False, env=os.environ | environment
        ).returncode
    if failed:
        raise UserError(f"{name}: the run failed, as said above; the workspace is as it was")
    revision = output("dvc", "exp", "list", "--rev", "HEAD", "--names-only")
    if name not in revision.split():
        raise UserError(f"{name}: DVC has no such experiment; run `dvc exp list`")
    head = output("git", "rev-parse", "HEAD").strip()
    return f"refs/exps/{head[:2]}/{head[2:]}/{name}"  # where DVC keeps the experiments of a commit


def quick_stages() -> list[str]:
    """Return the stages in the order of dvc.yaml, without those of the tuned protocol."""
    return [stage for stage in output("dvc", "stage", "list", "--name-only").split() if "tuned" not in stage]


@contextmanager
def workers_for_all() -> Iterator[dict[str, str]]:
    """Start workers for all stages, which otherwise each start their own, and give the environment that leads there."""
    if "MNIST_SCHEDULER" in os.environ:
        yield {}
        return
    with scratch_directory() as directory, open_cluster() as cluster:
        directory.chmod(0o700)  # as its parent is
        workers = cluster.client.cluster  # its certificate is what lets a stage in, and nobody else
        names = {"ca_file": "CA_FILE", "client_cert": "CLIENT__CERT", "client_key": "CLIENT__KEY"}
        environment = {"MNIST_SCHEDULER": workers.scheduler_address}
        for name, variable in names.items():
            path = directory / f"{name}.pem"
            write_text(path, getattr(workers.security, f"tls_{name}"))
            environment[f"DASK_DISTRIBUTED__COMM__TLS__{variable}"] = str(path)
        yield environment


def output(program: str, *arguments: str) -> str:
    """Return what git or DVC prints; UserError with its own words if it fails."""
    command = [sys.executable, "-m", "dvc"] if program == "dvc" else [program]
    result = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(f"{program} {arguments[0]}: {result.stderr.strip() or 'failed'}")
    return result.stdout


if __name__ == "__main__":
    main()
