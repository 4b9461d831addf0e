"""Writes the tuned protocol's searches as studies that optuna-dashboard opens: `python -m tools.studies`."""

from pathlib import Path

import click
import optuna

from mnist_core.candidates import read_search
from mnist_core.errors import UserError
from mnist_core.files.writing import output_file
from mnist_core.models import TUNED
from mnist_core.report.results import read_trials
from mnist_core.report.study import study_trials
from stages.command import PLOTS, SEARCH, StageCommand

STUDIES = Path("dvc_plots/studies.db")


@click.command(cls=StageCommand)
def main() -> None:
    """Write dvc_plots/studies.db from data/search and plots/search, a study for each model that was searched."""
    models = [model for model in TUNED if (SEARCH / f"{model}.json").exists()]
    if not models:
        raise UserError(f"{SEARCH}: no search of the tuned protocol; run `make tuned` first")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with output_file(STUDIES) as path:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
        for model in models:
            search = read_search(SEARCH / f"{model}.json", model)
            trials = study_trials(search, read_trials(PLOTS / "search" / f"{model}.csv", search))
            study = optuna.create_study(storage=storage, study_name=model)
            study.add_trials(trials)
        storage.engine.dispose()
    click.echo(f"{STUDIES}: {', '.join(models)}")


if __name__ == "__main__":
    main()
