"""The tasks of simulated jobs: which need which, how far each is, and what their logs say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gswarm_tui.progress import Progress
from gswarm_tui.state.states import State
from gswarm_tui.watch.details import JobDetails, JobTask
from gswarm_tui.watch.snapshot import Transfer
from gswarm_tui.wording import describe

_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "verify": ("fetch",),
    "load": ("fetch",),
    "serve": ("load",),
    "try": ("serve", "verify"),
}
_TYPES: Final = {
    "fetch": ("download", "the weights from where they are"),
    "verify": ("verify", "every file against its hash"),
    "load": ("move", "onto the GPUs"),
    "serve": ("serve", "behind one address"),
    "try": ("health_check", "one question, and an answer in time"),
    "report": ("command", "python report.py"),
}
_DOING: Final = {
    "download": "downloading",
    "verify": "verifying",
    "move": "loading",
    "serve": "starting",
}
_LANES: Final = 3
"""Questions are asked so many at a time."""


@dataclass(frozen=True, slots=True)
class Span:
    """When a job began, when its transfer ends (None: it has none), and until when it is seen."""

    begins: float
    moved_at: float | None
    until: float


def needs_of(name: str, steps: Sequence[str]) -> tuple[str, ...]:
    """What a step waits for."""
    if name == "report":
        return tuple(step for step in steps[-1 - _LANES : -1])
    word, _, number = name.partition("-")
    if number.isdecimal():
        return (f"{word}-{int(number) - _LANES}",) if int(number) > _LANES else ()
    return _NEEDS.get(name, ())


def under_way(steps: Sequence[str], done: int, *, begun: bool = True) -> dict[str, State]:
    """The states of a job's steps when so many of them are done, and the next one runs."""
    done = min(done, len(steps) - 1) if begun else 0
    finished = set(steps[:done])
    states = {}
    for place, name in enumerate(steps):
        free = finished.issuperset(needs_of(name, steps))
        states[name] = State.READY if free else State.PENDING
        if place < done:
            states[name] = State.SUCCEEDED
        elif place == done and begun:
            states[name] = State.RUNNING
    return states


def ended(steps: Sequence[str], *, fails: bool) -> dict[str, State]:
    """The states of the steps of a job that is over: it fails at the last one but one."""
    states = dict.fromkeys(steps, State.SUCCEEDED)
    if fails:
        states[steps[-2]], states[steps[-1]] = State.FAILED, State.SKIPPED
    return states


def details(
    job_id: int,
    name: str,
    states: Mapping[str, State],
    span: Span,
    moving: Sequence[Transfer],
    waits: str | None,
    error: str | None,
) -> JobDetails:
    """A job's tasks, with times that follow from those of the job."""
    steps = tuple(states)
    tasks = []
    for place, step in enumerate(steps):
        state = states[step]
        kind, summary = _TYPES.get(step, ("command", f"python ask.py --part {step}"))
        begins, ends = _when(place, len(steps), states, span)
        begun = state not in (State.PENDING, State.READY, State.SKIPPED)
        failed = state is State.FAILED
        tasks.append(
            JobTask(
                id=step,
                type=kind,
                summary=summary,
                needs=needs_of(step, steps),
                state=state,
                attempt=(3 if failed else 1) if begun else 0,
                started_at=begins if begun else None,
                finished_at=ends if begun and state is not State.RUNNING else None,
                waiting=(waits or "waiting for its turn: 1 task runs")
                if state is State.READY
                else None,
                progress=_progress(place, kind, moving) if state is State.RUNNING else None,
                error=error if failed else None,
                error_kind="engine_failed" if failed else None,
                hint="its log says why: l" if failed else None,
            )
        )
    return JobDetails(job_id, f"playbooks/{name}.yaml", "normal", "simulated", tuple(tasks))


def _when(place: int, count: int, states: Mapping[str, State], span: Span) -> tuple[float, float]:
    """When a task began and ended: one after the other, the first until the transfer is over."""
    over = sum(state is not State.READY and state is not State.PENDING for state in states.values())
    first_ends = span.until if over <= 1 else span.moved_at or span.begins
    if place == 0 and span.moved_at is not None:
        return span.begins, first_ends
    shift = 0 if span.moved_at is None else 1
    each = (span.until - first_ends) / max(1, min(over, count) - shift)
    begins = first_ends + (place - shift) * each
    return begins, begins + each


def _progress(place: int, kind: str, moving: Sequence[Transfer]) -> str:
    if place or not moving:
        return _DOING.get(kind, "running  answering")
    each = moving[0]
    told = Progress(each.phase, each.done_bytes, each.total_bytes, each.rate_bytes_per_s)
    return f"{each.phase}  {describe(told)}"


def log_lines(details: JobDetails, action_id: str | None, until: float) -> Iterator[str]:
    """What the log of a job, or of one of its tasks, says until then."""
    for task in details.tasks:
        if task.started_at is None or action_id not in (None, task.id):
            continue
        yield _line(task.started_at, f"{task.id}: attempt {task.attempt}: {task.type}")
        seconds = int(min(until, task.finished_at or until) - task.started_at)
        for second in range(5, seconds, 5 if action_id else 60):
            doing = _DOING.get(task.type, "running")
            yield _line(task.started_at + second, f"{task.id}: {doing} for {second} s")
        if task.finished_at is not None and task.finished_at <= until:
            said = f"failed: {task.error}" if task.error else "done"
            yield _line(task.finished_at, f"{task.id}: {said}")


def _line(moment: float, text: str) -> str:
    when = datetime.fromtimestamp(moment).astimezone().isoformat(timespec="milliseconds")
    return f"{when}  {text}\n"
