"""Every route of the web form needs the cookie, and the websocket a page of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from gswarm_tui.listening import bind
from gswarm_tui.tui.web.guard import VARIABLE, Guard
from gswarm_tui.tui.web.server import WebServer

TOKEN = "sesame-sesame-sesame"
# What Textual's web driver says first, then a packet with what it was started with.
SCREENS = """
import os, sys
said = f"{os.environ['COLUMNS']} {os.environ['ROWS']} {os.environ.get('GSWARM_WEB_TOKEN')}".encode()
sys.stdout.buffer.write(b"__GANGLION__\\nD" + len(said).to_bytes(4, "big") + said)
sys.stdout.flush()
sys.stdin.buffer.read(5)
"""
DEAF = SCREENS.replace("sys.stdin.buffer.read(5)", "import time; time.sleep(60)")


@dataclass
class Visitor:
    """A browser."""

    http: aiohttp.ClientSession
    base: str
    guard: Guard

    async def get(self, path: str, *, passed: bool = False, **headers: str) -> tuple[int, str]:
        if passed:
            headers["Cookie"] = f"{self.guard.cookie}={self.guard.passed}"
        async with self.http.get(
            self.base + path, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def serving(screens: str = SCREENS) -> AsyncIterator[Visitor]:
    with bind("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        guard = Guard(TOKEN, "127.0.0.1", port)
        server = WebServer([sys.executable, "-c", screens], guard, listening)
        ready = asyncio.Event()
        running = asyncio.create_task(server.run(ready.set))
        await ready.wait()
        try:
            async with aiohttp.ClientSession() as http:
                yield Visitor(http, f"http://127.0.0.1:{port}", guard)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await running


ROUTES = ("/", "/ws", "/download/x", "/static/js/textual.js", "/static/", "/nothing")


async def test_nothing_without_the_cookie() -> None:
    async with serving() as visitor:
        for path in ROUTES:
            status, text = await visitor.get(path)
            assert status == 403, path
            assert "Open the URL" in text
        for path in ("/?token=", "/?token=wrong", f"/ws?token={TOKEN}", f"/static/?token={TOKEN}"):
            assert (await visitor.get(path))[0] == 403, path


async def test_the_token_gives_the_cookie_and_a_url_without_it() -> None:
    async with serving() as visitor:
        url = f"{visitor.base}/?token={TOKEN}&fontsize=20"
        async with visitor.http.get(url, allow_redirects=False) as answer:
            assert answer.status == 303
            assert answer.headers["Location"] == "/?fontsize=20"
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert TOKEN not in str(answer.headers)
        status, text = await visitor.get("/", passed=True)
        assert status == 200
        assert "textual-terminal" in text
        assert "://fonts." not in text
        assert (await visitor.get("/static/js/textual.js", passed=True))[0] == 200


async def test_a_page_says_what_it_may_load() -> None:
    async with serving() as visitor:
        headers = {"Cookie": f"{visitor.guard.cookie}={visitor.guard.passed}"}
        async with visitor.http.get(f"{visitor.base}/", headers=headers) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'")
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"


async def test_another_name_for_this_machine_is_refused() -> None:
    async with serving() as visitor:
        status, text = await visitor.get("/", passed=True, Host="evil.example")
        assert status == 403
        assert "not one of this machine" in text
        assert (await visitor.get(f"/?token={TOKEN}", Host="evil.example"))[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null", None])
async def test_a_websocket_of_another_page_is_refused(origin: str | None) -> None:
    async with serving() as visitor:
        headers = {} if origin is None else {"Origin": origin}
        status, text = await visitor.get("/ws", passed=True, **headers)
        assert status == 403
        assert "not one of gswarm's" in text


async def test_a_websocket_without_the_cookie_is_refused() -> None:
    async with serving() as visitor:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await visitor.http.ws_connect(f"{visitor.base}/ws", origin=visitor.base)
        assert refused.value.status == 403


async def test_a_browser_gets_screens_of_its_size_and_they_get_no_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, TOKEN)
    async with serving() as visitor, screens_of(visitor, "?width=100&height=30") as socket:
        assert await socket.receive_bytes() == b"100 30 None"


async def test_ending_the_server_ends_its_screens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gswarm_tui.tui.web.session._LEAVING_S", 0.2)
    monkeypatch.setattr("gswarm_tui.tui.web.server._LEAVING_S", 60.0)  # not aiohttp ends them
    async with asyncio.timeout(30), serving(DEAF) as visitor, screens_of(visitor, "") as socket:
        assert await socket.receive_bytes() == b"20 5 None"


@asynccontextmanager
async def screens_of(
    visitor: Visitor, query: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    headers = {"Cookie": f"{visitor.guard.cookie}={visitor.guard.passed}"}
    url = f"{visitor.base}/ws{query}"
    async with visitor.http.ws_connect(url, origin=visitor.base, headers=headers) as socket:
        yield socket
