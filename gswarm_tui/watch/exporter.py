"""The metrics of the fleet on a socket, for Prometheus."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gswarm_tui.errors import UsageError
from gswarm_tui.listening import Server, bind, url_of
from gswarm_tui.loopback import is_loopback
from gswarm_tui.watch import exposition
from gswarm_tui.watch.snapshot import FleetSnapshot
from gswarm_tui.watch.source import Source

PATH = "/metrics"
_GRACE_S = 1


def application(newest: Callable[[], FleetSnapshot | None], token: str | None) -> Starlette:
    """Answers ``/metrics``, with the newest picture.

    Args:
        newest: the picture; None where there will be no newer one: old values mislead.
        token: if given, every request needs it as its bearer token.
    """

    async def metrics(request: Request) -> Response:
        if token is not None and not _holds(request, token):
            headers = {"WWW-Authenticate": "Bearer"}
            return PlainTextResponse("a bearer token is needed\n", 401, headers)
        picture = newest()
        if picture is None:
            return PlainTextResponse("nobody watches the fleet any more\n", 503)
        content = exposition.text(picture)
        return PlainTextResponse(content, headers={"Content-Type": exposition.CONTENT_TYPE})

    return Starlette(routes=[Route(PATH, metrics, methods=["GET"])])


def _holds(request: Request, token: str) -> bool:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


@asynccontextmanager
async def running(
    source: Source, *, address: str = "127.0.0.1", port: int = 0, token: str | None = None
) -> AsyncIterator[str]:
    """Watch a fleet, and answer for as long as the context is open; gives the URL.

    Args:
        port: 0 for a free one.
        token: if given, every request needs it.

    Raises:
        UsageError: the address is none of this machine, or is open and no token is given.
        GswarmError: the port is taken or may not be used.
    """
    if token is None and not is_loopback(address):
        raise UsageError(
            f"{address} can be reached by others, and would tell everyone who computes what",
            hint="name a variable that holds a token with --token-env, or use 127.0.0.1 and ssh -L",
        )
    pictures = [FleetSnapshot(0.0)]

    def take(picture: FleetSnapshot) -> None:
        pictures[0] = picture

    bound = bind(address, port)
    watching = asyncio.create_task(source.run(take))
    config = uvicorn.Config(
        application(lambda: None if watching.done() else pictures[0], token),
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = Server(config)
    with bound:
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            yield f"{url_of(address, bound.getsockname()[1])}{PATH}"
        finally:
            server.should_exit = True
            watching.cancel()
            await asyncio.wait([serving, watching])
    if not watching.cancelled() and (error := watching.exception()) is not None:
        raise error
