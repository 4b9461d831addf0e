"""Runs the quick profile in a clone of the project; shows its errors beside the committed ones."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import chain, takewhile
from pathlib import Path

import click
import psutil
from distributed import fire_and_forget
from dvc.config import Config  # type: ignore[import-untyped]
from ruamel.yaml import YAML

from mnist_core.errors import UserError, printable
from mnist_core.files.writing import scratch_directory, write_text
from mnist_core.training.cluster import open_cluster
from stages.command import PARAMS, StageCommand

NAME = "quick"
TABLE = "metrics/error_table.md"
LOCK = "dvc.lock"
CODE = ("mnist_core", "stages")
TENSORFLOW = "mnist_core.tensorflow_nn"
DVC_CONFIG = ".dvc/config.local"
OF_NO_MODEL = ("gradcheck", "parity")
PUBLISHING = ("publish", "draw")


@click.command(cls=StageCommand)
def main() -> None:
    """Run the pipeline on a slice of the images; the workspace stays as it is."""
    reference = run_quick(NAME)
    click.echo(f"\nThe committed results:\n\n{output('git', 'show', f'HEAD:{TABLE}')}")
    click.echo(f"This run, on a slice of the images:\n\n{output('git', 'show', f'{reference}:{TABLE}')}")
    click.echo(
        f"It is the experiment {NAME}. `make restore FROM={reference}` brings its files here, `make restore` goes back."
    )


def run_quick(name: str, *, force: bool = False) -> str:
    """Run the quick profile in a copy of the project and return git's reference to the experiment.

    The stages are `quick_stages`. `dvc exp run --temp` would do so too, but it stashes the user's changes for a while,
    writes all of the committed dvc.lock, both protocols in the paper profile, after every stage, and runs one stage at
    a time: half of a short run is the start of one process after the other.

    Args:
        name: of the experiment.
        force: run also what DVC's cache of runs has.

    Raises:
        UserError: the run failed.
    """
    with scratch_directory() as directory:
        copy_project(directory)
        environment = _environment()  # now: Dask leaves here what it tells the workers, one thread each
        with workers_for_all(directory) as more:
            for lanes in side_by_side(quick_stages()):
                if not _repro(lanes, directory, environment | more, force=force):
                    raise UserError(f"{name}: the run failed, as said above; the workspace is as it was")
        # What DVC takes for an experiment of a commit. Code that git does not know here stays unknown to it.
        output("git", "add", "--all", "--", ".", *(f":!{place}" for place in CODE), directory=directory)
        head = output("git", "rev-parse", "HEAD", directory=directory).strip()
        commit = ["commit", "--quiet", "--no-verify", "--allow-empty", "--message", f"Experiment {name}"]
        output("git", *commit, directory=directory)
        reference = f"refs/exps/{head[:2]}/{head[2:]}/{name}"
        output("git", "fetch", "--quiet", "--force", str(directory), f"HEAD:{reference}")
    return reference


def copy_project(directory: Path) -> None:
    """Clone the project into an empty directory: files as they lie here, the quick profile, its cache, no dvc.lock."""
    output("git", "clone", "--quiet", "--no-checkout", ".", str(directory))
    _copy(output("git", "ls-files", "-z").split("\0"), directory)
    (directory / LOCK).unlink(missing_ok=True)
    _take_quick_profile(directory / PARAMS)
    output("git", "add", "--all", "--force", directory=directory)
    new_code = output("git", "ls-files", "-z", "--others", "--exclude-standard", "--", *CODE)
    _copy([*new_code.split("\0"), DVC_CONFIG], directory)
    for key in ("user.name", "user.email"):  # of this project, perhaps; a commit wants some
        setting = output("git", "config", "--default", NAME, "--get", key).strip()
        output("git", "config", key, setting, directory=directory)
    # What `dvc config` and `dvc cache dir` would do, which take a second each to start.
    with Config(str(directory / ".dvc"), validate=False).edit("local") as settings:
        settings.setdefault("core", {})["autostage"] = True  # else DVC tells the user to add to git what it wrote
        settings.setdefault("cache", {})["dir"] = output("dvc", "cache", "dir").strip()


def _copy(names: list[str], directory: Path) -> None:
    for name in names:
        if Path(name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, directory / name, follow_symlinks=False)


def _take_quick_profile(path: Path) -> None:
    yaml = YAML()
    params = yaml.load(path)
    params["profile"] = "quick"
    yaml.dump(params, path)


def side_by_side(stages: Sequence[str]) -> list[list[list[str]]]:
    """Return what runs when: lanes of stages that run side by side, then further lanes once all of these are done.

    Models 1x and 2x, of TensorFlow and NumPy, do not wait for each other, nor does `OF_NO_MODEL` for any of them; at
    the end, `PUBLISHING` does not wait for the tables and figures.

    Args:
        stages: in an order in which they can run; what stands before the first model's is needed by all.
    """
    first = list(takewhile(lambda stage: "@" not in stage, stages))
    lanes = [[stage for stage in stages if f"@{number}" in stage] for number in (1, 2)]
    lanes.append([stage for stage in stages if stage in OF_NO_MODEL])
    rest = [stage for stage in stages if stage not in chain(first, *lanes)]
    publishing = [stage for stage in rest if stage in PUBLISHING]
    return [[first], lanes, [[stage for stage in rest if stage not in publishing], publishing]]


def _repro(lanes: Sequence[Sequence[str]], directory: Path, environment: Mapping[str, str], *, force: bool) -> bool:
    """Run the stages of every lane one after the other; return whether all went well. One that fails ends all."""
    command = [
        sys.executable,
        "-m",
        "dvc",
        "--wait-for-lock",
        "repro",
        "--single-item",
        *(["--force"] if force else []),
    ]
    running: list[psutil.Popen] = []
    try:
        running.extend(psutil.Popen([*command, *lane], cwd=directory, env=environment) for lane in lanes if lane)
        while not any(codes := [process.poll() for process in running]) and None in codes:
            time.sleep(0.1)
    finally:
        _end(running)
    return all(process.returncode == 0 for process in running)


def _end(running: Sequence[psutil.Popen]) -> None:
    """End what still runs, stages too: nobody writes any more when the copy is removed."""
    family = list(running)
    for process in running:
        with suppress(psutil.NoSuchProcess):
            family += process.children(recursive=True)
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in family:
            with suppress(psutil.NoSuchProcess):
                end(process)
        _, family = psutil.wait_procs(family, timeout=3)


def quick_stages() -> list[str]:
    """Return the stages in the order of dvc.yaml, without those of the tuned protocol."""
    return [stage for stage in output("dvc", "stage", "list", "--name-only").split() if "tuned" not in stage]


@contextmanager
def workers_for_all(directory: Path) -> Iterator[dict[str, str]]:
    """Start workers for all stages, which otherwise each start their own, and give the environment that leads there.

    Args:
        directory: the project whose code they run.
    """
    if {"MNIST_SCHEDULER", "MNIST_WORKERS"} & set(os.environ):  # the user has said where jobs run, which stages obey
        yield {}
        return
    before = dict(os.environ)
    sys.path.insert(0, str(directory.resolve()))  # new processes get it
    try:
        with scratch_directory() as keys, open_cluster() as cluster:
            for worker in cluster.last_seen():  # it takes seconds, while the images are fetched
                fire_and_forget(cluster.client.submit(import_module, TENSORFLOW, workers=[worker.address], pure=False))
            workers = cluster.client.cluster  # its certificate is what lets a stage in, and nobody else
            names = {"ca_file": "CA_FILE", "client_cert": "CLIENT__CERT", "client_key": "CLIENT__KEY"}
            environment = {"MNIST_SCHEDULER": workers.scheduler_address}
            for name, variable in names.items():
                path = keys / f"{name}.pem"
                write_text(path, getattr(workers.security, f"tls_{name}"))
                environment[f"DASK_DISTRIBUTED__COMM__TLS__{variable}"] = str(path)
            yield environment
    finally:
        sys.path.remove(str(directory.resolve()))
        os.environ.clear()  # of what Dask left there for its workers; `make verify` runs all a second time
        os.environ.update(before)


def _environment() -> dict[str, str]:
    """Return the environment without what git sets for hooks, which would lead out of the copy."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def output(program: str, *arguments: str, directory: Path = Path()) -> str:
    """Return what git or DVC prints in a directory; UserError with its own words if it fails."""
    command = [sys.executable, "-m", "dvc"] if program == "dvc" else [program]
    result = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, cwd=directory, env=_environment()
    )
    if result.returncode:
        raise UserError(f"{program} {arguments[0]}: {printable(result.stderr.strip()) or 'failed'}")
    return result.stdout


if __name__ == "__main__":
    main()
