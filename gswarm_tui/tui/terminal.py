"""The application on a terminal, which is given back as it was, whatever ends it."""

from __future__ import annotations

import asyncio
import logging
import signal

from textual.worker import WorkerFailed

from gswarm_tui.tui.app import GswarmApp

_ENDED_BY = 128
"""Plus a signal's number: what a shell shows for a program that the signal ended."""


def show(app: GswarmApp) -> int:
    """Run the application; the exit code.

    Raises:
        Exception: what the application ended with.
    """
    # asyncio and asyncssh would print on the screen what is raised anyhow.
    logging.getLogger().addHandler(logging.NullHandler())
    asyncio.run(_run(app))
    error: BaseException | None = app._exception
    if isinstance(error, WorkerFailed):
        error = error.error
    if error is not None:
        raise error
    return app.return_code or 0


async def _run(app: GswarmApp) -> None:
    """Textual lets a signal end the process as it is, without giving the terminal back."""

    def leave(number: int) -> None:
        app.exit(return_code=_ENDED_BY + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, leave, number)
    await app.run_async()
