"""`gswarm job`: look at one job, follow it, end it, go on with it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gswarm_tui.cli import history, options, output
from gswarm_tui.cli.context import settings_of
from gswarm_tui.cli.history import History, JobId
from gswarm_tui.errors import GswarmError, UsageError
from gswarm_tui.state.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from gswarm_tui.cli.manner import Manner
    from gswarm_tui.state.jobs import Jobs
    from gswarm_tui.state.records import JobRecord

app = options.group("Show, follow, cancel and resume jobs.")

Task = Annotated[str | None, typer.Argument(metavar="TASK", help="One of its tasks.")]
Detach = Annotated[bool, typer.Option("--detach", help="Run it in the background, and return.")]
WhereBusy = Annotated[
    str,
    typer.Option(
        "--overlap",
        metavar="WHAT",
        help="If another run of its playbook is under way: fail, wait, skip, cancel-previous.",
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        "--timeout", metavar="TIME", help="The time limit of this run, in place of the playbook's."
    ),
]
Events = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


@app.command()
def show(
    ctx: typer.Context,
    job: JobId,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Follow it until it ends; exit with its exit code."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Show a job and its tasks: states, and why they wait or failed."""
    with history.open_history(ctx) as opened:
        found = opened.job(job)
        if watch:
            raise typer.Exit(_watch(opened, found, as_json=json))
        if json:
            from gswarm_tui.state.export import document

            output.emit(document(opened.jobs, found))
            return
        from gswarm_tui.cli import job_show

        job_show.show(opened, found, command=history.command(settings_of(ctx)))


@app.command()
def logs(
    ctx: typer.Context,
    job: JobId,
    task: Task = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Follow it until it ends.")
    ] = False,
    attempt: Annotated[
        int | None,
        typer.Option("--attempt", metavar="N", help="Which attempt; the last by default."),
    ] = None,
) -> None:
    """Print the log of a job or a task: progress, output, errors."""
    from gswarm_tui.cli import job_logs

    with history.open_history(ctx) as opened:
        found = opened.job(job)
        if not follow:
            path, _ = job_logs.path_of(opened, found, task, attempt)
            what = f"job {found.id}" if task is None else f"{task} of job {found.id}"
            job_logs.show(path, what=what)
            return
        job_logs.path_of(opened, found, task, attempt)
        job_logs.follow(
            lambda: job_logs.path_of(opened, found, task, attempt),
            lambda: job_logs.is_over(opened, found),
        )


@app.command()
def cancel(ctx: typer.Context, job: JobId, json: options.Json = False) -> None:
    """Cancel a job: its work on nodes is ended too."""
    from gswarm_tui.cli import job_cancel

    with history.open_history(ctx) as opened:
        code = job_cancel.cancel(opened, opened.job(job), settings_of(ctx), as_json=json)
    raise typer.Exit(code)


@app.command()
def resume(
    ctx: typer.Context,
    job: JobId,
    detach: Detach = False,
    overlap: WhereBusy = "fail",
    timeout: Timeout = None,
    json: Events = False,
) -> None:
    """Continue a job that was lost, cancelled or timed out."""
    manner = _manner(overlap, timeout, as_json=json)
    with history.open_history(ctx) as opened:
        found = opened.job(job)
        _refuse_running(opened, found)
        _refuse_all_done(opened, found)
    _run(ctx, found, _reopen(found), manner, detach=detach)


@app.command()
def retry(
    ctx: typer.Context,
    job: JobId,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TASK",
            help="Also this task and all that need it, however they ended.",
        ),
    ] = None,
    detach: Detach = False,
    overlap: WhereBusy = "fail",
    timeout: Timeout = None,
    json: Events = False,
) -> None:
    """Repeat what failed in a job, and what was skipped because of that."""
    manner = _manner(overlap, timeout, as_json=json)
    with history.open_history(ctx) as opened:
        found = opened.job(job)
        _refuse_running(opened, found)
        if start is not None:
            opened.task(found, start)
        elif found.state is State.SUCCEEDED:
            raise _nothing_to_retry(opened, found)
    reopen = _reopen(found, retry=True, start=start)
    _run(ctx, found, reopen, manner, detach=detach)


@app.command("rm")
def remove(
    ctx: typer.Context,
    jobs: Annotated[list[str], typer.Argument(metavar="ID", help="Numbers of jobs, or last.")],
    json: options.Json = False,
) -> None:
    """Remove jobs that have ended, with their logs and documents."""
    from gswarm_tui.state.retention import remove_files

    with history.open_history(ctx) as opened:
        found = {job.id: job for job in map(opened.job, jobs)}
        for job in found.values():
            _refuse_running(opened, job)
        for job in found.values():
            opened.jobs.remove(job.id)
            remove_files(opened.home.logs, job.id)
            if not json:
                output.show(f"job {job.id} ({job.name}) is removed")
    if json:
        output.emit({"removed": list(found)})


@app.command()
def export(
    ctx: typer.Context,
    job: JobId,
    target: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="jobs/job_ID.json by default; - is stdout."
        ),
    ] = None,
) -> None:
    """Write a job, with tasks and attempts, as a JSON document."""
    from gswarm_tui.state.export import document

    with history.open_history(ctx) as opened:
        found = opened.job(job)
        content = document(opened.jobs, found)
        if target == "-":
            output.emit(content)
            return
        path = _default_path(opened, found) if target is None else Path(target)
    _write(path, content)
    output.show(str(path))


def _watch(opened: History, job: JobRecord, *, as_json: bool) -> int:
    """Follow a job to its end, and say how it ended; returns its exit code."""
    from gswarm_tui.cli import EXIT_INTERRUPTED, job_report
    from gswarm_tui.cli.following import follow
    from gswarm_tui.cli.job_view import open_view

    with open_view(as_json=as_json, logs=None) as view:
        try:
            followed = follow(opened.database, job.id, view, log_folder=opened.home.logs)
        except KeyboardInterrupt:
            view.leave()
            output.say(f"job {job.id} goes on; to end it: gswarm job cancel {job.id}")
            return EXIT_INTERRUPTED
        near = view.near
    output.flush()
    for line in job_report.failures(followed.result, told=near):
        output.say(line, prose=True)
    verdict = (
        f"job {job.id} ({job.name}): {followed.job.state}, {job_report.verdict(followed.result)}"
    )
    output.say(output.clean(verdict), prose=True)
    if followed.job.state is State.LOST:
        output.say(f"  the process that ran it is gone: gswarm job resume {job.id}")
    return followed.exit_code


def _refuse_running(opened: History, job: JobRecord) -> None:
    if opened.jobs.is_alive(job):
        raise UsageError(
            f"job {job.id} is run by process {job.pid} on {job.host}",
            hint=f"gswarm job show {job.id} --watch follows it, gswarm job cancel {job.id} ends it",
        )


def _refuse_all_done(opened: History, job: JobRecord) -> None:
    """What ended by itself does not go on: it is done again, or not."""
    if job.state not in (State.SUCCEEDED, State.FAILED):
        return
    cut = [task for task in opened.jobs.tasks(job.id) if task.state is State.CANCELLED]
    if job.state is State.FAILED and cut:
        return
    raise UsageError(
        f"job {job.id} has ended: {job.state}",
        hint=f"gswarm job retry {job.id} does again what failed; with --from TASK also that task,"
        " and all that need it",
    )


def _nothing_to_retry(opened: History, job: JobRecord) -> UsageError:
    """Why a job that succeeded is not tried again."""
    tolerated = [task.action_id for task in opened.jobs.tasks(job.id) if task.tolerated]
    start = shlex.quote(tolerated[0]) if tolerated else "TASK"
    reason = f"nothing of job {job.id} failed"
    if tolerated:
        reason = f"job {job.id} succeeded: that {', '.join(tolerated)} failed is tolerated"
    hint = f"gswarm job retry {job.id} --from {start} does that task again, and all that need it"
    return UsageError(reason, hint=hint)


def _reopen(
    job: JobRecord, *, retry: bool = False, start: str | None = None
) -> Callable[[Jobs], None]:
    """What makes a job ready to be run, as soon as it is sure that nobody else runs it."""

    def reopen(jobs: Jobs) -> None:
        now = jobs.get(job.id)
        if now is not None and now.state is not State.PENDING:
            jobs.reset(job.id, retry=retry, from_task=start)

    return reopen


def _manner(overlap: str, timeout: str | None, *, as_json: bool) -> Manner:
    """How it is run.

    Raises:
        UsageError: an option is wrong.
    """
    from gswarm_tui.cli.manner import Manner
    from gswarm_tui.cli.run import read_overlap

    timeout_s = None if timeout is None else options.limit(timeout)
    return Manner(as_json=as_json, overlap=read_overlap(overlap), timeout_s=timeout_s)


def _run(
    ctx: typer.Context,
    job: JobRecord,
    reopen: Callable[[Jobs], None],
    manner: Manner,
    *,
    detach: bool,
) -> None:
    from gswarm_tui.cli import running

    if detach:
        from gswarm_tui.cli import detached

        raise typer.Exit(detached.start_job(settings_of(ctx), job.id, manner, prepare=reopen))
    raise typer.Exit(running.run_job(settings_of(ctx), job.id, manner, prepare=reopen))


def _default_path(opened: History, job: JobRecord) -> Path:
    from gswarm_tui.state.retention import document_path

    path = document_path(opened.home.logs, job.id)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise GswarmError(f"cannot be made: {error.strerror}", where=str(path.parent)) from None
    return path


def _write(path: Path, content: dict[str, Any]) -> None:
    import json
    import os

    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise GswarmError(f"cannot be written: {error.strerror}", where=str(path)) from None
