"""Stage evaluate: load saved models from disk and score them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from mnist_core.calibration import calibration_scores
from mnist_core.candidates import HYPERPARAMETERS, Candidate, read_choice
from mnist_core.data.dataset import check_as_asked, load_manifest
from mnist_core.evaluation import Evaluation, confusion_frame, evaluate, probabilities, summarise
from mnist_core.files.writing import output_file, write_arrays, write_csv, write_json
from mnist_core.models import ALL_MODELS, MODELS, TUNED, Framework, framework_and_letter
from mnist_core.networks.architectures import architecture_to_dicts
from mnist_core.networks.model_file import load_model
from mnist_core.params import Params, load_params
from mnist_core.published import find_model, is_there, learned_with, place_of, seeds_of
from mnist_core.training.loop import cached_split
from stages.command import MODEL_FILES, PARAMS, PLOTS, PREDICTIONS, PREPARED, SCORES, StageCommand, scheduler_option


@click.command(cls=StageCommand)
@click.option(
    "--model", "models", multiple=True, type=click.Choice(list(ALL_MODELS)), help="May be repeated; default: all."
)
@click.option("--print-only", is_flag=True, help="Print the errors and write no file.")
@scheduler_option
def main(models: tuple[str, ...], print_only: bool, scheduler: str | None) -> None:
    """Print the train and test error of saved models and, as a pipeline stage, write scores and predictions."""
    params = load_params(PARAMS)
    check_as_asked(PREPARED, params.data, params.active.data)
    places: set[Path] = set()
    for model in models or [*MODELS, *filter(is_there, TUNED)]:
        (_evaluate if print_only else _write)(model, params, scheduler, places)


@contextmanager
def _jobs(framework: Framework, scheduler: str | None) -> Iterator[Callable[..., Any]]:
    """Give a function that calls another: on a worker of the scheduler, where TensorFlow may run already, or else here.

    NumPy starts at once, and its last bits hang on the number of threads, which is one on a worker.
    """
    if scheduler is None or framework == "numpy":
        yield lambda function, *arguments: function(*arguments)
        return
    from mnist_core.training.cluster import open_cluster  # not at the top: Dask takes a second to start

    with open_cluster(scheduler=scheduler) as cluster:
        yield partial(cluster.run, data_directory=PREPARED.resolve())


def _evaluate(model: str, params: Params, scheduler: str | None, places: set[Path]) -> list[Evaluation]:
    """Print and return the scores of every seed of a model, and say once where models come from."""
    evaluations = []
    data_sha256 = load_manifest(PREPARED).sha256
    framework, _ = framework_and_letter(model)
    with _jobs(framework, scheduler) as run:
        for seed in seeds_of(model, params.active.train.seeds):
            path = find_model(model, seed)
            if (place := place_of(path)) not in places:
                places.add(place)
                click.echo(f"Models from {place}", err=True)
            expected = {"architecture": params.architecture(model), "data_sha256": data_sha256, **learned_with(model)}
            network = load_model(path, {"model": model, "seed": seed, **expected})
            scored: Evaluation = run(evaluate, framework, *network, PREPARED.resolve())
            click.echo(f"{model} seed {seed}: train error {scored.train_error:.5f}, test error {scored.test_error:.5f}")
            evaluations.append(scored)
    return evaluations


def _write(model: str, params: Params, scheduler: str | None, places: set[Path]) -> None:
    """Write the scores of a model and what its networks say of the test images."""
    choice = read_choice(MODEL_FILES / model / HYPERPARAMETERS, model)
    with (
        output_file(SCORES / f"{model}.json") as scores_path,
        output_file(PLOTS / "confusion" / f"{model}.csv") as confusion_path,
        output_file(PREDICTIONS / f"{model}.npz") as predictions_path,
    ):
        evaluations = _evaluate(model, params, scheduler, places)
        labels = cached_split(PREPARED.resolve(), "test").labels
        by_seed = probabilities(evaluations)
        scores = summarise(evaluations) | calibration_scores(by_seed, labels)
        chosen = choice.model_dump(include=set(Candidate.model_fields), exclude_defaults=True)
        # By `origin` and `networks` readers know other scores from these.
        origin = {"model": model, "data_sha256": load_manifest(PREPARED).sha256}
        networks = {
            "architecture": architecture_to_dicts(params.architecture(model)),
            "seeds": params.active.train.seeds,
        }
        write_json(scores_path, origin | networks | scores | chosen)
        write_csv(confusion_frame(evaluations[0], labels), confusion_path)
        arrays = {"probabilities": by_seed, "seeds": np.array(params.active.train.seeds, np.int64)}
        write_arrays(predictions_path, {name: np.array(text.encode()) for name, text in origin.items()} | arrays)


if __name__ == "__main__":
    main()
