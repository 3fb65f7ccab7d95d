"""The metrics of the fleet on a socket, for Prometheus."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gswarm_tui import listening
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
    listening.refuse_open(address, token, "would tell everyone who computes what")
    pictures = [FleetSnapshot(0.0)]

    def take(picture: FleetSnapshot) -> None:
        pictures[0] = picture

    def newest() -> FleetSnapshot | None:
        return None if watching.done() else pictures[0]

    answering = listening.answering(application(newest, token), address, port, grace_s=_GRACE_S)
    async with answering as url:
        watching = asyncio.create_task(source.run(take))
        try:
            yield f"{url}{PATH}"
        finally:
            watching.cancel()
            await asyncio.wait([watching])
    if not watching.cancelled() and (error := watching.exception()) is not None:
        raise error
