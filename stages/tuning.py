"""Stage search of the tuned protocol: choose a model's hyperparameters on the validation images."""

from functools import partial

import click

from mnist_core.errors import UserError
from mnist_core.models import TUNED
from mnist_core.params import load_params
from mnist_core.tuning import tune
from stages.command import PARAMS, StageCommand
from stages.training import cluster_options, model_option, run_search


@click.command(cls=StageCommand)
@model_option
@cluster_options
def main(model: str, workers: int | None, scheduler: str | None) -> None:
    """Try what Optuna proposes, and record the best after other seeds had their say."""
    if model not in TUNED:
        raise UserError(f"{model}: not a model of the tuned protocol; use one of {', '.join(TUNED)}")
    params = load_params(PARAMS)
    tuned = params.active.tuned
    find = partial(
        tune,
        params=tuned.search,
        space=tuned.space_of(model),
        epochs=params.active.search_epochs(model),
    )
    best = run_search(model, params, workers, scheduler, find).candidates[0]
    click.echo(
        f"{model}: learning rate {best.learning_rate:g}, batches of {best.batch_size}, validation error"
        f" {best.validation_error:.2f} % over {len(tuned.search.choice_seeds)} other seeds"
    )


if __name__ == "__main__":
    main()
