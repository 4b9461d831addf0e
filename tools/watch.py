"""Follows a search or a training that runs elsewhere, from the states that it keeps: `make watch`, in another terminal.

It only reads. A stage keeps a state after every segment, so what is shown may be some epochs old.
"""

import time
from contextlib import suppress
from pathlib import Path

import click

from mnist_core.training.checkpoints import KeptRun, kept_runs
from stages.command import CHECKPOINTS, StageCommand


@click.command(cls=StageCommand)
@click.option("--once", is_flag=True, help="Print once and stop.")
@click.option("--every", default=5.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds between looks.")
def main(once: bool, every: float) -> None:
    """Print how far the running stages have come, until Ctrl-C."""
    while True:
        text = "\n".join(lines(CHECKPOINTS)) or "No search and no training is running, or none has kept a state yet."
        if once:
            click.echo(text)
            return
        click.clear()
        click.echo(text)
        time.sleep(every)


def lines(root: Path) -> list[str]:
    """Describe every stage that has kept states below a directory, each run in one line, the best first."""
    found = []
    for directory in sorted(path for path in root.glob("*") if path.is_dir()):
        runs = kept_runs(directory)
        with suppress(FileNotFoundError):  # the stage has ended meanwhile
            age = time.time() - directory.stat().st_mtime
            if runs:
                epochs = sum(len(run.records) for run in runs)
                found.append(f"{directory.name}: {len(runs)} runs, {epochs} epochs, the last kept {age:.0f} s ago")
                found += map(_line, sorted(runs, key=_last_error))
    return found


def _last_error(run: KeptRun) -> tuple[float, int]:
    errors = list(run.records[-1].errors.values()) if run.records else []
    return (errors[-1] if errors else 1.0, run.seed)


def _line(run: KeptRun) -> str:
    learned = run.hyperparameters.model_dump(exclude_defaults=True, exclude={"epochs"})
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in learned.items())
    errors = run.records[-1].errors.items() if run.records else ()
    standing = "".join(f", {split} error {100 * error:.2f} %" for split, error in errors)
    failure = f", {run.failure.word}" if run.failure else ""
    return f"  epoch {len(run.records)} of {run.hyperparameters.epochs}{standing}{failure}: seed {run.seed}, {settings}"


if __name__ == "__main__":
    main()
