"""Stage evaluate: load saved models from disk and score them."""

import click
import numpy as np

from mnist_core.candidates import Candidate, read_choice
from mnist_core.data.dataset import load_dataset
from mnist_core.evaluation import confusion_frame, evaluate_model, probabilities, summarise
from mnist_core.files import output_file, write_arrays, write_csv, write_json
from mnist_core.models import MODELS
from mnist_core.params import load_params
from stages.command import HYPERPARAMETERS, METRICS, MODEL_FILES, PARAMS, PLOTS, PREDICTIONS, PREPARED, StageCommand


@click.command(cls=StageCommand)
@click.option(
    "--model", "models", multiple=True, type=click.Choice(list(MODELS)), help="May be repeated; default: all."
)
@click.option("--print-only", is_flag=True, help="Print the errors and write no file.")
def main(models: tuple[str, ...], print_only: bool) -> None:
    """Print the train and test error of saved models and, as a pipeline stage, write scores and predictions."""
    dataset = load_dataset(PREPARED)
    params = load_params(PARAMS)
    seeds = params.active.train.seeds
    for model in models or MODELS:
        evaluations = []
        for seed in seeds:
            path = MODEL_FILES / model / f"seed_{seed}.npz"
            architecture = params.architecture(model)
            evaluations.append(evaluate_model(path, dataset, model=model, seed=seed, architecture=architecture))
            scored = evaluations[-1]
            click.echo(f"{model} seed {seed}: train error {scored.train_error:.5f}, test error {scored.test_error:.5f}")
        if print_only:
            continue
        choice = read_choice(MODEL_FILES / model / HYPERPARAMETERS, model)
        with (
            output_file(METRICS / f"{model}.json") as metrics_path,
            output_file(PLOTS / "confusion" / f"{model}.csv") as confusion_path,
            output_file(PREDICTIONS / f"{model}.npz") as predictions_path,
        ):
            write_json(metrics_path, summarise(evaluations) | choice.model_dump(include=set(Candidate.model_fields)))
            write_csv(confusion_frame(evaluations[0], dataset.test.labels), confusion_path)
            arrays = {"probabilities": probabilities(evaluations), "seeds": np.array(seeds, np.int64)}
            write_arrays(predictions_path, arrays)


if __name__ == "__main__":
    main()
