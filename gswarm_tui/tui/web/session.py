"""One browser's screens: a process of its own, as textual-serve has it."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Final, final

from aiohttp import web
from gswarm_remote import subprocesses
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from gswarm_tui.tui.web.guard import VARIABLE

_LEAVING_S: Final = 5.0
"""For so long the screens are given to close their connections to the nodes."""


@final
class Session(AppService):
    """The process behind one websocket.

    Args:
        argv: what is started; without a shell, which would stand between us and it.
    """

    def __init__(
        self, argv: Sequence[str], socket: web.WebSocketResponse, downloads: DownloadManager
    ) -> None:
        async def close() -> None:
            await socket.close()

        super().__init__(
            "",
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=close,
            download_manager=downloads,
        )
        self._argv = argv

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        environment = super()._build_environment(width, height)
        environment.pop(VARIABLE, None)
        environment["COLORTERM"] = "truecolor"  # whatever our own terminal has
        return environment

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        self._process = await subprocesses.start(
            *self._argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=self._build_environment(width, height),
            # Ctrl-C is for the server, which tells its sessions.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        return self._process

    async def stop(self) -> None:
        """End the process; one that does not go is killed."""
        process = self._process
        if process is None:
            return
        # In a task of its own: what it waits for takes no notice of being cancelled.
        leaving = asyncio.create_task(self._ask_to_leave(process))
        try:
            await asyncio.wait([leaving], timeout=_LEAVING_S)
        finally:
            if not leaving.done():
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        await leaving

    async def _ask_to_leave(self, process: asyncio.subprocess.Process) -> None:
        await super().stop()
        self.stdin.close()
        await process.wait()
