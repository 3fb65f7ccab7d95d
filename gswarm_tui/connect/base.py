"""The seam between what is asked of a node and how that travels, be it `ssh` or `local`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


class ForwardingRefused(Exception):
    """The server on the node does not forward this; its text is the reason."""


class NoSocket(Exception):
    """Nobody answers on that Unix socket; OpenSSH says the same where it forwards none."""


class ByteReader(Protocol):
    """What `asyncio.StreamReader` and asyncssh's reader have in common."""

    async def read(self, n: int = -1, /) -> bytes: ...

    async def readexactly(self, n: int, /) -> bytes: ...


class ByteWriter(Protocol):
    """What `asyncio.StreamWriter` and asyncssh's writer have in common."""

    def write(self, data: bytes, /) -> None: ...

    async def drain(self) -> None: ...

    def write_eof(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Stream:
    """One connection, both ways."""

    reader: ByteReader
    writer: ByteWriter


class Process(Protocol):
    """A command that runs on the node, its streams as bytes."""

    @property
    def stdin(self) -> ByteWriter: ...

    @property
    def stdout(self) -> ByteReader: ...

    @property
    def stderr(self) -> ByteReader: ...

    async def finish(self) -> int | None:
        """Wait until it has ended, and return its exit status; None where a signal ended it."""

    async def close(self) -> None:
        """End it, or at least let go of it: its streams are closed."""


class Transport(Protocol):
    """A way to one node, connected. Whatever fails for good is a `NodeError`."""

    @property
    def lost(self) -> bool:
        """Whether the connection has ended; nothing can be asked of it then."""

    async def execute(self, command: str) -> Process:
        """Start `command` in the user's login shell on the node."""

    async def open_unix(self, path: str) -> Stream:
        """Connect to a Unix socket on the node; raises `ForwardingRefused` or `NoSocket`."""

    def reverse(self, host: str, port: int) -> AbstractAsyncContextManager[int]:
        """A loopback port on the node that leads to `host`:`port` as seen from here, for as long as
        the block runs; raises `ForwardingRefused`."""

    async def close(self) -> None: ...

    def describe(self) -> str:
        """Where this leads, for people: ``ssh user@host:port`` or ``local``."""
