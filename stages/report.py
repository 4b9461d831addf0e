"""Stage `report`: plots/report.html, one self-contained page of all results."""

from pathlib import Path

import click

from mnist_core.files.writing import output_file
from mnist_core.params import load_params
from mnist_core.report.page import build_report
from mnist_core.report.sections import ReportSources
from stages.command import METRICS, MODEL_FILES, PARAMS, PLOTS, PREDICTIONS, PREPARED, SEARCH, StageCommand

DERIVATIONS = Path("docs/derivations.md")


@click.command(cls=StageCommand)
def main() -> None:
    """Gather every metric, figure, prediction and derivation into plots/report.html."""
    sources = ReportSources(
        summary=METRICS / "summary.json",
        gradients=METRICS / "gradients.json",
        parity=METRICS / "parity.json",
        comparisons=METRICS / "comparisons.csv",
        details=METRICS / "details.json",
        derivations=DERIVATIONS,
        search=SEARCH,
        curves=PLOTS / "curves",
        confusion=PLOTS / "confusion",
        figures=PLOTS / "figures",
        predictions=PREDICTIONS,
        models=MODEL_FILES,
        prepared=PREPARED,
    )
    page = build_report(load_params(PARAMS), sources, page_directory=PLOTS)
    with output_file(PLOTS / "report.html") as path:
        path.write_text(page, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
