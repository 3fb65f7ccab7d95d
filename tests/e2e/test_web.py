"""``gswarm-tui --web`` in a real browser."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from . import chromium

READ = """
(() => {
  const buffer = window.xterm?.buffer.active;
  if (!buffer) return "";
  const lines = [];
  for (let i = 0; i < buffer.length; i++) lines.push(buffer.getLine(i).translateToString(true));
  return lines.join("\\n");
})()
"""
# textual-serve keeps its terminal to itself; this takes hold of it when it is made.
CATCH = """
Object.defineProperty(Object.prototype, "terminal", {
  configurable: true,
  set(made) {
    window.xterm = made;
    Object.defineProperty(this, "terminal", {value: made, writable: true, configurable: true});
  },
});
"""


@dataclass
class Served:
    process: asyncio.subprocess.Process
    url: str

    @property
    def base(self) -> str:
        return self.url.partition("/?")[0]


@asynccontextmanager
async def served(*options: str, **environment: str) -> AsyncIterator[Served]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gswarm_tui.tui", "--web", "--demo", "--demo-nodes", "4", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            line = await process.stdout.readline()
        yield Served(process, line.decode().strip())
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def text_with(page: chromium.Page, wanted: str) -> str:
    """The terminal's text once it has `wanted`."""
    text = ""
    try:
        async with asyncio.timeout(20):
            while wanted not in (text := await page.evaluate(READ) or ""):
                await asyncio.sleep(0.05)
    except TimeoutError:
        body = await page.evaluate("document.body.innerText")
        raise AssertionError(f"{wanted!r} is not there:\n{text}\n{body}") from None
    return text


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[chromium.Page]:
    reason = chromium.missing()
    if reason is not None:
        pytest.skip(reason)
    async with chromium.browser(tmp_path / "profile") as page:
        await page.ask("Page.enable")
        await page.ask("Page.addScriptToEvaluateOnNewDocument", source=CATCH)
        yield page


async def test_the_fleet_is_drawn_for_the_token_and_for_nobody_else(page: chromium.Page) -> None:
    async with served() as server:
        await page.ask("Page.navigate", url=f"{server.base}/")
        async with asyncio.timeout(10):
            while "printed" not in await page.evaluate("document.body?.innerText ?? ''"):
                await asyncio.sleep(0.05)

        await page.ask("Page.navigate", url=server.url)
        text = await text_with(page, "3/4 nodes")
        assert "gpu-04:gpu1" in text
        assert "token" not in await page.evaluate("location.href")
        assert await page.evaluate("document.cookie") == ""

        # Keys go in, and another screen comes out.
        await page.evaluate("window.xterm.focus()")
        await page.press(":events\r")
        await text_with(page, "Events")

        screens = psutil.Process(server.process.pid).children()
        assert len(screens) == 1
        server.process.send_signal(signal.SIGINT)
        assert await server.process.wait() == 0
        async with asyncio.timeout(10):
            while "has ended" not in await page.evaluate("document.body.innerText"):
                await asyncio.sleep(0.05)
        assert not any(each.is_running() for each in screens)
