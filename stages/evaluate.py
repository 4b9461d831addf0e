"""Stage evaluate: load saved models from disk and score them."""

import click
import numpy as np

from mnist_core.calibration import calibration_scores
from mnist_core.candidates import Candidate, read_choice
from mnist_core.data.dataset import load_dataset
from mnist_core.evaluation import confusion_frame, evaluate_model, probabilities, summarise
from mnist_core.files.writing import output_file, write_arrays, write_csv, write_json
from mnist_core.models import ALL_MODELS, MODELS, TUNED
from mnist_core.params import load_params
from mnist_core.published import find_model, is_there, place_of, seeds_of
from stages.command import HYPERPARAMETERS, MODEL_FILES, PARAMS, PLOTS, PREDICTIONS, PREPARED, SCORES, StageCommand


@click.command(cls=StageCommand)
@click.option(
    "--model", "models", multiple=True, type=click.Choice(list(ALL_MODELS)), help="May be repeated; default: all."
)
@click.option("--print-only", is_flag=True, help="Print the errors and write no file.")
def main(models: tuple[str, ...], print_only: bool) -> None:
    """Print the train and test error of saved models and, as a pipeline stage, write scores and predictions."""
    dataset = load_dataset(PREPARED)
    params = load_params(PARAMS)
    places = set()
    for model in models or [*MODELS, *filter(is_there, TUNED)]:
        seeds = seeds_of(model, params.active.train.seeds)
        evaluations = []
        for seed in seeds:
            path = find_model(model, seed)
            if (place := place_of(path)) not in places:
                places.add(place)
                click.echo(f"Models from {place}", err=True)
            scored = evaluate_model(path, dataset, model=model, seed=seed, architecture=params.architecture(model))
            click.echo(f"{model} seed {seed}: train error {scored.train_error:.5f}, test error {scored.test_error:.5f}")
            evaluations.append(scored)
        if print_only:
            continue
        choice = read_choice(MODEL_FILES / model / HYPERPARAMETERS, model)
        with (
            output_file(SCORES / f"{model}.json") as scores_path,
            output_file(PLOTS / "confusion" / f"{model}.csv") as confusion_path,
            output_file(PREDICTIONS / f"{model}.npz") as predictions_path,
        ):
            by_seed = probabilities(evaluations)
            scores = summarise(evaluations) | calibration_scores(by_seed, dataset.test.labels)
            chosen = choice.model_dump(include=set(Candidate.model_fields), exclude_defaults=True)
            origin = {"model": model, "data_sha256": dataset.sha256}  # by which readers know other scores from these
            write_json(scores_path, origin | scores | chosen)
            write_csv(confusion_frame(evaluations[0], dataset.test.labels), confusion_path)
            arrays = {"probabilities": by_seed, "seeds": np.array(seeds, np.int64)}
            write_arrays(predictions_path, {name: np.array(text.encode()) for name, text in origin.items()} | arrays)


if __name__ == "__main__":
    main()
