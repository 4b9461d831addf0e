"""Get the four files of the data set from the first sources that have them intact."""

import os
from pathlib import Path

import click

from mnist_core.data.params import load_data_params
from mnist_core.data.sources import fetch_dataset
from mnist_core.files import output_directory
from stages.command import PARAMS, RAW, StageCommand

DIRECTORY_VARIABLE = "MNIST_DIRECTORY"


@click.command(cls=StageCommand)
def main() -> None:
    """Write data/raw: the files of `data.dataset` in params.yaml, uncompressed, each with the right SHA-256."""
    data = load_data_params(PARAMS)
    given = (data.directory, os.environ.get(DIRECTORY_VARIABLE, ""))
    with output_directory(RAW) as directory:
        fetch_dataset(data.dataset, directory, directories=[Path(path) for path in given if path], report=click.echo)


if __name__ == "__main__":
    main()
