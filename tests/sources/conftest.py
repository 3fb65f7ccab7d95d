"""A hub or a web server in the test's own loop, on a free loopback port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from huggingface_hub.utils import close_session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gswarm_tui.hub.server import Hub, running

Answer = Callable[[Request], Awaitable[Response]]


@asynccontextmanager
async def _answering(answer: Answer) -> AsyncIterator[str]:
    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "HEAD"])])
    with socket.create_server(("127.0.0.1", 0)) as bound:
        config = uvicorn.Config(app, lifespan="off", log_config=None, ws="none")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[bound]))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        await task


@pytest.fixture
async def servers(servers_end_soon: None) -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def answering(servers: AsyncExitStack) -> Callable[[Answer], Awaitable[str]]:
    """Start a server that answers every GET and HEAD with a function; gives its URL."""

    async def start(answer: Answer) -> str:
        return await servers.enter_async_context(_answering(answer))

    return start


@pytest.fixture
def hub_of(servers: AsyncExitStack) -> Callable[..., Awaitable[Hub]]:
    """Start gswarm's own hub on a folder."""

    async def start(folder: Path, **options: Any) -> Hub:
        return await servers.enter_async_context(running(folder, **options))

    return start


@pytest.fixture(autouse=True)
def _fresh_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy between the tests and loopback, and no connection that outlives a test."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield
    close_session()
