"""What can be done to jobs, as deeds: the commands that do it, and what would be lost."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from gswarm_tui import durations
from gswarm_tui.errors import UsageError
from gswarm_tui.state.states import ENDED, State
from gswarm_tui.tui.acting import Deed
from gswarm_tui.tui.job_words import queue_counts, why
from gswarm_tui.tui.widgets.dialog import Field, Form
from gswarm_tui.watch.details import JobDetails, JobTask
from gswarm_tui.watch.snapshot import Job
from gswarm_tui.wording import few, number_of

if TYPE_CHECKING:
    from gswarm_tui.tui.deeds import Deeds

_UNDER_WAY: Final = (State.PENDING, State.RUNNING)
_STAYS_AT_RETRY: Final = (State.SUCCEEDED,)
_STAYS_AT_RESUME: Final = (State.SUCCEEDED, State.FAILED, State.SKIPPED)
_STOPPED: Final = (State.LOST, State.CANCELLED, State.PENDING)
_FITS: Final[Mapping[str, Callable[[Job], bool]]] = {
    "cancel": lambda job: job.state not in ENDED,
    "resume": lambda job: job.state in _STOPPED or job.timed_out,
    "retry": lambda job: job.state in (State.FAILED, State.LOST, State.CANCELLED),
    "retry_from": lambda job: job.state not in _UNDER_WAY,
    "remove": lambda job: job.state not in _UNDER_WAY,
}
"""To which jobs something can be done."""
_NAMED: Final = 6
"""As many tasks are named; of more, how many."""


def vain(jobs: Sequence[Job]) -> frozenset[str]:
    """What can be done to none of these jobs: names of the screens' actions."""
    return frozenset([verb for verb, fits in _FITS.items() if not any(map(fits, jobs))])


def cancel(jobs: Sequence[Job]) -> Deed:
    """End jobs.

    Raises:
        UsageError: none of them can be ended, as with all of these.
    """
    fit = _those(jobs, "cancel")
    commands = tuple([("job", "cancel", str(job.id)) for job in fit])
    losses = tuple([_ended(job) for job in fit])
    return Deed(f"cancel {_named(fit)}", commands, about=_about(fit), losses=losses)


def cancel_tasks(job_id: int, step: str, tasks: Sequence[JobTask], details: JobDetails) -> Deed:
    """End a task of a job, or all of a ``for_each`` that have not ended.

    Args:
        step: what they have in common: the id of the one, the name of the ``for_each``.

    Raises:
        UsageError: all of them have ended.
    """
    running = [task.id for task in tasks if task.state is State.RUNNING]
    others = [task.id for task in tasks if task.state not in (*ENDED, State.RUNNING)]
    fit = [*others, *running]  # the end of one that runs would let another one begin
    if not fit:
        if len(tasks) == 1:
            raise UsageError(f"{step} has ended already: {tasks[0].state}")
        raise UsageError(f"all {len(tasks)} tasks of {step} have ended already")
    losses = []
    if running:
        losses.append(
            f"{running[0]} is ended on its node"
            if len(running) == 1
            else f"ended on their nodes: {few(running, _NAMED)}"
        )
    skipped = [each for each in _after(fit, details) if each not in fit]
    if skipped:
        losses.append(f"what needs {_it(fit)} is skipped: {few(skipped, _NAMED)}")
    if others and (len(fit) > 1 or not losses):
        losses.append(
            f"{others[0]} is not done" if len(fit) == 1 else f"not done: {few(others, _NAMED)}"
        )
    title = f"{step} of" if len(tasks) == 1 else f"{number_of(len(fit), 'task')} of {step},"
    return Deed(
        f"cancel {title} job {job_id}",
        tuple([("queue", "cancel", f"{job_id}/{each}") for each in fit]),
        about=f"job {job_id}",
        losses=tuple(losses),
    )


def resume(jobs: Sequence[Job], limit: str = "") -> Deed:
    """Go on with jobs that were lost, cancelled or ended by their time limit, or nobody runs.

    Args:
        limit: the longest that each may take now; what its playbook says if empty.

    Raises:
        UsageError: none of them can go on, or the limit is none.
    """
    has_failed = any(job.state is State.FAILED for job in jobs)
    fit = _those(jobs, "resume", hint="R does again what failed" if has_failed else None)
    limited: tuple[str, ...] = ()
    if limit.strip():
        try:
            durations.parse_limit(limit)
        except ValueError as error:
            raise UsageError(str(error)) from None
        limited = ("--timeout", limit.strip())
    commands = tuple([("job", "resume", str(job.id), *limited, "--detach") for job in fit])
    does = tuple([_done_again(job, _STAYS_AT_RESUME) for job in fit])
    return Deed(f"go on with {_named(fit)}", commands, about=_about(fit), does=does)


def go_on(deeds: Deeds, jobs: Sequence[Job]) -> None:
    """Resume jobs; where the time limit of one has ended it, ask for another one before."""
    form = ask_limit(jobs)
    if form is None:
        deeds.begin(lambda: resume(jobs))
    else:
        deeds.ask(form)


def ask_limit(jobs: Sequence[Job]) -> Form | None:
    """What is asked before jobs go on that their time limit has ended; None where none was."""
    ended = [job for job in jobs if job.timed_out]
    if not ended:
        return None
    fit = _those(jobs, "resume")
    return Form(
        f"go on with {_named(fit)}",
        (Field("limit", "time limit", hint="2h, 90m, …; empty: as in its playbook"),),
        lambda given: resume(fit, given["limit"]),
        about="\n".join(f"job {job.id}: {why(job).text}" for job in ended),
    )


def retry(jobs: Sequence[Job], start: str | None = None, details: JobDetails | None = None) -> Deed:
    """Do again what failed in jobs; with `start` that task and all that need it.

    Args:
        details: of the job, where it is one and they are known.
    """
    fit = _those(jobs, "retry" if start is None else "retry_from")
    words = () if start is None else ("--from", start)
    commands = tuple([("job", "retry", str(job.id), *words, "--detach") for job in fit])
    if start is None:
        does = tuple([_done_again(job, _STAYS_AT_RETRY) for job in fit])
        return Deed(f"retry {_named(fit)}", commands, about=_about(fit), does=does)
    what = f"retry {_named(fit)} from {start} on"
    return Deed(what, commands, about=_about(fit), does=(_done_from(start, details),))


def remove(jobs: Sequence[Job]) -> Deed:
    """Forget jobs."""
    fit = _those(jobs, "remove")
    return Deed(
        f"remove {_named(fit)}",
        (("job", "rm", *[str(job.id) for job in fit]),),
        about=_about(fit),
        losses=tuple([f"the logs and results of job {job.id} ({job.name})" for job in fit]),
    )


def hold_queue(jobs: Sequence[Job], *, paused: bool) -> Deed:
    """Pause the queue of tasks, or open it again.

    Args:
        jobs: all that there are, for what it comes to.
    """
    word = "resume" if paused else "pause"
    does = "what runs goes on, nothing else begins"
    if paused:
        does = "what waits begins as there is room"
    does = f"{does}: {queue_counts(jobs)}"
    return Deed(f"{word} the queue", (("queue", word),), about="queue", does=(does,))


def _those(jobs: Sequence[Job], action: str, *, hint: str | None = None) -> list[Job]:
    """The jobs to which it can be done."""
    verb = action.partition("_")[0]
    if not jobs:
        raise UsageError(f"there is no job to {verb}")
    found = [job for job in jobs if _FITS[action](job)]
    if not found:
        raise UsageError(f"nothing to {verb}: {_why_none(jobs)}", hint=hint)
    return found


def _why_none(jobs: Sequence[Job]) -> str:
    """Why it can be done to none of these; by their numbers where the reasons differ."""
    by_state: dict[State, list[str]] = {}
    for job in jobs:
        by_state.setdefault(job.state, []).append(str(job.id))
    if len(by_state) == 1 and len(jobs) > 1:
        return f"they {_is(jobs[0].state, several=True)}"
    return "; ".join(
        f"job{'s' * (len(ids) > 1)} {', '.join(ids)} {_is(state, several=len(ids) > 1)}"
        for state, ids in by_state.items()
    )


def _is(state: State, *, several: bool) -> str:
    """What a job in this state does or has done, as a part of a sentence."""
    if state is State.RUNNING:
        return "still run" if several else "still runs"
    has, is_ = ("have", "are") if several else ("has", "is")
    if state in (State.SUCCEEDED, State.FAILED):
        return f"{has} {state}"
    return f"{is_} still to run" if state is State.PENDING else f"{is_} {state}"


def _named(jobs: Sequence[Job]) -> str:
    if len(jobs) == 1:
        return f"job {jobs[0].id} ({jobs[0].name})"
    return f"{len(jobs)} jobs: {', '.join(str(job.id) for job in jobs)}"


def _about(jobs: Sequence[Job]) -> str:
    return f"job {jobs[0].id}" if len(jobs) == 1 else "jobs"


def _ended(job: Job) -> str:
    """What the end of a job means."""
    counts = dict(job.counts)
    running = ", ".join(job.running)
    if running:
        return (
            f"job {job.id} ({job.name}): {running} {'is' if len(job.running) == 1 else 'are'} ended"
        )
    left = sum(count for state, count in counts.items() if state not in ENDED)
    return f"job {job.id} ({job.name}): {left} tasks that have not begun"


def _done_again(job: Job, stays: Container[State]) -> str:
    """How many tasks run again or for the first time, and which do not."""
    again = sum(count for state, count in job.counts if state not in stays)
    said = [f"job {job.id} ({job.name}): {number_of(again, 'task')} will run"]
    has_cancelled = dict(job.counts).get(State.CANCELLED, 0) > 0
    for state, count in job.counts:
        if state in stays:
            depends = has_cancelled and state is State.SKIPPED
            when = "run only if for a cancelled task" if depends else "not run again"
            said.append(f"{count} {state}, {when}")
    return "; ".join(said)


def _done_from(start: str, details: JobDetails | None) -> str:
    if details is None:
        return f"{start} and all that need it run again, however they ended"
    again = [start, *_after([start], details)]
    count = f"{len(again)} of {number_of(len(details.tasks), 'task')}"
    said = f"run again, however they ended: {few(again, _NAMED)}; {count}"
    others = [
        task.id
        for task in details.tasks
        if task.id not in again and task.state not in _STAYS_AT_RETRY
    ]
    return f"{said}; also run, not done yet: {few(others, _NAMED)}" if others else said


def _it(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"


def _after(names: Sequence[str], details: JobDetails) -> list[str]:
    """The tasks that need one of these, directly or through others."""
    found: dict[str, None] = {}
    stack = list(names)
    while stack:
        current = stack.pop()
        for task in details.tasks:
            if current in task.needs and task.id not in found:
                found[task.id] = None
                stack.append(task.id)
    return list(found)
