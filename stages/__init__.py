"""One thin command per DVC stage: options and one section of params.yaml in, files out."""

import os
import signal
import sys
from typing import NoReturn

PARENT = os.getppid()  # now, before the libraries are imported: it may be gone when they are


def interrupted() -> str:
    """Return what Ctrl-C makes a stage say: how to go on."""
    if "DVC_STAGE" in os.environ:
        return "Interrupted; `dvc repro` goes on where it was"
    by_hand = os.path.basename(os.path.dirname(sys.argv[0])) == __name__  # noqa: PTH119, PTH120 (pathlib takes its time)
    return "Interrupted; the same command goes on where it was" if by_hand else "Interrupted"


def end_at_once(*_: object) -> NoReturn:
    """Say so and end: for Ctrl-C while there is nothing to tidy up, where Python would print a traceback."""
    os.write(2, f"\n{interrupted()}\n".encode())
    os._exit(130)


# Libraries are imported for a second before StageCommand can catch anything. argv is "-m" until `python -m` has found
# the stage; who imports this package otherwise keeps the handler that he has.
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, end_at_once)
