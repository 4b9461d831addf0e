"""The command `mnist`, also `python -m mnist_core`: what one can do with the models besides training them."""

import click


class Commands(click.Group):
    """Imports a command when it is asked for: click answers Ctrl-C with a word, Python with a traceback."""

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
