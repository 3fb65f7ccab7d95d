"""A job as lines of text: for a terminal that is none, for logs and for cron's mail."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, final

from gswarm_tui.errors import GswarmError
from gswarm_tui.jobs import sentences
from gswarm_tui.jobs.events import (
    Event,
    JobFinished,
    JobStarted,
    TaskFinished,
    TaskProgress,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
)
from gswarm_tui.progress import Progress
from gswarm_tui.state.states import State
from gswarm_tui.wording import clean, describe, duration, number_of

LINE_EVERY_S: Final = 5.0
"""How often a task that says nothing new is told of."""

_NEAR: Final = 10
"""Lines back in which a reader at the end still sees what was said."""


@final
class Pace:
    """Lets a task's progress through when it says something new, else every few seconds.

    A number that changes is nothing new: it may count the seconds.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._last: dict[str, tuple[float, str, str]] = {}

    def lets_through(self, action_id: str, progress: Progress) -> bool:
        now = time.monotonic()
        at, *said = self._last.get(action_id, (0.0, "", ""))
        says = [progress.phase, re.sub(r"\d+", "", progress.message or "")]
        if said == says and now - at < self._every_s:
            return False
        self._last[action_id] = (now, says[0], says[1])
        return True


@final
class Lines:
    """A line for each thing that happens, with the time in front.

    Args:
        write: takes a line, without its end.
        clock: gives the time as it is written.
        is_log: also write tracebacks, and how the job ended, which a user is told after the report.
    """

    def __init__(
        self, write: Callable[[str], None], *, clock: Callable[[], str], is_log: bool = False
    ) -> None:
        self._write = write
        self._clock = clock
        self._is_log = is_log
        self._pace = Pace(LINE_EVERY_S)
        self._count = 0
        self._failures: dict[str, int] = {}

    @property
    def near(self) -> frozenset[str]:
        """Tasks whose failure was told in full, a few lines ago at most."""
        return frozenset(name for name, at in self._failures.items() if self._count - at <= _NEAR)

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskProgress):
            if is_told(event.progress) and self._pace.lets_through(
                event.task.action_id, event.progress
            ):
                self._line(f"{event.task.action_id}: {of_progress(event.progress)}")
            return
        for line in of_event(event):
            self._line(line)
        match event:
            case TaskFinished():
                self._finish(event)
            case JobFinished() if self._is_log:
                result = event.result
                self._line(f"job {result.job_id}: {sentences.verdict(result)}")

    def cancelling(self) -> None:
        self._line("cancelling what runs; Ctrl-C again leaves at once")

    def leave(self) -> None:
        self._line("left without waiting for what runs")

    def _finish(self, event: TaskFinished) -> None:
        result = event.result
        if result.state is State.FAILED and result.error is not None:
            if result.error.hint:
                self._put(f"  hint: {clean(result.error.hint)}")
            if "\n" not in str(result.error):
                self._failures[event.task.action_id] = self._count
        if self._is_log and result.details:
            self._put(clean(result.details, keep="\n"))

    def _line(self, text: str) -> None:
        self._put(f"{self._clock()}  {clean(text).rstrip()}")

    def _put(self, text: str) -> None:
        self._count += 1
        self._write(text)


def of_event(event: Event) -> Iterator[str]:
    """What an event says, a sentence a line; nothing for progress and for the end of a job."""
    match event:
        case JobStarted():
            yield from event.notices
            done = f", {len(event.done)} of them ended before" if event.done else ""
            yield f"job {event.job_id}: {event.name}, {number_of(len(event.tasks), 'task')}{done}"
        case TaskWaiting() if event.reason is not None:
            yield f"{event.task.action_id}: {event.reason}"
        case TaskStarted():
            task = event.task
            attempt = f"attempt {event.attempt}: " if event.attempt > 1 else ""
            yield f"{task.action_id}: {attempt}{task.action_type} {task.summary}"
        case TaskRetrying():
            yield f"{event.task.action_id}: {of_retry(event.attempt, event.error, event.delay_s)}"
        case TaskFinished():
            yield f"{event.task.action_id}: {sentences.state_and_ending(event.result)}"


def of_progress(progress: Progress) -> str:
    return f"{progress.phase}  {describe(progress)}"


def is_told(progress: Progress) -> bool:
    """Whether a report says more than a piece of a command's output, which has its own place."""
    return progress.output is None or progress.message is not None


def of_retry(attempt: int, error: GswarmError, delay_s: float) -> str:
    """``attempt 1 failed: node1: no answer; attempt 2 begins in 2.0 s``."""
    failed = f"attempt {attempt} failed: {sentences.first_line(error)}"
    return f"{failed}; attempt {attempt + 1} begins in {duration(delay_s)}"


def time_of_day() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")


def date_and_time() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
