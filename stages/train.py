"""Stage train: train a model with the chosen hyperparameters, once for each seed, and save it."""

from pathlib import Path

import click
from tqdm import tqdm

from mnist_core.cluster import open_cluster, train_all
from mnist_core.errors import UserError
from mnist_core.history import curves_frame, history_frame, write_csv
from mnist_core.model_file import save_model
from mnist_core.params import framework_and_letter, load_params
from mnist_core.training import TrainingRun, TrainingState
from stages.command import (
    MODEL_FILES,
    PARAMS,
    PLOTS,
    PREPARED,
    StageCommand,
    cluster_options,
    model_option,
    output_directory,
    output_file,
    read_choice,
)


@click.command(cls=StageCommand)
@model_option
@cluster_options
@click.option("--verbose", is_flag=True, envvar="MNIST_VERBOSE", help="Print the errors after every epoch.")
def main(model: str, workers: int | None, scheduler: str | None, verbose: bool) -> None:
    """Train with the winner of the search, for exactly its number of epochs."""
    params = load_params(PARAMS)
    framework, _ = framework_and_letter(model)
    choice = read_choice(model)
    seeds = params.active.train.seeds
    runs = [
        TrainingRun(
            framework=framework,
            architecture=params.architecture(model),
            data_directory=PREPARED.resolve(),
            batch_size=params.active.model(model).batch_size,
            learning_rate=choice["learning_rate"],
            num_epochs=choice["epochs"],
            seed=seed,
            evaluate_on=("train", "test"),
        )
        for seed in seeds
    ]
    printed = [0] * len(runs)

    def print_epochs(index: int, state: TrainingState) -> None:
        for record in state.records[printed[index] :]:
            tqdm.write(
                f"{model} seed {seeds[index]}: Epoch: {record.epoch}, Train error: {record.errors['train']:.5f},"
                f" Test error: {record.errors['test']:.5f}"
            )
        printed[index] = len(state.records)

    with open_cluster(num_workers=workers, scheduler=scheduler) as client:
        states = train_all(client, runs, description=f"train {model}", on_progress=print_epochs if verbose else None)
    for seed, state in zip(seeds, states, strict=True):
        if state.diverged:
            raise UserError(
                f"train {model}: seed {seed} diverged after {len(state.records)} epochs at learning rate"
                f" {choice['learning_rate']:g}; take a smaller learning rate or another seed in params.yaml"
            )
    with (
        output_directory(MODEL_FILES / model) as directory,
        output_file(PLOTS / "curves" / f"{model}.csv") as curves_path,
    ):
        for run, state in zip(runs, states, strict=True):
            _save(directory / f"seed_{run.seed}", run, state)
        write_csv(curves_frame([state.records for state in states]), curves_path)
    last = states[0].records[-1].errors
    click.echo(f"{model} seed {seeds[0]}: train error {last['train']:.5f}, test error {last['test']:.5f}")


def _save(stem: Path, run: TrainingRun, state: TrainingState) -> None:
    save_model(stem.with_suffix(".npz"), run.architecture, state.weights)
    write_csv(history_frame(state.records), stem.with_suffix(".csv"))
    if run.framework == "tensorflow":
        from mnist_core.tensorflow_nn.keras_file import save_keras  # not at the top: NumPy models do without TensorFlow

        save_keras(stem.with_suffix(".keras"), run.architecture, state.weights)


if __name__ == "__main__":
    main()
