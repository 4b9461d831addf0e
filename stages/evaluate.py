"""Stage evaluate: load saved models from disk and score them."""

from pathlib import Path

import click
import numpy as np

from mnist_core.calibration import calibration_scores
from mnist_core.candidates import HYPERPARAMETERS, Candidate, read_choice
from mnist_core.data.dataset import Dataset, check_as_asked, load_dataset
from mnist_core.evaluation import Evaluation, confusion_frame, evaluate_model, probabilities, summarise
from mnist_core.files.writing import output_file, write_arrays, write_csv, write_json
from mnist_core.models import ALL_MODELS, MODELS, TUNED
from mnist_core.params import Params, load_params
from mnist_core.published import find_model, is_there, learned_with, place_of, seeds_of
from stages.command import MODEL_FILES, PARAMS, PLOTS, PREDICTIONS, PREPARED, SCORES, StageCommand


@click.command(cls=StageCommand)
@click.option(
    "--model", "models", multiple=True, type=click.Choice(list(ALL_MODELS)), help="May be repeated; default: all."
)
@click.option("--print-only", is_flag=True, help="Print the errors and write no file.")
def main(models: tuple[str, ...], print_only: bool) -> None:
    """Print the train and test error of saved models and, as a pipeline stage, write scores and predictions."""
    params = load_params(PARAMS)
    check_as_asked(PREPARED, params.data, params.active.data)
    dataset = load_dataset(PREPARED)
    places: set[Path] = set()
    for model in models or [*MODELS, *filter(is_there, TUNED)]:
        if print_only:
            _evaluate(model, dataset, params, places)
            continue
        choice = read_choice(MODEL_FILES / model / HYPERPARAMETERS, model)
        with (
            output_file(SCORES / f"{model}.json") as scores_path,
            output_file(PLOTS / "confusion" / f"{model}.csv") as confusion_path,
            output_file(PREDICTIONS / f"{model}.npz") as predictions_path,
        ):
            evaluations = _evaluate(model, dataset, params, places)
            by_seed = probabilities(evaluations)
            scores = summarise(evaluations) | calibration_scores(by_seed, dataset.test.labels)
            chosen = choice.model_dump(include=set(Candidate.model_fields), exclude_defaults=True)
            origin = {"model": model, "data_sha256": dataset.sha256}  # by which readers know other scores from these
            write_json(scores_path, origin | scores | chosen)
            write_csv(confusion_frame(evaluations[0], dataset.test.labels), confusion_path)
            arrays = {"probabilities": by_seed, "seeds": np.array(params.active.train.seeds, np.int64)}
            write_arrays(predictions_path, {name: np.array(text.encode()) for name, text in origin.items()} | arrays)


def _evaluate(model: str, dataset: Dataset, params: Params, places: set[Path]) -> list[Evaluation]:
    """Print and return the scores of every seed of a model, and say once where models come from."""
    evaluations = []
    for seed in seeds_of(model, params.active.train.seeds):
        path = find_model(model, seed)
        if (place := place_of(path)) not in places:
            places.add(place)
            click.echo(f"Models from {place}", err=True)
        expected = {"model": model, "seed": seed, "architecture": params.architecture(model), **learned_with(model)}
        scored = evaluate_model(path, dataset, expected)
        click.echo(f"{model} seed {seed}: train error {scored.train_error:.5f}, test error {scored.test_error:.5f}")
        evaluations.append(scored)
    return evaluations


if __name__ == "__main__":
    main()
