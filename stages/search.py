"""Stage search: choose a model's learning rate and number of epochs on the validation images."""

import click

from mnist_core.files.writing import output_file, write_csv, write_json
from mnist_core.params import load_params
from mnist_core.search import search
from mnist_core.training.checkpoints import kept
from mnist_core.training.cluster import open_cluster
from stages.command import CHECKPOINTS, PARAMS, PLOTS, SEARCH, StageCommand
from stages.training import cluster_options, model_option, training_setup


@click.command(cls=StageCommand)
@model_option
@cluster_options
def main(model: str, workers: int | None, scheduler: str | None) -> None:
    """Train every candidate learning rate and record the best (learning rate, epoch)."""
    params = load_params(PARAMS)
    setup = training_setup(model, params)
    with (
        kept(CHECKPOINTS / f"search-{model}") as checkpoints,
        output_file(SEARCH / f"{model}.json") as choice_path,
        output_file(PLOTS / "search" / f"{model}.csv") as curves_path,
    ):
        with open_cluster(num_workers=workers, scheduler=scheduler) as cluster:
            result = search(
                cluster,
                setup,
                params.active.framework(model).search,
                num_epochs=params.active.search_epochs(model),
                description=f"search {model}",
                checkpoints=checkpoints,
            )
        write_json(choice_path, {"model": model} | result.to_json())
        write_csv(result.curves, curves_path)
    best = result.candidates[0]
    click.echo(
        f"{model}: learning rate {best.learning_rate:g}, {best.epochs} epochs,"
        f" validation error {best.validation_error:.2f} %"
    )


if __name__ == "__main__":
    main()
