"""Stage train: train a model with the chosen hyperparameters, once for each seed, and save it."""

from pathlib import Path

import click
from tqdm import tqdm

from mnist_core.candidates import read_ranking
from mnist_core.errors import UserError
from mnist_core.files import REMEDY, output_directory, output_file, read_csv, write_csv
from mnist_core.final_training import rank_pairs, train_seeds
from mnist_core.networks.model_file import save_model
from mnist_core.params import load_params
from mnist_core.training.cluster import open_cluster
from mnist_core.training.history import EpochRecord, curves_frame, history_frame
from mnist_core.training.run import TrainingSetup, TrainingState
from stages.command import (
    HYPERPARAMETERS,
    MODEL_FILES,
    PARAMS,
    PLOTS,
    SEARCH,
    StageCommand,
)
from stages.training import cluster_options, model_option, training_setup


@click.command(cls=StageCommand)
@model_option
@cluster_options
@click.option("--verbose", is_flag=True, envvar="MNIST_VERBOSE", help="Print the errors after every epoch.")
def main(model: str, workers: int | None, scheduler: str | None, verbose: bool) -> None:
    """Train with the best of the search, for exactly its number of epochs; if a seed fails, with the next best."""
    params = load_params(PARAMS)
    seeds = params.active.train.seeds
    setup = training_setup(model, params)
    choice_path, curves_path = SEARCH / f"{model}.json", PLOTS / "search" / f"{model}.csv"
    ranking = read_ranking(choice_path)
    pairs = rank_pairs(ranking, read_csv(curves_path, ("learning_rate", "epoch", "validation_error")))
    if pairs[:1] != [ranking[0]]:
        raise UserError(f"{curves_path}: does not fit {choice_path}; {REMEDY}")

    def print_epoch(index: int, record: EpochRecord) -> None:
        tqdm.write(
            f"{model} seed {seeds[index]}: Epoch: {record.epoch}, Train error: {record.errors['train']:.5f},"
            f" Test error: {record.errors['test']:.5f}"
        )

    with open_cluster(num_workers=workers, scheduler=scheduler) as client:
        training = train_seeds(
            client, setup, pairs, seeds, description=f"train {model}", on_epoch=print_epoch if verbose else None
        )
    with (
        output_directory(MODEL_FILES / model) as directory,
        output_file(PLOTS / "curves" / f"{model}.csv") as errors_path,
    ):
        for seed, state in zip(seeds, training.states, strict=True):
            _save(directory / f"seed_{seed}", setup, state)
        hyperparameters = training.hyperparameters.model_dump_json(indent=2)
        (directory / HYPERPARAMETERS).write_text(hyperparameters + "\n")
        write_csv(curves_frame([state.records for state in training.states]), errors_path)
    for failure in training.failures:
        click.echo(f"{model}: {failure}; the next best of the search was taken")
    last = training.states[0].records[-1].errors
    click.echo(f"{model} seed {seeds[0]}: train error {last['train']:.5f}, test error {last['test']:.5f}")


def _save(stem: Path, setup: TrainingSetup, state: TrainingState) -> None:
    save_model(stem.with_suffix(".npz"), setup.architecture, state.weights)
    write_csv(history_frame(state.records), stem.with_suffix(".csv"))
    if setup.framework == "tensorflow":
        from mnist_core.export.keras_file import save_keras  # not at the top: NumPy models do without TensorFlow

        save_keras(stem.with_suffix(".keras"), setup.architecture, state.weights)


if __name__ == "__main__":
    main()
