"""What tasks and jobs did, in sentences: for a terminal, a log and the end of a run.

What comes from nodes or playbooks is in them without what could steer a terminal.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from gswarm_tui import wording
from gswarm_tui.errors import GswarmError
from gswarm_tui.jobs.events import JobResult, TaskResult
from gswarm_tui.models.results import (
    CommandResult,
    DeleteResult,
    HealthResult,
    PlacementResult,
    ServeResult,
    StopResult,
)
from gswarm_tui.state.records import TaskRecord
from gswarm_tui.state.states import State
from gswarm_tui.wording import clean, duration, number_of, size

_TOLERATED: Final = "(tolerated)"
DONE: Final = "done"
"""What is said of a result that says nothing of its own."""

_COUNTED: Final = (
    (State.SUCCEEDED, "done"),
    (State.FAILED, "failed"),
    (State.SKIPPED, "skipped"),
    (State.CANCELLED, "cancelled"),
    (State.LOST, "lost"),
    (State.RUNNING, "running"),
    (State.RETRYING, "retrying"),
    (State.READY, "waiting"),
    (State.PENDING, "to come"),
)


def state_and_ending(task: TaskResult) -> str:
    """How a task ended, in a line that begins with its state."""
    says_it = task.state in (State.SKIPPED, State.CANCELLED)
    return ending(task) if says_it else f"{state_of(task)}: {ending(task)}"


def state_of(task: TaskResult | TaskRecord) -> str:
    """A task's state, and with a failure whether that is tolerated."""
    return f"{task.state} {_TOLERATED}" if task.tolerated else str(task.state)


def ending(task: TaskResult) -> str:
    """How a task ended, in a line, beside a mark of its state."""
    if task.state is State.SUCCEEDED:
        took = f" ({duration(task.seconds)})" if task.seconds else ""
        return f"{done(task.result)}{took}"
    if task.state is State.FAILED:
        return first_line(task.error)
    if task.state is State.SKIPPED:
        return clean(f"skipped: {task.because}")
    return "cancelled"


def first_line(error: GswarmError | None) -> str:
    """An error in one line; the rest, an engine's log say, is in the task's own log."""
    return clean(wording.first_line(str(error)))


def done(result: Any) -> str:
    """What a task's result says, in a few words."""
    match result:
        case PlacementResult(already=True):
            words = f"was on {', '.join(result.devices)} already"
        case PlacementResult():
            words = f"{size(result.size)} on {', '.join(result.devices)}"
        case ServeResult():
            words = f"{result.url} with {result.engine}{', already' if result.already else ''}"
        case StopResult():
            words = f"{result.stopped} stopped"
        case DeleteResult():
            words = f"{size(result.freed)} freed"
        case CommandResult(skipped=True):
            words = f"not run: what it creates is on {result.node} already"
        case CommandResult():
            words = f"status {result.status} on {result.node}"
        case HealthResult():
            words = f"{result.status} in {result.latency_ms:.1f} ms from {result.checked_from}"
        case _:
            words = DONE
    return clean(words)


def verdict(result: JobResult) -> str:
    """The last line: ``5 tasks done in 12.3 s``."""
    counts = Counter(task.state for task in result.tasks)
    tasks, seconds = number_of(len(result.tasks), "task"), duration(result.seconds)
    if set(counts) <= {State.SUCCEEDED}:
        return f"{tasks} done in {seconds}"
    tolerated = sum(task.tolerated for task in result.tasks)
    return f"{tasks}: {counted(counts, tolerated)}, in {seconds}"


def counted(counts: Counter[State], tolerated: int) -> str:
    """How many tasks are in which state: ``3 done, 1 failed (tolerated), 2 skipped``.

    Args:
        tolerated: how many of those that failed are.
    """
    found: list[str] = []
    for state, word in _COUNTED:
        number = counts[state] - (tolerated if state is State.FAILED else 0)
        found += [f"{number} {word}"] * (number > 0)
        if state is State.FAILED and tolerated:
            found.append(f"{tolerated} {word} {_TOLERATED}")
    return ", ".join(found)
