"""Says for each stage whether it gives the same bytes again, by running the quick profile in a copy of the project.

What is there, as dvc.lock has it, is one of the two runs if its parameters and code are those of the quick profile now;
else the profile runs twice.
"""

from pathlib import Path
from typing import Any

import click

from mnist_core.errors import UserError
from mnist_core.files.reading import read_yaml
from mnist_core.files.writing import scratch_directory, write_text
from stages.command import StageCommand
from tools.quick import output, quick_stages, run_quick

NAME = "verify"
LOCK = Path("dvc.lock")
CODE = ("mnist_core/", "stages/", "docs/")


@click.command(cls=StageCommand)
def main() -> None:
    """Run the quick profile in a copy; the workspace stays as it is. Exit code 1 if a stage gives other bytes."""
    again = _run()
    before = _stages(LOCK) if LOCK.exists() else {}
    if inputs(before) == inputs(again):
        click.echo(f"\n{LOCK} is of the same parameters and code: this run is compared with it.\n")
    else:
        click.echo(f"\n{LOCK} is of other parameters or code: the profile runs a second time.\n")
        before, again = again, _run()
    changed = {name: changed_outputs(before[name], stage) for name, stage in again.items()}
    for name, paths in changed.items():
        click.echo(f"{name:12} {'other bytes: ' + ', '.join(paths) if paths else 'same bytes'}")
    if others := [name for name, paths in changed.items() if paths]:
        raise UserError(
            f"{len(others)} of {len(changed)} stages gave other bytes, first {others[0]}; on one machine that is a"
            " fault of the code, please report it; from one machine to another the last bits of sums differ"
        )
    click.echo(f"All {len(changed)} stages gave the same bytes.")


def inputs(stages: dict[str, Any]) -> dict[str, Any]:
    """Return the commands, parameters and hashes of code in a dvc.lock, by stage."""
    return {
        name: (
            stage["cmd"],
            stage.get("params"),
            {dep["path"]: dep["md5"] for dep in stage.get("deps", ()) if dep["path"].startswith(CODE)},
        )
        for name, stage in stages.items()
    }


def changed_outputs(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the outputs of one stage whose hashes differ in two dvc.lock."""
    hashes = {out["path"]: out["md5"] for out in before["outs"]}
    return [out["path"] for out in after["outs"] if hashes.get(out["path"]) != out["md5"]]


def _run() -> dict[str, Any]:
    reference = run_quick(NAME, force=True)
    with scratch_directory() as directory:
        write_text(directory / LOCK, output("git", "show", f"{reference}:{LOCK}"))
        stages = _stages(directory / LOCK)
    output("dvc", "exp", "remove", NAME)
    return stages


def _stages(lock: Path) -> dict[str, Any]:
    stages: dict[str, Any] = read_yaml(lock)["stages"]
    return {name: stages[name] for name in quick_stages() if name in stages}  # DVC keeps what did not run, as it was


if __name__ == "__main__":
    main()
