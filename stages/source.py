"""Say which four files are wanted, and look at the directory that the user named: it may hold others than last time."""

import os

import click

from mnist_core.data.directory import named_directory
from mnist_core.data.params import load_data_params
from mnist_core.data.sources import source_checksums
from mnist_core.files.writing import output_file, write_json
from stages.command import PARAMS, SOURCE, StageCommand


@click.command(cls=StageCommand)
def main() -> None:
    """Write data/source.json: the data set and the SHA-256 of its files. DVC runs this always, fetch if it changed."""
    data = load_data_params(PARAMS)
    checksums = source_checksums(data.dataset, named_directory(data.directory, os.environ))
    with output_file(SOURCE) as path:
        write_json(path, {"dataset": data.dataset, "files": checksums})


if __name__ == "__main__":
    main()
