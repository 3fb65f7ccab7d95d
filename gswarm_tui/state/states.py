"""The states of jobs and tasks, which may follow which, and the priorities.

::

    pending ──> ready ──> running ──> succeeded, failed
                  ^          ├──────> retrying ──> ready    (its delay is over)
                  └──────────┴──────> lost     ──> ready    (its controller died; it is resumed)

Whatever has not begun can be skipped, and whatever has not ended can be cancelled. A task whose
values do not fit fails before it is ready. What has ended is pending again when `gswarm job resume`
or `retry` opens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Of a task; a job has all of these but ``ready``, ``retrying`` and ``skipped``."""

    PENDING = "pending"  # what it needs is not done yet; a job: handed over, not begun
    READY = "ready"  # in the queue: waits for a slot and for what it uses
    RUNNING = "running"
    RETRYING = "retrying"  # failed by what can pass, and waits for its next attempt
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"  # what it needs did not succeed, or its `when` is false
    CANCELLED = "cancelled"
    LOST = "lost"  # the controller that ran it died; nodes may have gone on


class Priority(StrEnum):
    """How soon a ready task gets its turn."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


ENDED: Final = frozenset({State.SUCCEEDED, State.FAILED, State.SKIPPED, State.CANCELLED})
"""What a task does not leave by itself."""

_AGAIN: Final = frozenset({State.PENDING})

TASK_TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.READY, State.SKIPPED, State.CANCELLED, State.FAILED}),
    State.READY: frozenset({State.RUNNING, State.SKIPPED, State.CANCELLED, State.PENDING}),
    State.RUNNING: frozenset(
        {State.SUCCEEDED, State.FAILED, State.RETRYING, State.CANCELLED, State.LOST}
    ),
    State.RETRYING: frozenset({State.READY, State.CANCELLED, State.SKIPPED, State.PENDING}),
    State.SUCCEEDED: _AGAIN,
    State.FAILED: _AGAIN,
    State.SKIPPED: _AGAIN,
    State.CANCELLED: _AGAIN,
    State.LOST: frozenset(
        {State.READY, State.CANCELLED, State.SKIPPED, State.FAILED, State.PENDING}
    ),
}

JOB_TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.PENDING: frozenset({State.RUNNING, State.CANCELLED, State.FAILED}),
    State.RUNNING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.LOST}),
    State.SUCCEEDED: _AGAIN,
    State.FAILED: _AGAIN,
    State.CANCELLED: _AGAIN,
    State.LOST: frozenset({State.PENDING, State.CANCELLED}),
}


class TransitionError(Exception):
    """A state was about to follow another that it never follows: a bug."""


def check(
    what: str, before: State, after: State, transitions: Mapping[State, frozenset[State]]
) -> None:
    """Raises `TransitionError` unless ``after`` may follow ``before``."""
    if after not in transitions.get(before, frozenset()):
        raise TransitionError(f"{what} cannot become {after}: it is {before}")
