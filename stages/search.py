"""Stage search: choose a model's learning rate and number of epochs on the validation images."""

import json

import click

from mnist_core.cluster import open_cluster
from mnist_core.history import write_csv
from mnist_core.params import framework_and_letter, load_params
from mnist_core.search import search
from mnist_core.training import TrainingRun
from stages.command import (
    PARAMS,
    PLOTS,
    PREPARED,
    SEARCH,
    StageCommand,
    cluster_options,
    model_option,
    output_file,
)


@click.command(cls=StageCommand)
@model_option
@cluster_options
def main(model: str, workers: int | None, scheduler: str | None) -> None:
    """Train every candidate learning rate and record the best (learning rate, epoch)."""
    params = load_params(PARAMS)
    framework, _ = framework_and_letter(model)
    hyperparameters = params.active.model(model)
    run = TrainingRun(
        framework=framework,
        architecture=params.architecture(model),
        data_directory=PREPARED.resolve(),
        batch_size=hyperparameters.batch_size,
        learning_rate=0,
        num_epochs=0,
        seed=0,
        evaluate_on=(),
    )
    with open_cluster(num_workers=workers, scheduler=scheduler) as client:
        result = search(client, run, hyperparameters.search, description=f"search {model}")
    with (
        output_file(SEARCH / f"{model}.json") as choice_path,
        output_file(PLOTS / "search" / f"{model}.csv") as curves_path,
    ):
        choice_path.write_text(json.dumps({"model": model} | result.to_json(), indent=2) + "\n")
        write_csv(result.curves, curves_path)
    best = result.ranking[0]
    click.echo(
        f"{model}: learning rate {best.learning_rate:g}, {best.epochs} epochs,"
        f" validation error {best.validation_error:.2f} %"
    )


if __name__ == "__main__":
    main()
