"""The text of a log file from near its end on, as it grows. Reading is done in a thread."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, final

from gswarm_tui.jobs import logs

POLL_S: Final = 0.25
SHOWN: Final = 1 << 19
"""So many bytes before the end are given at first, and at once at most."""


def log_path(folder: Path, job_id: int, action_id: str | None, attempt: int) -> Path:
    """The log of a job, or of an attempt of one of its tasks."""
    if action_id is None:
        return logs.job_log(folder, job_id)
    return logs.attempt_log(folder, job_id, action_id, attempt)


async def follow(path: Path, *, poll_s: float = POLL_S) -> AsyncIterator[str]:
    """Give what is in a file and what is written to it, until nobody wants more.

    A file that is not there yet is waited for; one that is shorter than before is begun anew. What
    is no UTF-8 becomes replacement characters, and all ends of lines are ``\\n``.
    """
    tail = Tail(path)
    while True:
        text = await asyncio.to_thread(tail.read)
        if text:
            yield text
        else:
            await asyncio.sleep(poll_s)


async def nothing() -> AsyncIterator[str]:
    """The log of what has none."""
    texts: tuple[str, ...] = ()
    for text in texts:
        yield text


@final
class Tail:
    """Reads a file in pieces. It is opened for each: nothing is left to close."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = -1
        self._begin()

    def _begin(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = False

    def read(self) -> str:
        """What is new; nothing where that is none, or the file is not there."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                if size < self._offset:
                    self._offset = 0
                    self._begin()
                notice = ""
                if self._offset < 0:
                    self._offset = max(0, size - SHOWN)
                    notice = f"… {self._offset} bytes before this\n" if self._offset else ""
                file.seek(self._offset)
                data = file.read(SHOWN)
        except OSError:
            return ""
        self._offset += len(data)
        return notice + self._text(data)

    def _text(self, data: bytes) -> str:
        text = self._decoder.decode(data)
        if self._held:
            text = "\r" + text
        # A carriage return may be the half of a line's end: the rest comes with the next piece.
        self._held = text.endswith("\r")
        return text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
