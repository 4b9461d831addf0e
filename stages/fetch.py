"""Get the four files of the data set from the user's directory, or from the first source that has them intact."""

import os

import click

from mnist_core.data.directory import named_directory
from mnist_core.data.params import load_data_params
from mnist_core.data.sources import fetch_dataset
from mnist_core.files.writing import output_directory
from stages.command import PARAMS, RAW, StageCommand


@click.command(cls=StageCommand)
def main() -> None:
    """Write data/raw: the files of `data.dataset` in params.yaml, uncompressed, all from one source."""
    data = load_data_params(PARAMS)
    directory = named_directory(data.directory, os.environ)
    with output_directory(RAW) as output:
        fetch_dataset(data.dataset, output, directory=directory, report=click.echo)


if __name__ == "__main__":
    main()
