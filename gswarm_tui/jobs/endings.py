"""Whose end was asked for while a job runs: that of a task, of all ordinary ones, of everything."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import final

from gswarm_tui.errors import TimedOutError


class Extent(IntEnum):
    """How much of a job is to end."""

    NOTHING = 0
    ORDINARY = 1  # all but the `always` tasks
    EVERYTHING = 2


@final
class Endings:
    """What was asked for so far. Nothing is ended here.

    Attributes:
        cancelled: somebody asked for the end of the job.
        error: why it ends by itself: its time limit.
    """

    def __init__(self) -> None:
        self.cancelled = False
        self.error: TimedOutError | None = None
        self._extent = Extent.NOTHING
        self._seen = Extent.NOTHING
        self._tasks: set[str] = set()

    def cancel(self) -> None:
        """End the job; asked a second time, its `always` tasks too."""
        self.cancelled = True
        self._extent = Extent(min(Extent.EVERYTHING, self._extent + 1))

    def expire(self, error: TimedOutError) -> None:
        self.error = error
        self._extent = max(self._extent, Extent.ORDINARY)

    def cancel_tasks(self, names: Iterable[str]) -> None:
        self._tasks.update(names)

    def covers(self, name: str, *, always: bool) -> bool:
        """Whether this task is to end."""
        least = Extent.EVERYTHING if always else Extent.ORDINARY
        return self._extent >= least or name in self._tasks

    def take_extent(self) -> Extent:
        """How much of the job is to end, where that was not taken from here yet."""
        extent = self._extent if self._extent > self._seen else Extent.NOTHING
        self._seen = self._extent
        return extent

    def take_tasks(self) -> set[str]:
        """The tasks that were named since this was asked last."""
        tasks, self._tasks = self._tasks, set()
        return tasks
