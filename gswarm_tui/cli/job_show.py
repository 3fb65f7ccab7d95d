"""A job as people read it: what it is, and a line for each of its tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from shlex import quote
from typing import TYPE_CHECKING

from gswarm_tui.cli import output
from gswarm_tui.cli.following import result_of
from gswarm_tui.cli.jobs import show_why, ways_on
from gswarm_tui.jobs import sentences
from gswarm_tui.jobs.failures import without_log
from gswarm_tui.state.overview import JobSummary, seconds_of
from gswarm_tui.state.states import State

if TYPE_CHECKING:
    from gswarm_tui.cli.history import History
    from gswarm_tui.state.records import JobRecord, TaskRecord


def show(history: History, job: JobRecord, *, command: str) -> None:
    """Print a job, its tasks, and what failed with what to look at.

    Args:
        command: how `gswarm` is to be called.
    """
    tasks = history.jobs.tasks(job.id)
    counts = Counter(task.state for task in tasks)
    tolerated = sum(task.tolerated for task in tasks)
    asked = sum(task.cancel_requested for task in tasks if task.state is State.CANCELLED)
    summary = JobSummary(job, counts, None, None, tolerated, asked)
    output.fields(_about(summary))
    output.show()
    output.table(
        ("task", "state", "attempt", "took", "what"),
        [
            (
                task.action_id,
                sentences.state_of(task),
                task.attempt or None,
                output.duration(seconds_of(task)),
                _what(task),
            )
            for task in tasks
        ],
        apart=("what",),
    )
    _show_failures(summary, tasks, command)
    if job.state is not State.FAILED:
        show_why(summary, command=command)


def _about(summary: JobSummary) -> Iterator[tuple[str, object]]:
    job = summary.job
    yield "job", f"{job.id}: {job.name}"
    state = str(job.state)
    if job.cancel_requested and job.state is State.RUNNING:
        state += ", asked to end"
    yield "state", state if job.exit_code is None else f"{state} (exit code {job.exit_code})"
    yield "tasks", sentences.counted(summary.counts, summary.tolerated)
    yield "playbook", job.playbook
    yield "priority", job.priority
    by = f"{job.user} on {job.host}"
    yield "run by", by if job.pid is None else f"{by}, process {job.pid}"
    yield "began", output.moment(job.started_at)
    yield "took", output.duration(seconds_of(job))


def _what(task: TaskRecord) -> str:
    """Why it waits, how it ended, or else what it does."""
    does = f"{task.action_type} {task.summary}".rstrip()
    if task.waiting is not None:
        return task.waiting
    if task.error is not None and task.state in (State.FAILED, State.SKIPPED):
        return output.first_line(task.error)
    if task.state is State.SUCCEEDED:
        said = sentences.done(result_of(task).result)
        return does if said == sentences.DONE else said
    if task.state is State.PENDING and task.dependencies:
        return f"{does}; after {', '.join(task.dependencies)}"
    return does


def _show_failures(summary: JobSummary, tasks: Sequence[TaskRecord], command: str) -> None:
    job = summary.job
    failed = [task for task in tasks if task.state is State.FAILED]
    for task in failed:
        output.show(f"\n{sentences.state_of(task)}: {task.action_id}: {task.error}", prose=True)
        if task.hint is not None:
            output.show(f"  hint: {without_log(task.hint, job.id, task.action_id)}")
        output.show(f"  its log: {command} job logs {job.id} {quote(task.action_id)}")
    if job.error is not None:
        output.show(f"\njob {job.id}: {job.error}", prose=True)
    if job.state is State.FAILED:
        output.show()
        for purpose, again in ways_on(summary, command=command):
            output.show(f"{purpose}: {again}")
