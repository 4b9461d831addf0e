"""Stage `table`: the error table, the summary of all models, and their test errors together."""

import json

import click

from mnist_core.data.dataset import load_manifest
from mnist_core.data.params import load_data_params
from mnist_core.files.writing import output_file, write_csv
from mnist_core.models import TUNED
from mnist_core.report import tables
from stages.command import METRICS, PARAMS, PLOTS, PREPARED, SCORES, StageCommand


@click.command(cls=StageCommand)
def main() -> None:
    """Write metrics/summary.json, metrics/error_table.{csv,md,tex} and plots/test_errors.csv."""
    manifest = load_manifest(PREPARED)
    results = tables.read_all_scores(SCORES, manifest.sha256)
    left_out = [model for model in TUNED if (SCORES / f"{model}.json").exists() and model not in results]
    if left_out:
        click.echo(f"{', '.join(left_out)}: left out, being of other images, layers or seeds; train again (dvc repro)")
    reference = tables.load_reference(load_data_params(PARAMS).dataset)
    test_errors = tables.gather_test_errors(PLOTS / "curves", results, manifest.test.num_images)
    texts = {
        "summary.json": json.dumps(results, indent=2, sort_keys=True) + "\n",
        "error_table.md": tables.error_table_markdown(results, reference),
        "error_table.tex": tables.error_table_latex(results, reference),
    }
    table = tables.error_table_frame(results, reference)
    for name, text in texts.items():
        with output_file(METRICS / name) as path:
            path.write_text(text, encoding="utf-8", newline="\n")
    with output_file(METRICS / "error_table.csv") as path:
        write_csv(table, path)
    with output_file(PLOTS / "test_errors.csv") as path:
        write_csv(test_errors, path)


if __name__ == "__main__":
    main()
