"""Stage `plot`: the figures of all models for print."""

import click

from mnist_core.files import output_directory
from mnist_core.report.comparison_figure import write_comparison_figures
from mnist_core.report.plotting import write_figures
from stages.command import METRICS, PLOTS, SEARCH, StageCommand


@click.command(cls=StageCommand)
def main() -> None:
    """Draw plots/figures/*.svg and *.png."""
    with output_directory(PLOTS / "figures") as output:
        write_figures(PLOTS, SEARCH, output)
        write_comparison_figures(METRICS, output)


if __name__ == "__main__":
    main()
