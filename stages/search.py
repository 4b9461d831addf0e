"""Stage search: choose a model's learning rate and number of epochs on the validation images."""

from functools import partial

import click

from mnist_core.errors import UserError
from mnist_core.models import MODELS
from mnist_core.params import load_params
from mnist_core.search import search
from stages.command import PARAMS, StageCommand
from stages.training import cluster_options, model_option, run_search


@click.command(cls=StageCommand)
@model_option
@cluster_options
def main(model: str, workers: int | None, scheduler: str | None) -> None:
    """Train every candidate learning rate and record the best (learning rate, epoch)."""
    if model not in MODELS:
        raise UserError(f"{model}: not a model of the report; use one of {', '.join(MODELS)}")
    params = load_params(PARAMS)
    find = partial(
        search,
        params=params.active.framework(model).search,
        num_epochs=params.active.search_epochs(model),
    )
    best = run_search(model, params, workers, scheduler, find).candidates[0]
    click.echo(
        f"{model}: learning rate {best.learning_rate:g}, {best.epochs} epochs,"
        f" validation error {best.validation_error:.2f} %"
    )


if __name__ == "__main__":
    main()
