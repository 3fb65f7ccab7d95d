"""The attempts under way and those that are due later, in the event loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, final


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that is over; `task` has its result, its error, or was cancelled."""

    name: str
    task: asyncio.Task[Any]
    seconds: float

    @property
    def has_succeeded(self) -> bool:
        return not self.task.cancelled() and self.task.exception() is None


@final
class Workbench:
    """Owner of what the event loop does for a run: one coroutine a task, and timers."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._began: dict[str, float] = {}
        self._cancelled: set[str] = set()
        self._ended: deque[Ended] = deque()
        self._delayed: dict[str, asyncio.TimerHandle] = {}
        self._due: list[str] = []

    @property
    def running(self) -> Collection[str]:
        """Tasks whose attempt is not over, or not taken from here yet."""
        return self._running.keys()

    def start(self, name: str, attempt: Coroutine[Any, Any, Any]) -> None:
        self._began[name] = time.monotonic()
        self._cancelled.discard(name)
        task = asyncio.create_task(attempt, name=f"action {name}")
        self._running[name] = task
        task.add_done_callback(partial(self._note_end, name))

    def cancel(self, name: str) -> None:
        """End an attempt; a second time does nothing, so that it can tidy up."""
        if name not in self._cancelled:
            self._cancelled.add(name)
            self._running[name].cancel()

    def is_cancelled(self, name: str) -> bool:
        """Whether the last attempt of a task was ended from here."""
        return name in self._cancelled

    async def cancel_all(self) -> None:
        """End everything, and wait until it has ended."""
        for timer in self._delayed.values():
            timer.cancel()
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def later(self, name: str, delay_s: float) -> None:
        """Let a task fall due in a while."""
        loop = asyncio.get_running_loop()
        self._delayed[name] = loop.call_later(delay_s, self._fall_due, name)

    def forget(self, name: str) -> None:
        """Let a task not fall due any more."""
        timer = self._delayed.pop(name, None)
        if timer is not None:
            timer.cancel()

    def take_ended(self) -> Iterator[Ended]:
        """The attempts that are over since this was asked last.

        One by one: until its end is taken, an attempt counts as running.
        """
        while self._ended:
            ended = self._ended.popleft()
            del self._running[ended.name]
            yield ended

    def take_due(self) -> list[str]:
        due, self._due = [name for name in self._due if name in self._delayed], []
        for name in due:
            del self._delayed[name]
        return due

    def wake(self) -> None:
        """Let `wait` return."""
        self._wake.set()

    async def wait(self) -> None:
        """Wait until something is over or due, or somebody calls `wake`."""
        await self._wake.wait()
        self._wake.clear()

    def _note_end(self, name: str, task: asyncio.Task[Any]) -> None:
        self._ended.append(Ended(name, task, time.monotonic() - self._began[name]))
        self.wake()

    def _fall_due(self, name: str) -> None:
        self._due.append(name)
        self.wake()
