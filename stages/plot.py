"""Stage `plot`: the figures of all models for print."""

import click

from mnist_core.class_names import ten_names
from mnist_core.data.params import load_data_params
from mnist_core.files.writing import output_directory
from mnist_core.report.comparison_figure import write_comparison_figures
from mnist_core.report.plotting import write_figures
from mnist_core.report.tuning_figure import write_tuned_figures
from stages.command import METRICS, MODEL_FILES, PARAMS, PLOTS, SEARCH, StageCommand


@click.command(cls=StageCommand)
def main() -> None:
    """Draw plots/figures/*.svg and *.png."""
    classes = ten_names(load_data_params(PARAMS).names)
    with output_directory(PLOTS / "figures") as output:
        write_figures(PLOTS, METRICS, SEARCH, MODEL_FILES, output, classes)
        write_tuned_figures(PLOTS, METRICS, SEARCH, output)
        write_comparison_figures(METRICS, output)


if __name__ == "__main__":
    main()
