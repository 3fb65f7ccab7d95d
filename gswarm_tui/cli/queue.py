"""`gswarm queue`: what runs, what waits for what, and what has run."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gswarm_tui.cli import history, options, output
from gswarm_tui.cli.context import settings_of
from gswarm_tui.cli.jobs import state_named
from gswarm_tui.errors import UsageError
from gswarm_tui.state.states import ENDED, State

if TYPE_CHECKING:
    from gswarm_tui.state.records import TaskRecord

app = options.group("Show, pause and clear the queue of all jobs' tasks.")

_IN_QUEUE = (State.RUNNING, State.READY, State.RETRYING)


@app.command()
def status(ctx: typer.Context, json: options.Json = False) -> None:
    """Show how many tasks run and wait, and whether it is paused."""
    from gswarm_tui import config

    config.load(settings_of(ctx).home())  # with wrong settings nothing would be run
    with history.open_history(ctx) as opened:
        found = opened.queue.status()
    if json:
        output.emit(asdict(found))
        return
    waiting = ", ".join(
        f"{count} {priority}" for priority, count in found.by_priority.items() if count
    )
    output.fields(
        [
            ("queue", "paused: gswarm queue resume" if found.paused else "open"),
            ("running", found.running),
            ("waiting", f"{found.waiting} ({waiting})" if waiting else found.waiting),
            ("retrying", found.retrying),
        ]
    )


@app.command()
def tasks(
    ctx: typer.Context,
    status: Annotated[
        str | None,
        typer.Option(
            "--status", metavar="STATE", help="Only in this state: running, ready or retrying."
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Show running and waiting tasks, each with what it waits for."""
    state = None if status is None else state_named(status, _IN_QUEUE)
    with history.open_history(ctx) as opened:
        found = opened.queue.tasks(state)
    if json:
        output.emit({"tasks": [_document(task) for task in found]})
        return
    if not found:
        output.say("no task runs or waits")
        return
    output.table(
        ("task", "state", "priority", "since", "what"),
        [
            (
                _id(task),
                task.state,
                task.priority,
                output.moment(task.started_at if task.state is State.RUNNING else task.ready_at),
                task.waiting or f"{task.action_type} {task.summary}",
            )
            for task in found
        ],
        apart=("what",),
    )


@app.command("history")
def ended(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="How many.")] = 50,
    json: options.Json = False,
) -> None:
    """Show the tasks that have ended, the newest first."""
    from gswarm_tui.jobs.sentences import state_of
    from gswarm_tui.state.overview import seconds_of

    with history.open_history(ctx) as opened:
        found = opened.queue.history(limit)
    if json:
        output.emit({"tasks": [_document(task) for task in found]})
        return
    if not found:
        output.say("no task has ended yet")
        return
    output.table(
        ("task", "state", "ended", "took", "what"),
        [
            (
                _id(task),
                state_of(task),
                output.moment(task.finished_at),
                output.duration(seconds_of(task)),
                output.first_line(task.error or f"{task.action_type} {task.summary}"),
            )
            for task in found
        ],
        apart=("what",),
    )


@app.command()
def cancel(
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(metavar="ID", help="A task, 17/fetch; or a job, 17.")],
    json: options.Json = False,
) -> None:
    """Cancel a task, or a whole job."""
    from gswarm_tui.cli import job_cancel

    number, slash, action_id = target.partition("/")
    with history.open_history(ctx) as opened:
        job = opened.job(number)
        if not slash:
            raise typer.Exit(job_cancel.cancel(opened, job, settings_of(ctx), as_json=json))
        task = opened.task(job, action_id)
        if task.state in ENDED:
            _tell_cancelled(task, as_json=json)
            return
        if not opened.jobs.is_alive(job):
            raise UsageError(
                f"job {job.id} is run by nobody", hint=f"gswarm job cancel {job.id} ends all of it"
            )
        opened.jobs.request_cancel_task(job.id, action_id)
        _tell_cancelled(task, as_json=json)


def _tell_cancelled(task: TaskRecord, *, as_json: bool) -> None:
    """Say what became of a task whose end was asked for."""
    already = task.state in ENDED
    if as_json:
        output.emit({"id": _id(task), "job": task.job_id, "state": task.state, "already": already})
    elif already:
        output.show(f"{_id(task)} has ended already: {task.state}")
    else:
        output.show(f"{_id(task)}: asked to end; what needs it is skipped")


@app.command()
def pause(ctx: typer.Context, json: options.Json = False) -> None:
    """Start no more tasks of any job; running ones continue."""
    with history.open_history(ctx) as opened:
        opened.queue.pause()
        now = opened.queue.status()
    running = output.number_of(now.running, "task")
    goes_on = f"{running} under way will end as usual" if now.running else "nothing is under way"
    if json:
        output.emit(asdict(now))
    else:
        output.show(f"the queue is paused; {goes_on}")


@app.command()
def resume(ctx: typer.Context, json: options.Json = False) -> None:
    """Start tasks again."""
    with history.open_history(ctx) as opened:
        opened.queue.resume()
        now = opened.queue.status()
    if json:
        output.emit(asdict(now))
    else:
        waiting = f"{output.number_of(now.waiting, 'task')} waiting"
        output.show(f"the queue is open; {waiting if now.waiting else 'nothing waits'}")


@app.command()
def clear(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: options.Json = False,
) -> None:
    """Cancel all waiting tasks; running ones continue."""
    with history.open_history(ctx) as opened:
        waiting = [task for task in opened.queue.tasks() if task.state is not State.RUNNING]
        if waiting and not yes:
            _ask(waiting)
        if waiting:
            opened.queue.clear()
    if json:
        output.emit({"cancelled": [_id(task) for task in waiting]})
        return
    if not waiting:
        output.show("nothing waits")
        return
    for task in waiting:
        output.show(f"{_id(task)}: cancelled")
    output.say(f"{output.number_of(len(waiting), 'task')} cancelled")


def _ask(waiting: list[TaskRecord]) -> None:
    """Ask whether this is meant.

    Raises:
        UsageError: nobody can be asked.
        typer.Exit: it is not meant.
    """
    if not history.is_interactive():
        raise UsageError(
            f"{output.number_of(len(waiting), 'task')} would be cancelled",
            hint="say --yes if that is meant",
        )
    for task in waiting:
        output.say(output.clean(f"{_id(task)}: {task.action_type} {task.summary}"))
    if not typer.confirm(f"cancel {output.number_of(len(waiting), 'task')}?", err=True):
        output.say("nothing was cancelled")
        raise typer.Exit(1)


def _id(task: TaskRecord) -> str:
    return f"{task.job_id}/{task.action_id}"


def _document(task: TaskRecord) -> dict[str, Any]:
    from gswarm_tui.state.export import task_fields

    return {"id": _id(task), "job": task.job_id, **task_fields(task)}
