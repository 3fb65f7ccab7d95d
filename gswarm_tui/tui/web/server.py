"""The server of ``gswarm-tui --web``: textual-serve's, with a guard before every route."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, final

import aiohttp_jinja2
from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Handler
from textual_serve.server import Server, to_int

from gswarm_tui.tui.web.guard import Guard
from gswarm_tui.tui.web.session import Session

_REFUSED: Final = "Open the URL that gswarm-tui printed when it was started.\n"
_NONCE: Final = web.RequestKey("nonce", str)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LEAVING_S: Final = 6.0


@final
class WebServer(Server):
    """Serves the screens to browsers that know the token.

    Args:
        argv: what is started for each browser.
        guard: says who may ask.
        listening: a socket that listens.
    """

    def __init__(self, argv: Sequence[str], guard: Guard, listening: socket.socket) -> None:
        address, port = listening.getsockname()[:2]
        super().__init__(
            "gswarm-tui", address, port, "gswarm", templates_path=Path(__file__).parent
        )
        self._argv, self._guard, self._listening = argv, guard, listening
        self._open: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM.

        Args:
            ready: is called when requests are answered.
        """
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        application = await self._make_app()
        application.middlewares.append(self._let_in)
        # What is asked holds the token: no log of it.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_LEAVING_S)
        _speak_for("textual-serve")
        await runner.setup()
        try:
            await web.SockSite(runner, self._listening).start()
            ready()
            # textual-serve prints what a session's process says on its stderr; so do we, there.
            with contextlib.redirect_stdout(sys.stderr):
                await ended.wait()
        finally:
            await runner.cleanup()

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: whoever started the server says what is to be said."""

    async def on_shutdown(self, app: web.Application) -> None:
        """End the sessions that are open."""
        closing = [
            each.close(code=WSCloseCode.GOING_AWAY, message=b"gswarm-tui has ended")
            for each in list(self._open)
        ]
        await asyncio.gather(*closing)

    @web.middleware
    async def _let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        guard = self._guard
        if not guard.knows_host(request.headers.get("Host")):
            return _refuse("This name is not one of this machine.\n")
        if request.path == "/" and "token" in request.query:
            return self._welcome(request)
        if not guard.knows_cookie(request.cookies):
            return _refuse(_REFUSED)
        if request.path == "/ws" and not guard.knows_origin(
            request.headers.get("Origin"), request.headers.get("Host")
        ):
            return _refuse("This page is not one of gswarm's.\n")
        request[_NONCE] = secrets.token_urlsafe(16)
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
            response.headers["Content-Security-Policy"] = _policy(request)
        return response

    def _welcome(self, request: web.Request) -> web.StreamResponse:
        """Give the cookie for the token, and a URL that can be seen by anybody."""
        if not self._guard.knows_token(request.query["token"]):
            return _refuse(_REFUSED)
        rest = [(name, value) for name, value in request.query.items() if name != "token"]
        response = web.Response(status=303, headers=_HEADERS)
        response.headers["Location"] = str(request.rel_url.with_query(rest))
        response.set_cookie(
            self._guard.cookie, self._guard.passed, httponly=True, samesite="Strict", path="/"
        )
        return response

    @aiohttp_jinja2.template("page.html")
    async def handle_index(self, request: web.Request) -> dict[str, Any]:
        """The page with the terminal; what it loads is here, nothing is from elsewhere."""
        return {
            "websocket": f"ws://{request.host}/ws",
            "font_size": to_int(request.query.get("fontsize", "16"), 16),
            "nonce": request[_NONCE],
        }

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run the screens for as long as the browser listens."""
        websocket = web.WebSocketResponse(heartbeat=15)
        await websocket.prepare(request)
        self._open.add(websocket)
        session = Session(self._argv, websocket, self.download_manager)
        try:
            width, height = (to_int(request.query.get(each, ""), 0) for each in ("width", "height"))
            await session.start(min(max(width, 20), 1000), min(max(height, 5), 500))
            await self._process_messages(websocket, session)
        finally:
            await session.stop()
            await websocket.close()
        return websocket


def _refuse(said: str) -> web.Response:
    return web.Response(status=403, text=said, headers=_HEADERS)


def _policy(request: web.Request) -> str:
    """What the page may load: its own files, and the websocket."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' 'nonce-{request[_NONCE]}'",
            "style-src 'self' 'unsafe-inline'",  # xterm.js writes styles
            "font-src 'self'",
            "img-src 'self' data:",
            f"connect-src 'self' ws://{request.host}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


class _Sentences(logging.Handler):
    """Prints what is logged as a line on stderr, without tracebacks."""

    def emit(self, record: logging.LogRecord) -> None:
        from gswarm_tui.cli import output

        output.say(output.clean(f"gswarm-tui: {record.getMessage()}"))


def _speak_for(logger: str) -> None:
    found = logging.getLogger(logger)
    found.propagate = False
    found.handlers = [_Sentences()]
    found.setLevel(logging.WARNING)
