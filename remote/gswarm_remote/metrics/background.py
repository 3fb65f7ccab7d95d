"""What may block for long, looked at by a thread of its own."""

from __future__ import annotations

import threading
from typing import Callable, Generic, TypeVar

_Value = TypeVar("_Value")


class Background(Generic[_Value]):
    """A thread that looks again and again; whoever wants to know gets what it saw last.

    Args:
        look: may block for as long as it likes.
        every_s: seconds between two looks.
        first: what was seen before the first one.
    """

    def __init__(self, look: Callable[[], _Value], every_s: float, first: _Value) -> None:
        self.newest = first
        self._look = look
        self._every_s = every_s
        self._ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def end(self) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.newest = self._look()
            self._ended.wait(self._every_s)
