"""One file from a server that may be slow, broken or hostile: within a time and a size that nothing can stretch."""

import queue
import threading
import time
import urllib.error
import urllib.request

from mnist_core.errors import printable

CONNECT_SECONDS = 10.0  # for the name, the connection and the first piece of the answer together; then for each piece
SLOWEST_RATE = 10_000  # bytes a second; a server that stays below it gets no longer


class SourceFault(Exception):
    """What is wrong with a source, or with its file."""


class TransientFault(SourceFault):
    """A fault that may be gone a moment later."""


def download(url: str, limit: int, deadline: float) -> bytes:
    """Return the body of an answer, or its first bytes if it has more than `limit` bytes.

    Raises:
        SourceFault: there is no such file, or it did not come by `deadline` (a time of `time.monotonic`), or came too
            slowly.
    """
    # A thread, since no timeout of urlopen's holds for the look-up of a name, nor for headers that come in drops.
    # Whatever it waits for, it is left to itself when the time is up.
    pieces: queue.Queue[bytes | Exception] = queue.Queue()
    threading.Thread(target=_receive, args=(url, limit, pieces), daemon=True).start()
    content = bytearray()
    start = latest = time.monotonic()
    while True:
        end = min(deadline, latest + CONNECT_SECONDS, start + CONNECT_SECONDS + len(content) / SLOWEST_RATE)
        try:
            piece = pieces.get(timeout=max(0, end - time.monotonic()))
        except queue.Empty:
            seconds = time.monotonic() - start
            if content:
                raise TransientFault(f"too slow: {len(content)} bytes within {seconds:.0f} s") from None
            raise TransientFault(f"no answer within {seconds:.1f} s") from None
        if isinstance(piece, urllib.error.HTTPError):
            raise _http_fault(piece) from piece
        if isinstance(piece, Exception):
            reason = getattr(piece, "reason", None) or piece
            raise TransientFault(f"cannot be reached ({printable(reason, 100)})") from piece
        if not piece:
            return bytes(content)
        content += piece
        latest = time.monotonic()


def _receive(url: str, limit: int, pieces: queue.Queue[bytes | Exception]) -> None:
    """Put the body into the queue piece by piece, and an empty one at its end; or the exception that ended it."""
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as response:
            received = 0
            while received < limit and (piece := response.read1(1 << 16)):  # read() would wait until it is full
                received += len(piece)
                pieces.put(piece)
        pieces.put(b"")
    except Exception as error:  # handed over, and raised by whoever waits
        pieces.put(error)


def _http_fault(error: urllib.error.HTTPError) -> SourceFault:
    error.close()
    if str(error.reason).startswith(urllib.request.HTTPRedirectHandler.inf_msg):
        return SourceFault("is redirected in a loop, or too often")
    kind = TransientFault if error.code >= 500 else SourceFault
    return kind(f"HTTP status {error.code}")
