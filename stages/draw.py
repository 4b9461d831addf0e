"""Stage draw: the page on which one draws a digit."""

import click

from mnist_core.draw.page import build_page
from mnist_core.files.writing import output_file, write_text
from mnist_core.published import PUBLISHED
from stages.command import PLOTS, StageCommand


@click.command(cls=StageCommand)
def main() -> None:
    """Write plots/draw.html from data/published."""
    with output_file(PLOTS / "draw.html") as path:
        write_text(path, build_page(PUBLISHED, report=click.echo))


if __name__ == "__main__":
    main()
