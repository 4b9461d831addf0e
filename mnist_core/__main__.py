"""The command `mnist`, also `python -m mnist_core`: what one can do with the models besides training them."""

import click

from mnist_core.predict.command import predict


@click.group()
def main() -> None:
    """Use the trained networks."""


main.add_command(predict)

if __name__ == "__main__":
    main(prog_name="mnist")
