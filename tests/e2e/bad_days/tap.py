"""A server between nodes and the hub: it sees every request, and holds or spoils the answers."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_BLOCK = 256 * 1024
_PASSED_ON = ("Authorization", "Range", "If-Range", "Accept-Encoding", "User-Agent")
_NOT_PASSED_BACK = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server"})
_FILE = re.compile(r"/resolve/[^/]+/(.+)")


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in.

    Args:
        path: with its query.
        start, stop: the bytes that it asks for; `stop` is None where that is all that follow.
        token: its Authorization header.
    """

    method: str
    path: str
    start: int
    stop: int | None
    token: str | None

    @property
    def file(self) -> str | None:
        """The path in the repository; None where no file is asked for."""
        found = _FILE.search(urlsplit(self.path).path)
        return found[1] if found and self.method == "GET" else None

    def overlaps(self, start: int, stop: int) -> bool:
        return self.start < stop and (self.stop is None or self.stop > start)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said instead of the hub's answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Cut:
    """The hub's answer, but the connection is cut before this byte of the file."""

    at: int


@dataclass(frozen=True, slots=True)
class Changed:
    """The hub's answer with another body of any length."""

    change: Callable[[bytes], bytes]


Spoil = Callable[[Request], Answer | Cut | Changed | None]


class Tap:
    """In front of a hub, on a port of its own.

    Attributes:
        requests: all of them, in the order in which they came.
        spoil: what becomes of a request; None, or a function that returns it, is the hub's answer.
    """

    def __init__(self, hub: str, *, address: str = "127.0.0.1", host: str | None = None) -> None:
        """Begin to answer.

        Args:
            address: to listen on.
            host: in `url`, where it is not `address`.
        """
        self.requests: list[Request] = []
        self.spoil: Spoil | None = None
        self._hub = urlsplit(hub)
        self._free = threading.Event()
        self._free.set()
        self._held_from = 0
        tap = self

        class Handler(_Handler):
            owner = tap

        self._server = _Server((address, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://{host or address}:{self._server.server_address[1]}"

    def hold(self, start: int) -> None:
        """Let no byte of a file from `start` on through, until `release`."""
        self._held_from = start
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def asked(self, file: str) -> list[Request]:
        """The requests for a file's bytes."""
        return [request for request in self.requests if request.file == file]

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # In the thread of a request

    def answer(self, request: Request, handler: _Handler) -> None:
        self.requests.append(request)
        spoiled = self.spoil(request) if self.spoil is not None else None
        if isinstance(spoiled, Answer):
            handler.send(spoiled.status, spoiled.headers, spoiled.body)
            return
        assert self._hub.hostname is not None
        connection = http.client.HTTPConnection(self._hub.hostname, self._hub.port, timeout=30)
        with contextlib.closing(connection):
            headers = {
                name: handler.headers[name] for name in _PASSED_ON if name in handler.headers
            }
            connection.request(request.method, request.path, headers=headers)
            response = connection.getresponse()
            kept = {
                name.title(): value
                for name, value in response.getheaders()
                if name.lower() not in _NOT_PASSED_BACK
            }
            if isinstance(spoiled, Changed):
                body = spoiled.change(response.read())
                handler.send(response.status, {**kept, "Content-Length": str(len(body))}, body)
                return
            handler.begin(response.status, kept)
            if request.method != "HEAD":
                self._pass_on(request, response, handler, spoiled)

    def _pass_on(
        self,
        request: Request,
        response: http.client.HTTPResponse,
        handler: _Handler,
        cut: Cut | None,
    ) -> None:
        position = request.start
        while True:
            ends = [end for end in (self._held_end(request), cut and cut.at) if end is not None]
            length = min([_BLOCK, *(max(0, end - position) for end in ends)])
            if length:
                data = response.read(length)
                if not data:
                    return
                handler.wfile.write(data)
                position += len(data)
            elif cut is not None and position >= cut.at:
                handler.cut()
                return
            else:
                self._free.wait()

    def _held_end(self, request: Request) -> int | None:
        return None if request.file is None or self._free.is_set() else self._held_from


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    owner: Tap
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        bounds = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        request = Request(
            self.command,
            self.path,
            int(bounds[1]) if bounds else 0,
            int(bounds[2]) + 1 if bounds and bounds[2] else None,
            self.headers.get("Authorization"),
        )
        try:
            self.owner.answer(request, self)
        except (OSError, http.client.HTTPException):
            self.cut()

    do_HEAD = do_GET  # noqa: N815 - as http.server calls it

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.begin(status, {"Content-Length": str(len(body)), **headers})
        if self.command != "HEAD":
            self.wfile.write(body)

    def cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def tapped(hub: str, *, address: str = "127.0.0.1", host: str | None = None) -> Iterator[Tap]:
    """A tap for as long as the block runs."""
    tap = Tap(hub, address=address, host=host)
    try:
        yield tap
    finally:
        tap.close()
