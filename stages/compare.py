"""Stage `compare`: which differences between the models are real, and what their predictions show beyond the error."""

import click

from mnist_core.comparison import RULE, compare
from mnist_core.data.dataset import load_manifest, load_split
from mnist_core.data.params import load_data_params
from mnist_core.details import disputed_images, model_details
from mnist_core.errors import UserError
from mnist_core.files.reading import REMEDY
from mnist_core.files.writing import output_file, write_csv, write_text
from mnist_core.metrics import percent
from mnist_core.models import MODELS, tuned_pairs
from mnist_core.records import Details, evaluated_models, is_near, read_predictions, read_scores
from stages.command import METRICS, PARAMS, PREDICTIONS, PREPARED, SCORES, StageCommand


@click.command(cls=StageCommand)
def main() -> None:
    """Write metrics/{intervals,comparisons,tuned_comparisons}.csv and metrics/details.json."""
    with (
        output_file(METRICS / "intervals.csv") as intervals_path,
        output_file(METRICS / "comparisons.csv") as pairs_path,
        output_file(METRICS / "tuned_comparisons.csv") as tuned_path,
        output_file(METRICS / "details.json") as details_path,
    ):
        dataset = load_data_params(PARAMS).dataset
        labels = load_split(PREPARED, "test").labels
        data_sha256 = load_manifest(PREPARED).sha256
        seeds: tuple[int, ...] = ()
        mistakes, models = {}, {}
        for model in evaluated_models(SCORES):
            path = PREDICTIONS / f"{model}.npz"
            own_seeds, probabilities = read_predictions(path, model, data_sha256, num_images=len(labels))
            seeds = seeds or own_seeds
            if own_seeds != seeds:
                raise UserError(f"{path}: its seeds {own_seeds} are not those of the other models, {seeds}; {REMEDY}")
            scores = read_scores(SCORES / f"{model}.json", model, data_sha256)
            mistakes[model] = probabilities.argmax(axis=-1) != labels
            test_error = percent(mistakes[model].mean())
            if not is_near(test_error, scores.test_error, len(labels)):
                raise UserError(
                    f"{path}: its test_error is {test_error:g}, and {SCORES / model}.json has {scores.test_error:g};"
                    f" {REMEDY}"
                )
            models[model] = model_details(
                probabilities,
                labels,
                dataset=dataset,
                validation_error=scores.validation_error,
                final_validation_error=scores.final_validation_error,
            )
        comparison = compare({model: mistakes[model] for model in MODELS})
        pairs = tuned_pairs(mistakes)
        of_tuned = compare(mistakes, pairs=pairs).pairs if pairs else comparison.pairs.iloc[:0]
        details = Details(
            seeds=seeds,
            num_images=len(labels),
            rule=RULE,
            disputed_images=disputed_images(dataset, len(labels)),
            models=models,
        )
        write_csv(of_tuned, tuned_path)
        write_csv(comparison.intervals, intervals_path)
        write_csv(comparison.pairs, pairs_path)
        write_text(details_path, details.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
