"""The one exception that means "the user can mend this"; commands show it as a single line."""


class UserError(Exception):
    """A fault in params.yaml, an option, a file or the network. The message names the culprit and what to do."""
