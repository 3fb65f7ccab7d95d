"""A headless Chromium, driven by its DevTools protocol."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, final

import aiohttp

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def missing() -> str | None:
    """Why no browser can be run here, or None where one can."""
    return None if _find() else "chromium is not installed (apt-get install chromium)"


@final
class Page:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async for message in self._socket:
            answer = json.loads(message.data)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
        raise AssertionError("the browser has gone")

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        answer = await self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def press(self, text: str) -> None:
        """Type on the keyboard."""
        for character in text:
            await self.ask("Input.dispatchKeyEvent", type="char", text=character)


@asynccontextmanager
async def browser(folder: Path, *, width: int = 1200, height: int = 800) -> AsyncIterator[Page]:
    """A browser with an empty page; its profile is in `folder`."""
    program = _find()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program,
        "--headless=new",
        "--no-sandbox",  # the tests run as root in containers
        "--disable-dev-shm-usage",
        "--enable-unsafe-swiftshader",  # xterm.js of textual-serve wants WebGL
        "--no-first-run",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        f"--window-size={width},{height}",
        "about:blank",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder)},
    )
    try:
        async with asyncio.timeout(30):
            while not (folder / "DevToolsActivePort").exists():
                await asyncio.sleep(0.05)
                assert process.returncode is None, "the browser ended at once"
        port = (folder / "DevToolsActivePort").read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                targets = await answer.json()
            url = next(each["webSocketDebuggerUrl"] for each in targets if each["type"] == "page")
            async with session.ws_connect(url, max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _find() -> str | None:
    return next((found for each in PROGRAMS if (found := shutil.which(each))), None)
