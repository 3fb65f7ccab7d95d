"""What can be done to jobs, as deeds: the commands that do it, and what would be lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gswarm_tui.errors import UsageError
from gswarm_tui.state.states import ENDED, State
from gswarm_tui.tui.acting import Deed
from gswarm_tui.watch.details import JobDetails, JobTask
from gswarm_tui.watch.snapshot import Job

_UNDER_WAY: Final = (State.PENDING, State.RUNNING)


def cancel(jobs: Sequence[Job]) -> Deed:
    """End jobs.

    Raises:
        UsageError: none of them can be ended, as with all of these.
    """
    fit = _those(jobs, lambda job: job.state not in ENDED, "has ended already", "cancel")
    commands = tuple([("job", "cancel", str(job.id)) for job in fit])
    losses = tuple([_ended(job) for job in fit])
    return Deed(f"cancel {_named(fit)}", commands, about=_about(fit), losses=losses)


def cancel_task(job_id: int, task: JobTask, details: JobDetails) -> Deed:
    """End one task of a job."""
    if task.state in ENDED:
        raise UsageError(f"{task.id} has ended already: {task.state}")
    losses = [f"{task.id} is ended on its node"] if task.state is State.RUNNING else []
    skipped = _after(task.id, details)
    if skipped:
        losses.append(f"what needs it is skipped: {', '.join(skipped)}")
    return Deed(
        f"cancel {task.id} of job {job_id}",
        (("queue", "cancel", f"{job_id}/{task.id}"),),
        about=f"job {job_id}",
        losses=tuple(losses or [f"{task.id} is not done"]),
    )


def resume(jobs: Sequence[Job]) -> Deed:
    """Go on with jobs that were lost or cancelled, or that nobody runs."""
    stopped = (State.LOST, State.CANCELLED, State.PENDING)
    fit = _those(jobs, lambda job: job.state in stopped, "is neither lost nor cancelled", "resume")
    commands = tuple([("job", "resume", str(job.id), "--detach") for job in fit])
    return Deed(f"go on with {_named(fit)}", commands, about=_about(fit))


def retry(jobs: Sequence[Job], start: str | None = None) -> Deed:
    """Do again what failed in jobs; with `start` that task and all that need it."""
    fit = _those(
        jobs,
        lambda job: job.state not in _UNDER_WAY and (start is not None or _has_failed(job)),
        "has nothing that failed",
        "retry",
    )
    words = () if start is None else ("--from", start)
    commands = tuple([("job", "retry", str(job.id), *words, "--detach") for job in fit])
    what = f"retry {_named(fit)}" if start is None else f"retry {_named(fit)} from {start} on"
    return Deed(what, commands, about=_about(fit))


def remove(jobs: Sequence[Job]) -> Deed:
    """Forget jobs."""
    fit = _those(jobs, lambda job: job.state not in _UNDER_WAY, "is still under way", "remove")
    return Deed(
        f"remove {_named(fit)}",
        (("job", "rm", *[str(job.id) for job in fit]),),
        about=_about(fit),
        losses=tuple([f"the logs and results of job {job.id} ({job.name})" for job in fit]),
    )


def hold_queue(*, paused: bool) -> Deed:
    """Pause the queue of tasks, or open it again."""
    word = "resume" if paused else "pause"
    return Deed(f"{word} the queue", (("queue", word),), about="queue")


def _those(jobs: Sequence[Job], fits: Callable[[Job], bool], said: str, verb: str) -> list[Job]:
    """The jobs to which it can be done."""
    found = [job for job in jobs if fits(job)]
    if not found:
        first = f"job {jobs[0].id} {said}" if len(jobs) == 1 else "none of them can be"
        raise UsageError(f"nothing to {verb}: {first}" if jobs else f"there is no job to {verb}")
    return found


def _has_failed(job: Job) -> bool:
    return job.state in (State.FAILED, State.LOST, State.CANCELLED)


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


def _after(name: str, details: JobDetails) -> list[str]:
    """The tasks that need this one, directly or through others."""
    found: dict[str, None] = {}
    stack = [name]
    while stack:
        current = stack.pop()
        for task in details.tasks:
            if current in task.needs and task.id not in found:
                found[task.id] = None
                stack.append(task.id)
    return list(found)
