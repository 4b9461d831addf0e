"""The one exception that means "the user can mend this"; commands show it as a single line."""


class UserError(Exception):
    """A fault in params.yaml, an option, a file or the network. The message names the culprit and what to do.

    It is one printable line, whatever text from outside it quotes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message, limit=900))


def printable(text: object, limit: int = 300) -> str:
    """Return text from outside as one short line: spaces for white space, escapes for what a terminal would obey."""
    line = " ".join(str(text).split())
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
