"""A real HTTP server on a free loopback port, which misbehaves on request."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    path: str
    range: str | None
    authorization: str | None
    if_range: str | None
    accept_encoding: str | None


class Exchange(BaseHTTPRequestHandler):
    """One request; a server's `fault` may answer it instead of `serve_file`."""

    protocol_version = "HTTP/1.1"
    server: WebServer

    def do_GET(self) -> None:
        headers = self.headers
        self.asked = Asked(
            self.path,
            headers["Range"],
            headers["Authorization"],
            headers["If-Range"],
            headers["Accept-Encoding"],
        )
        with self.server.lock:
            self.server.asked.append(self.asked)
        if not self.server.fault(self):
            self.serve_file()

    def span(self, size: int) -> tuple[int, int] | None:
        """First byte and the one after the last, of what is asked for."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.asked.range or "")
        if match is None or not self.server.ranges:
            return None
        return int(match[1]), min(int(match[2]) + 1 if match[2] else size, size)

    def serve_file(self, *, cut_after: int | None = None, **headers: str) -> None:
        """Answer properly; `cut_after` closes the connection after so many bytes of the body."""
        data = self.server.files.get(self.path.split("?")[0])
        if data is None:
            return self.answer(404)
        etag = self.server.etag(data)
        span = self.span(len(data))
        if span is not None and self.asked.if_range in (None, etag):
            start, stop = span
            content_range = {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
            return self.answer(
                206,
                data[start:stop],
                cut_after=cut_after,
                **{"ETag": etag, **content_range, **headers},
            )
        return self.answer(200, data, cut_after=cut_after, **{"ETag": etag, **headers})

    def answer(
        self, status: int, body: bytes = b"", *, cut_after: int | None = None, **headers: str
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        if cut_after is not None:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body[:cut_after])

    def log_message(self, *args: object) -> None:
        pass


class WebServer(ThreadingHTTPServer):
    """Serves `files`; `asked` is what it was asked, in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.files: dict[str, bytes] = {}
        self.asked: list[Asked] = []
        self.lock = threading.Lock()
        self.ranges = True
        self.etag: Callable[[bytes], str] = lambda data: f'"{hashlib.md5(data).hexdigest()}"'
        self.fault: Callable[[Exchange], bool] = lambda exchange: False
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def url(self, path: str) -> str:
        return self.origin + path

    def ranges_asked(self) -> list[str | None]:
        return [asked.range for asked in self.asked]

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that goes away is part of the tests

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


@pytest.fixture
def start_server() -> Iterator[Callable[[], WebServer]]:
    servers: list[WebServer] = []

    def start() -> WebServer:
        servers.append(WebServer())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(start_server: Callable[[], WebServer]) -> WebServer:
    return start_server()
