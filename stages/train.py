"""Stage train: train a model with the best candidate of the search, once for each seed, and save it."""

from collections.abc import Mapping
from math import prod

import click
from tqdm import tqdm

from mnist_core.candidates import HYPERPARAMETERS, Choice, FailedCandidate, read_search
from mnist_core.export.keras_file import keras_bytes
from mnist_core.files.writing import output_directory, output_file, write_bytes, write_csv, write_json
from mnist_core.final_training import FinalTraining, PassedOver, train_seeds
from mnist_core.networks.architectures import parameter_shapes
from mnist_core.networks.model_file import Provenance, save_model
from mnist_core.params import load_params
from mnist_core.training.checkpoints import kept
from mnist_core.training.cluster import open_cluster
from mnist_core.training.history import EpochRecord, curves_frame, history_frame
from mnist_core.training.jobs import Cluster
from mnist_core.training.run import TrainingSetup, TrainingState
from stages.command import CHECKPOINTS, MODEL_FILES, PARAMS, PLOTS, SEARCH, StageCommand
from stages.training import cluster_options, made_with, model_option, training_setup

_BYTES_PER_WEIGHT = 12  # float32 in the .npz, the .keras and the checkpoint


@click.command(cls=StageCommand)
@model_option
@cluster_options
@click.option("--verbose", is_flag=True, envvar="MNIST_VERBOSE", help="Print the errors after every epoch.")
def main(model: str, workers: int | None, scheduler: str | None, verbose: bool) -> None:
    """Train with the best of the search, for exactly its number of epochs; if a seed fails, with the next best."""
    params = load_params(PARAMS)
    seeds = params.active.train.seeds
    setup = training_setup(model, params)
    made = made_with(setup)
    candidates = read_search(SEARCH / f"{model}.json", model, made).candidates

    def print_epoch(index: int, record: EpochRecord) -> None:
        tqdm.write(
            f"{model} seed {seeds[index]}: Epoch: {record.epoch}, Train error: {record.errors['train']:.5f},"
            f" Test error: {record.errors['test']:.5f}"
        )

    size = len(seeds) * _BYTES_PER_WEIGHT * sum(map(prod, parameter_shapes(setup.architecture).values()))
    with (
        kept(CHECKPOINTS / f"train-{model}") as checkpoints,
        output_directory(MODEL_FILES / model, size=size) as directory,
        output_file(PLOTS / "curves" / f"{model}.csv") as errors_path,
    ):
        with open_cluster(num_workers=workers, scheduler=scheduler) as cluster:
            training = train_seeds(
                cluster,
                setup,
                candidates,
                seeds,
                description=f"train {model}",
                on_epoch=print_epoch if verbose else None,
                checkpoints=checkpoints,
            )
            files = _keras_files(cluster, setup, dict(zip(seeds, training.states, strict=True)))
        for seed, state in zip(seeds, training.states, strict=True):
            learned = {
                "batch_size": setup.batch_size,
                **training.candidate.hyperparameters.model_dump(exclude_none=True),
            }
            provenance = Provenance(model=model, seed=seed, data_sha256=made["data_sha256"], **learned)
            save_model(directory / f"seed_{seed}.npz", setup.architecture, state.weights, provenance)
            write_csv(history_frame(state.records), directory / f"seed_{seed}.csv")
        for seed, content in files.items():
            write_bytes(directory / f"seed_{seed}.keras", content)
        write_json(directory / HYPERPARAMETERS, _choice(model, training).model_dump(exclude_defaults=True))
        write_csv(curves_frame([state.records for state in training.states]), errors_path)
    for passed_over in training.passed_over:
        click.echo(f"{model}: {passed_over}; the next best of the search was taken")
    last = training.states[0].records[-1].errors
    click.echo(f"{model} seed {seeds[0]}: train error {last['train']:.5f}, test error {last['test']:.5f}")


def _choice(model: str, training: FinalTraining) -> Choice:
    failures = [_failed(passed) for passed in training.passed_over]
    return Choice(model=model, **training.candidate.model_dump(), failures=failures)


def _failed(passed: PassedOver) -> FailedCandidate:
    return FailedCandidate(
        learning_rate=passed.candidate.learning_rate,
        epochs=passed.candidate.epochs,
        seed=passed.seed,
        failure=passed.failure.word,
        epoch=passed.failure.epoch,
    )


def _keras_files(cluster: Cluster, setup: TrainingSetup, states: Mapping[int, TrainingState]) -> dict[int, bytes]:
    """Have them made, for every seed, where TensorFlow runs already; none for NumPy's networks."""
    if setup.framework == "numpy":
        return {}
    return {
        seed: cluster.run(keras_bytes, setup.architecture, state.weights, data_directory=setup.data_directory)
        for seed, state in states.items()
    }


if __name__ == "__main__":
    main()
