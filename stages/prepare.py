"""Decode the raw files, check them and split them into training, validation and test images."""

import click

from mnist_core.data.splitting import prepare_splits
from mnist_core.params import load_params
from stages.command import PARAMS, PREPARED, RAW, StageCommand, output_directory


@click.command(cls=StageCommand)
def main() -> None:
    """Write data/prepared from data/raw, with the sizes of the active profile's `data` in params.yaml."""
    sizes = load_params(PARAMS).active.data
    with output_directory(PREPARED) as directory:
        prepare_splits(RAW, directory, train=sizes.train, validation=sizes.validation, test=sizes.test)


if __name__ == "__main__":
    main()
