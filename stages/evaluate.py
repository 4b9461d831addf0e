"""Stage evaluate: load saved models from disk and score them."""

import json

import click
import numpy as np
import pandas as pd

from mnist_core.arrays import NUM_CLASSES
from mnist_core.candidates import read_choice
from mnist_core.data.dataset import load_dataset
from mnist_core.evaluation import evaluate_model, summarise
from mnist_core.files import output_file, write_csv
from mnist_core.metrics import confusion_matrix, softmax
from mnist_core.models import MODELS, framework_and_letter
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
    seeds = load_params(PARAMS).active.train.seeds
    for model in models or MODELS:
        framework, _ = framework_and_letter(model)
        evaluations = [evaluate_model(framework, MODEL_FILES / model / f"seed_{seed}.npz", dataset) for seed in seeds]
        for seed, evaluation in zip(seeds, evaluations, strict=True):
            click.echo(
                f"{model} seed {seed}: train error {evaluation.train_error:.5f}, test error {evaluation.test_error:.5f}"
            )
        if print_only:
            continue
        hyperparameters = read_choice(MODEL_FILES / model / HYPERPARAMETERS)
        scores = summarise(evaluations) | hyperparameters.model_dump()
        probabilities = softmax(evaluations[0].test_logits)
        counts = confusion_matrix(probabilities.argmax(axis=1), dataset.test.labels, num_classes=NUM_CLASSES)
        actual, predicted = np.indices(counts.shape).reshape(2, -1)
        confusion = pd.DataFrame({"actual": actual, "predicted": predicted, "count": counts.ravel()})
        with (
            output_file(METRICS / f"{model}.json") as metrics_path,
            output_file(PLOTS / "confusion" / f"{model}.csv") as confusion_path,
            output_file(PREDICTIONS / f"{model}.npz") as predictions_path,
        ):
            metrics_path.write_text(json.dumps(scores, indent=2) + "\n")
            write_csv(confusion, confusion_path)
            np.savez(predictions_path, allow_pickle=False, probabilities=probabilities)


if __name__ == "__main__":
    main()
