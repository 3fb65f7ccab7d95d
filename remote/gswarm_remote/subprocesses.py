"""Starts a process such that starting it can be cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Any


async def start(*argv: str, **options: Any) -> asyncio.subprocess.Process:
    """As `asyncio.create_subprocess_exec`, with the same options; who is cancelled leaves nothing.

    That one, cancelled before the pipes are connected, waits for ever for their end (CPython's
    ``_make_subprocess_transport`` waits for a transport whose ``_connect_pipes`` goes no further),
    and kills only the process itself, not what it has started in a session of its own.
    """
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*argv, **options))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        with contextlib.suppress(ProcessLookupError):
            if options.get("start_new_session"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        await process.wait()
        raise
