"""Stage search of the tuned protocol: choose a model's hyperparameters on the validation images."""

import click

from mnist_core.errors import UserError
from mnist_core.files.writing import output_file, write_csv, write_json
from mnist_core.models import TUNED
from mnist_core.params import load_params
from mnist_core.training.checkpoints import kept
from mnist_core.training.cluster import open_cluster
from mnist_core.tuning import tune
from stages.command import CHECKPOINTS, PARAMS, PLOTS, SEARCH, StageCommand
from stages.training import cluster_options, model_option, training_setup


@click.command(cls=StageCommand)
@model_option
@cluster_options
def main(model: str, workers: int | None, scheduler: str | None) -> None:
    """Try what Optuna proposes, and record the best after other seeds had their say."""
    if model not in TUNED:
        raise UserError(f"{model}: not a model of the tuned protocol; use one of {', '.join(TUNED)}")
    params = load_params(PARAMS)
    tuned = params.active.tuned
    with (
        kept(CHECKPOINTS / f"search-{model}") as checkpoints,
        output_file(SEARCH / f"{model}.json") as choice_path,
        output_file(PLOTS / "search" / f"{model}.csv") as curves_path,
    ):
        with open_cluster(num_workers=workers, scheduler=scheduler) as cluster:
            result = tune(
                cluster,
                training_setup(model, params),
                tuned.search,
                tuned.space_of(model),
                epochs=params.active.search_epochs(model),
                description=f"search {model}",
                checkpoints=checkpoints,
            )
        write_json(choice_path, {"model": model} | result.to_json())
        write_csv(result.curves, curves_path)
    best = result.candidates[0]
    click.echo(
        f"{model}: learning rate {best.learning_rate:g}, batches of {best.batch_size}, validation error"
        f" {best.validation_error:.2f} % over {len(tuned.search.choice_seeds)} other seeds"
    )


if __name__ == "__main__":
    main()
