"""Stage `plot`: the figures of all models for print."""

import click

from mnist_core.files import output_directory
from mnist_core.report.plotting import write_figures
from stages.command import PLOTS, SEARCH, StageCommand


@click.command(cls=StageCommand)
def main() -> None:
    """Draw plots/figures/*.svg and *.png."""
    with output_directory(PLOTS / "figures") as output:
        write_figures(PLOTS, SEARCH, output)


if __name__ == "__main__":
    main()
