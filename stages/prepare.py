"""Decode the raw files, check them and split them into training, validation and test images."""

import click

from mnist_core.data.params import load_data_params, load_split_sizes
from mnist_core.data.splitting import prepare_splits
from mnist_core.files.writing import output_directory
from stages.command import PARAMS, PREPARED, RAW, StageCommand


@click.command(cls=StageCommand)
def main() -> None:
    """Write data/prepared from data/raw, with the sizes of the active profile's `data` in params.yaml."""
    data = load_data_params(PARAMS)
    sizes, section = load_split_sizes(PARAMS)
    with output_directory(PREPARED) as directory:
        prepare_splits(RAW, directory, data, sizes, section=section)


if __name__ == "__main__":
    main()
