"""HTTP servers on this machine: a socket, its URL, and uvicorn without its signal handlers."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn

from gswarm_tui.errors import GswarmError, UsageError
from gswarm_tui.loopback import is_loopback

if TYPE_CHECKING:
    from starlette.applications import Starlette


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: whoever embeds it decides what Ctrl-C means."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def answering(
    application: Starlette, host: str, port: int, *, grace_s: int
) -> AsyncIterator[str]:
    """Let an application answer for as long as the context is open; gives its URL.

    Args:
        host: an address of this machine, or a name of one.
        port: 0 for a free one.
        grace_s: how long an answer that is under way may go on after the context was closed.

    Raises:
        UsageError: the host is none of this machine.
        GswarmError: the port is taken or may not be used.
    """
    bound = bind(host, port)
    config = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=grace_s,
    )
    server = _Server(config)
    with bound:
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            yield url_of(host, bound.getsockname()[1])
        finally:
            server.should_exit = True
            await serving


def refuse_open(host: str, token: str | None, otherwise: str) -> None:
    """Refuse to answer everybody: who listens where others reach it needs a token.

    Args:
        otherwise: what would be so without one, for the sentence: ``would tell everyone …``.

    Raises:
        UsageError: others reach the host, and there is no token.
    """
    if token is None and not is_loopback(host):
        raise UsageError(
            f"{host} can be reached by others, and {otherwise}",
            hint="name a variable that holds a token with --token-env, or use 127.0.0.1 and ssh -L",
        )


def url_of(host: str, port: int) -> str:
    """The URL of what listens; for an address that means all of them, with this machine's name."""
    name = host.strip("[]")
    if name in ("0.0.0.0", "::", ""):  # noqa: S104
        name = socket.gethostname()
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: an address of this machine, or a name of one.
        port: 0 for a free one.

    Raises:
        UsageError: the host is none of this machine.
        GswarmError: the port is taken or may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError, OverflowError) as error:
        raise UsageError(f"{host}:{port} is no address of this machine: {error}") from error
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        raise GswarmError(
            f"{host}:{port} is taken{_holder(port)}"
            if error.errno == errno.EADDRINUSE
            else f"{host}:{port} can't be used: {error.strerror}",
            hint="leave --port out to get a free one",
        ) from error
    return bound


def _holder(port: int) -> str:
    """`` by …``: who holds the port, as far as this user may know."""
    import psutil

    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr:
                continue
            if connection.laddr.port == port:
                if connection.pid is None:
                    return " by another user's process"
                return f" by {psutil.Process(connection.pid).name()}, process {connection.pid}"
    return ""
