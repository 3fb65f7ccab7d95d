"""The progress of one attempt on its way to the observer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import final

from gswarm_tui.progress import Progress, ProgressCallback


@final
class Reporter:
    """A progress callback that may be called in any thread; what it passes on has no secrets.

    A command's output is passed on in whole lines: a secret could stand across two pieces of it.

    Args:
        tell: is called in the loop's thread.
    """

    def __init__(self, tell: ProgressCallback, mask: Callable[[str], str]) -> None:
        self._tell = tell
        self._mask = mask
        self._line = ""
        self._last: Progress | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def __call__(self, progress: Progress) -> None:
        if threading.get_ident() == self._thread:
            self._pass_on(progress)
        else:
            self._loop.call_soon_threadsafe(self._pass_on, progress)

    def flush(self) -> None:
        """Pass on what was written after the last end of a line."""
        if self._line and self._last is not None:
            rest, self._line = self._line, ""
            self._tell(replace(self._last, output=self._mask(rest)))

    def _pass_on(self, progress: Progress) -> None:
        output = progress.output
        if output is not None:
            whole, end, rest = (self._line + output).rpartition("\n")
            self._line, output = rest, self._mask(whole + end) or None
        message = None if progress.message is None else self._mask(progress.message)
        self._last = replace(progress, message=message, output=None)
        self._tell(replace(self._last, output=output))
