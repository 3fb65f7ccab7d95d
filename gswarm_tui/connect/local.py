"""This machine as a node: the same helper and the same protocol, without sshd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

from gswarm_remote import subprocesses

from .base import ByteReader, ByteWriter, NoSocket, Stream


class LocalTransport:
    """Commands through ``/bin/sh``, sockets as they are."""

    @property
    def lost(self) -> bool:
        return False

    async def execute(self, command: str) -> LocalProcess:
        process = await subprocesses.start(
            "/bin/sh",
            "-c",
            command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is not for what runs on a node
        )
        return LocalProcess(process)

    async def open_unix(self, path: str) -> Stream:
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=2**20)
        except OSError as error:
            raise NoSocket(f"{path}: {error.strerror or error}") from error
        return Stream(reader, writer)

    @contextlib.asynccontextmanager
    async def reverse(self, host: str, port: int) -> AsyncIterator[int]:
        yield port  # the node is here: what the controller reaches on loopback, it reaches as well

    async def close(self) -> None:
        """Nothing is held."""

    def describe(self) -> str:
        return "local"


class LocalProcess:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self.stdin: ByteWriter = process.stdin
        self.stdout: ByteReader = process.stdout
        self.stderr: ByteReader = process.stderr

    async def finish(self) -> int | None:
        status = await self._process.wait()
        return status if status >= 0 else None

    async def close(self) -> None:
        # All of its session: what it has started may hold the streams open.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
