"""The hub on a socket: `running` for programs, `serve` for the command line."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gswarm_tui import listening
from gswarm_tui.errors import UsageError
from gswarm_tui.hub import api
from gswarm_tui.hub.repository import Library

_GRACE_S = 3
"""How long a download that is under way may go on after the hub was told to stop."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub that answers.

    Args:
        url: for ``HF_ENDPOINT``.
        library: what it serves.
    """

    url: str
    library: Library


@asynccontextmanager
async def running(
    folder: Path, *, host: str = "127.0.0.1", port: int = 0, token: str | None = None
) -> AsyncIterator[Hub]:
    """Serve a folder for as long as the context is open.

    Args:
        folder: with ``org/name/…`` in it.
        host: an address of this machine, or a name of one.
        port: 0 for a free one.
        token: if given, every request needs it as its bearer token.

    Raises:
        UsageError: the folder or the host is not there, or an open host has no token.
        GswarmError: the port is taken or may not be used.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder", hint="give the folder that has org/name/… in it")
    listening.refuse_open(host, token, "this hub would give its models to everyone")
    library = Library(folder)
    try:
        library.names()
    except OSError as error:
        raise UsageError(f"{error.filename} can't be read: {error.strerror}") from error
    application = api.application(library, token=token)
    async with listening.answering(application, host, port, grace_s=_GRACE_S) as url:
        try:
            yield Hub(url, library)
        finally:
            library.close()


async def serve(
    folder: Path,
    *,
    host: str,
    port: int,
    token: str | None,
    ready: Callable[[Hub], None],
    hashing: Callable[[str, int], None],
) -> None:
    """Serve until SIGINT or SIGTERM; see `running` for the rest.

    Files are hashed at once, so that no request has to wait for it.

    Args:
        ready: called when the hub answers.
        hashing: called, in a thread, with path and size of a file before it is hashed.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(folder, host=host, port=port, token=token) as hub:
        ready(hub)
        async with asyncio.TaskGroup() as tasks:
            warm = tasks.create_task(asyncio.to_thread(_hash_everything, hub.library, hashing))
            await stop.wait()
            hub.library.close()
            warm.cancel()


def _hash_everything(library: Library, hashing: Callable[[str, int], None]) -> None:
    # What can't be read is told to whoever asks for it.
    with suppress(OSError):
        for name in library.names():
            library.snapshot(*name.split("/"), hashing=hashing)
