"""The process that publishes one replica.

It is started by `services`, in a session of its own, with a socket that is bound and listens
already. What it has to know, the key included, comes as one JSON object on its stdin. It goes on
while helpers come and go. TERM makes it accept no more and end when all that is under way has been
answered; whoever sent it may lose patience.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Dict, List

from .exchange import Exchange, Streams
from .publication import Publication, busy
from .traffic import Traffic
from .translation import Translator

log = logging.getLogger("gswarm.forwarder")

MAX_CONNECTIONS = 1024
MAX_STRANGERS = 256
"""Connections that have not made a request with the key yet."""

_CHILD = (
    "import json, sys; sys.path[:0] = json.loads(sys.argv[1]);"
    " from gswarm_remote.services import forwarder; forwarder.main()"
)


def command(folder: Path) -> List[str]:
    """Its command line, with the helper's own interpreter and code.

    Args:
        folder: the service's own; nothing reads it but people who look at processes.
    """
    return [sys.executable, "-I", "-S", "-c", _CHILD, json.dumps(sys.path), str(folder)]


def settings(publication: Publication, listener: socket.socket, traffic: Path) -> bytes:
    """What it reads from stdin.

    Args:
        traffic: the file that it counts in.
    """
    content: Dict[str, Any] = {
        "publication": publication.to_dict(),
        "listener": listener.fileno(),
        "traffic": str(traffic),
    }
    return json.dumps(content).encode()


class Forwarder:
    """Accepts connections until it is told to go."""

    def __init__(self, publication: Publication, traffic: Path) -> None:
        self._publication = publication
        self._translator = Translator(publication)
        self._traffic = Traffic(traffic)
        self._exchanges: Dict[Exchange, asyncio.Task[Any]] = {}
        self._leaving = asyncio.Event()

    async def run(self, listener: socket.socket) -> None:
        """Serve until TERM, and then until everything is answered."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leaving.set)
        server = await asyncio.start_server(self._connected, sock=listener)
        log.info("listening on %s, for %s", listener.getsockname()[:2], self._publication.endpoint)
        await self._leaving.wait()
        server.close()
        log.info("leaving; %d connections are open", len(self._exchanges))
        for exchange in list(self._exchanges):
            exchange.finish()
        while self._exchanges:
            await asyncio.wait(list(self._exchanges.values()))
        self._traffic.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_full():
            await _turn_away(writer)
            return
        streams: Streams = (reader, writer)
        exchange = Exchange(self._publication, self._translator, streams, self._traffic)
        task = asyncio.current_task()
        assert task is not None
        self._exchanges[exchange] = task
        if self._leaving.is_set():  # it was accepted at the last moment
            exchange.finish()
        try:
            await exchange.run()
        except Exception:  # one user's connection is not another's
            log.exception("a connection failed")
        finally:
            del self._exchanges[exchange]

    def _is_full(self) -> bool:
        strangers = sum(not exchange.admitted for exchange in self._exchanges)
        return len(self._exchanges) >= MAX_CONNECTIONS or strangers >= MAX_STRANGERS


async def _turn_away(writer: asyncio.StreamWriter) -> None:
    refusal = busy()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
        f"content-length: {len(refusal.body)}\r\nretry-after: 5\r\nconnection: close\r\n\r\n"
    )
    with contextlib.suppress(OSError):
        writer.write(head.encode() + refusal.body)
        await asyncio.wait_for(writer.drain(), 1.0)
    writer.close()


def main() -> None:
    """The child."""
    content = json.loads(sys.stdin.buffer.read())
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    publication = Publication.from_dict(content["publication"])
    listener = socket.socket(fileno=content["listener"])
    asyncio.run(_serve(publication, Path(content["traffic"]), listener))


async def _serve(publication: Publication, traffic: Path, listener: socket.socket) -> None:
    # Its events belong to the loop that makes them, on Python 3.9.
    await Forwarder(publication, traffic).run(listener)
