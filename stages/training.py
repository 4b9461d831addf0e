"""What the stages that train share: which model, what all its trainings have in common, and where they run."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import click

from mnist_core.candidates import SearchResult
from mnist_core.data.dataset import check_as_asked, load_manifest
from mnist_core.files.writing import output_file, write_csv, write_json
from mnist_core.models import ALL_MODELS, framework_and_letter
from mnist_core.networks.architectures import architecture_to_dicts
from mnist_core.params import Params
from mnist_core.training.checkpoints import kept
from mnist_core.training.cluster import open_cluster
from mnist_core.training.run import TrainingSetup
from stages.command import CHECKPOINTS, PLOTS, PREPARED, SEARCH, scheduler_option

P = ParamSpec("P")
R = TypeVar("R")

model_option = click.option("--model", required=True, type=click.Choice(list(ALL_MODELS)), help="Name of the model.")


def cluster_options(function: Callable[P, R]) -> Callable[P, R]:
    """Add --workers and --scheduler: where training jobs run. Processors of another kind may change last bits only."""
    function = click.option(
        "--workers",
        type=click.IntRange(min=0, max=1000),
        envvar="MNIST_WORKERS",
        help="Local worker processes; default: one a core. With 0 all runs in this one, for a debugger.",
    )(function)
    return scheduler_option(function)


def run_search(
    model: str, params: Params, workers: int | None, scheduler: str | None, find: Callable[..., SearchResult]
) -> SearchResult:
    """Search on a cluster, going on where a search was killed, and write data/search/<model>.json and its curves.

    Args:
        model: its name.
        params: all of params.yaml.
        workers: see `cluster_options`.
        scheduler: likewise.
        find: `search.search` or `tuning.tune`, with all arguments but cluster, setup, description and checkpoints.
    """
    setup = training_setup(model, params)
    made = made_with(setup)  # now: data/prepared may be another when the search ends
    with (
        kept(CHECKPOINTS / f"search-{model}") as checkpoints,
        output_file(SEARCH / f"{model}.json") as choice_path,
        output_file(PLOTS / "search" / f"{model}.csv") as curves_path,
    ):
        with open_cluster(num_workers=workers, scheduler=scheduler) as cluster:
            result = find(cluster, setup, description=f"search {model}", checkpoints=checkpoints)
        write_json(choice_path, {"model": model} | made | result.to_json())
        write_csv(result.curves, curves_path)
    return result


def training_setup(model: str, params: Params) -> TrainingSetup:
    """Return what all trainings of a model share, by its name in the report, such as "2d".

    Raises:
        UserError: the prepared data are not those that params.yaml asks for.
    """
    check_as_asked(PREPARED, params.data, params.active.data)
    return TrainingSetup(
        framework=framework_and_letter(model)[0],
        architecture=params.architecture(model),
        data_directory=PREPARED.resolve(),
        batch_size=params.active.batch_size(model),
        fast=params.fast,
    )


def made_with(setup: TrainingSetup) -> dict[str, Any]:
    """Return what the record of a search says of the network and the images; the training must be of the same."""
    return {
        "data_sha256": load_manifest(setup.data_directory).sha256,
        "architecture": architecture_to_dicts(setup.architecture),
    }
