"""Times every architecture on every contender; writes benchmarks/results/ and the tables of docs/benchmarks.md."""

import platform
import time
from pathlib import Path
from typing import Any

import click
from dask.system import CPU_COUNT

from benchmarks.contenders import BATCH_SIZE
from benchmarks.document import machine_name, replace_section, section
from benchmarks.measure import Group, measure_group
from benchmarks.summary import summarise
from mnist_core.data.dataset import load_split
from mnist_core.errors import UserError
from mnist_core.files.reading import read_json, read_text
from mnist_core.files.writing import output_file, write_json, write_text
from mnist_core.models import MODELS, framework_and_letter
from mnist_core.networks.architectures import has_convolutions
from mnist_core.params import load_params
from stages.command import PARAMS, PREPARED, StageCommand


@click.command(cls=StageCommand)
@click.option("--images", type=click.IntRange(min=BATCH_SIZE), default=55_000, show_default=True, help="In an epoch.")
@click.option(
    "--repeats", type=click.IntRange(min=1), default=21, show_default=True, help="Epochs that count, after a warm-up."
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=10,
    show_default=True,
    help="When they are over, three repeats are enough.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help=f"Prepared images; default: {PREPARED}, else random images."
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("benchmarks/results"),
    show_default=True,
    help="Directory with a file for each processor.",
)
@click.option("--page", type=click.Path(path_type=Path), default=Path("docs/benchmarks.md"), show_default=True)
def main(images: int, repeats: int, minutes: float, data: Path | None, results: Path, page: Path) -> None:
    """Compare the speed of our networks with Keras, PyTorch and scikit-learn."""
    params = load_params(PARAMS)
    letters = {framework_and_letter(model)[1]: model for model in MODELS}
    architectures = {letter: params.architecture(model) for letter, model in letters.items()}
    text = read_text(page, "restore it or name another with --page")
    replace_section(text, "")  # a page without markers is found now, not after ten minutes
    directory, described = _images(data, images)

    # Quick ones first: each takes its even share of what is left, so the convolutions get what the others spare.
    jobs = sorted(
        ((threads, letter) for threads in dict.fromkeys((CPU_COUNT, 1)) for letter in architectures),
        key=lambda job: has_convolutions(architectures[job[1]]),
    )
    groups: dict[int, dict[str, Group]] = {CPU_COUNT: {}, 1: {}}
    end = time.monotonic() + 60 * minutes
    for done, (threads, letter) in enumerate(jobs):
        click.echo(f"Architecture {letter}, {threads} thread{'s'[: threads > 1]} (seconds)", err=True)
        group = measure_group(
            architectures[letter],
            data=directory,
            images=images,
            threads=threads,
            repeats=repeats,
            seconds=(end - time.monotonic()) / (len(jobs) - done),
        )
        for name, reason in group.skipped.items():
            click.echo(f"  {name} skipped: {reason}", err=True)
        groups[threads][letter] = group

    measured = [group for by_letter in groups.values() for group in by_letter.values()]
    content: dict[str, Any] = {
        **summarise(groups[CPU_COUNT], architectures, images=images),
        "one_thread": summarise(groups[1], architectures, images=images),
        "machine": {
            "cpu": _cpu(),
            "cores": CPU_COUNT,
            "blas_kernel": measured[0].blas_kernel,
            "versions": {"python": platform.python_version()}
            | {name: version for group in measured for name, version in group.versions.items()},
        },
        "settings": {"images": images, "batch_size": BATCH_SIZE, "data": described},
    }
    with output_file(results / f"{machine_name(content['machine'])}.json") as file:
        write_json(file, content)
    tables = section([read_json(path) for path in sorted(results.glob("*.json"))])
    with output_file(page) as file:
        write_text(file, replace_section(text, tables))
    click.echo(section([content]))


def _images(data: Path | None, count: int) -> tuple[str | None, str]:
    """Return the directory of the prepared images or None for random ones, and words for the images.

    Raises:
        UserError: the directory was named by the user and has no or too few images, or its files are damaged.
    """
    directory = data or PREPARED
    if data is None and not (directory / "train_images.npy").exists():
        click.echo(f"{directory} is not there: random images instead", err=True)
        return None, "random images"
    available = len(load_split(directory, "train").labels)
    if available >= count:
        return str(directory), "prepared images"
    if data is None:
        click.echo(f"{directory} holds only {available} training images: random images instead", err=True)
        return None, "random images"
    raise UserError(f"{directory}: it holds {available} training images, fewer than --images {count}")


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
