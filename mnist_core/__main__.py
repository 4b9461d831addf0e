"""The command `mnist`, also `python -m mnist_core`: what one can do with the models besides training them."""

import sys
from contextlib import suppress
from typing import Any

import click


class Commands(click.Group):
    """Imports a command when it is asked for: click answers Ctrl-C with a word, Python with a traceback.

    An output that takes no more gets one line, except a closed pipe, on which click is silent.
    """

    def main(self, *args: Any, **options: Any) -> Any:
        """Run a command."""
        try:
            return super().main(*args, **options)
        except OSError as error:
            if error.errno is None or error.filename is not None:  # from a library or about a file: not from a stream
                raise
            with suppress(OSError, AttributeError):  # None where a shell has closed it
                sys.stdout.close()  # at its end, Python would try again to write what is left, and complain
            with suppress(OSError):  # it may have been standard error that takes no more
                click.echo(f"standard output: cannot be written ({error.strerror})", err=True)
            sys.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return ["predict"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one of them."""
        if cmd_name not in self.list_commands(ctx):
            return None
        from mnist_core.predict.command import predict

        return predict


@click.command(cls=Commands)
def main() -> None:
    """Use the trained networks."""


if __name__ == "__main__":
    main(prog_name="mnist")
