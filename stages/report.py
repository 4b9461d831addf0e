"""Stage `report`: plots/report.html, one self-contained page of all results."""

from pathlib import Path

import click

from mnist_core.files.writing import output_file, write_text
from mnist_core.params import load_params
from mnist_core.records import read_summary
from mnist_core.report.page import build_report
from mnist_core.report.sections import ReportSources
from mnist_core.report.tuned_section import tuned_markdown, tuned_models
from stages.command import METRICS, MODEL_FILES, PARAMS, PLOTS, PREDICTIONS, PREPARED, SEARCH, StageCommand

DERIVATIONS = Path("docs/derivations.md")


@click.command(cls=StageCommand)
def main() -> None:
    """Gather every metric, figure, prediction and derivation into plots/report.html; write metrics/tuned.md."""
    sources = ReportSources(
        summary=METRICS / "summary.json",
        gradients=METRICS / "gradients.json",
        parity=METRICS / "parity.json",
        comparisons=METRICS / "comparisons.csv",
        details=METRICS / "details.json",
        derivations=DERIVATIONS,
        tuned_comparisons=METRICS / "tuned_comparisons.csv",
        search=SEARCH,
        trials=PLOTS / "search",
        curves=PLOTS / "curves",
        confusion=PLOTS / "confusion",
        figures=PLOTS / "figures",
        predictions=PREDICTIONS,
        models=MODEL_FILES,
        prepared=PREPARED,
    )
    params = load_params(PARAMS)
    with output_file(PLOTS / "report.html") as path, output_file(METRICS / "tuned.md") as tuned_path:
        tuned = tuned_models(sources, params, read_summary(sources.summary))
        page = build_report(params, sources, tuned, page_directory=PLOTS)
        path.write_text(page, encoding="utf-8", newline="\n")
        write_text(tuned_path, tuned_markdown(tuned))


if __name__ == "__main__":
    main()
