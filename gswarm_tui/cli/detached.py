"""``--detach``: a job is handed to a background process, which outlives the terminal."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gswarm_tui.cli import output
from gswarm_tui.cli.context import Settings, settings_of
from gswarm_tui.errors import (
    EXIT_OK,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    CancelledError,
    GswarmError,
    NodeError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gswarm_tui.cli.manner import Manner
    from gswarm_tui.home import Home
    from gswarm_tui.jobs.overlap import Lock
    from gswarm_tui.playbook import Plan
    from gswarm_tui.state.jobs import Jobs

COMMAND: Final = "runner"
_LOOK_EVERY_S: Final = 0.05
_LAST_LINES: Final = 20


def runner_log(logs: Path, job_id: int) -> Path:
    """What a background process has printed."""
    return logs / f"job-{job_id}" / "runner.log"


def start(plan: Plan, settings: Settings, manner: Manner) -> int:
    """Make a job of a plan, have a background process run it, and say which it is.

    Returns when that process has it.

    Raises:
        LockedOutError, TimedOutError: another run of the playbook is under way.
        GswarmError: the process did not come to run it.
    """
    from gswarm_tui.jobs.journal import submit

    return _start(plan, settings, manner, lambda jobs: submit(plan, jobs))


def start_job(
    settings: Settings,
    job_id: int,
    manner: Manner,
    *,
    prepare: Callable[[Jobs], None] | None = None,
) -> int:
    """The same for a job that is in the database; the arguments are those of `running.run_job`.

    Raises:
        UsageError: there is no such job, or it cannot be rebuilt.
        GswarmError: as `start`.
    """
    from gswarm_tui.cli import running

    plan = running.plan_of(settings, job_id)
    return _start(plan, settings, manner, running.prepared(job_id, prepare))


def _start(plan: Plan, settings: Settings, manner: Manner, obtain: Callable[[Jobs], int]) -> int:
    with manner.recorded(plan.name):
        job_id = asyncio.run(_hand_over(plan, settings, manner, obtain))
    if job_id is not None:
        _say(job_id, settings, manner)
    return EXIT_OK


async def _hand_over(
    plan: Plan, settings: Settings, manner: Manner, obtain: Callable[[Jobs], int]
) -> int | None:
    """The job that a background process runs now; None where it is skipped."""
    from gswarm_tui.cli import running
    from gswarm_tui.cli.interrupts import Interrupts
    from gswarm_tui.state.database import Database
    from gswarm_tui.state.jobs import Jobs

    home = settings.home()
    Interrupts()
    with Database(home.database) as database:
        jobs = Jobs(database)
        lock = await running.take_lock(plan, home, database, manner)
        if lock is None:
            return None
        job_id = obtain(jobs)
        lock.name_holder(job_id)
        process = _spawn(settings, home, job_id, lock, manner)
        lock.hand_over()
        try:
            await _wait_until_it_runs(process, jobs, runner_log(home.logs, job_id), job_id)
        except asyncio.CancelledError:
            message = f"job {job_id} was handed over already, and goes on"
            hint = f"gswarm job cancel {job_id} ends it"
            raise CancelledError(message, hint=hint) from None
        return job_id


def _spawn(
    settings: Settings, home: Home, job_id: int, lock: Lock, manner: Manner
) -> subprocess.Popen[bytes]:
    """The process: of a session of its own, so that nothing of the terminal reaches it."""
    words = [sys.executable, "-P", "-m", "gswarm_tui.cli", *settings.options()]
    words += [COMMAND, str(job_id), "--lock", str(lock.descriptor)]
    if manner.timeout_s is not None:
        words += ["--timeout", f"{manner.timeout_s}", "--spent", f"{manner.spent_s():.3f}"]
    for option, path in (("--junit", manner.junit), ("--log-file", manner.log_file)):
        if path is not None:
            words += [option, str(path)]
    log = runner_log(home.logs, job_id)
    log.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            pass_fds=[lock.descriptor],
        )
    finally:
        os.close(descriptor)


async def _wait_until_it_runs(
    process: subprocess.Popen[bytes], jobs: Jobs, log: Path, job_id: int
) -> None:
    """Return when it runs the job, or has done so.

    Raises:
        GswarmError: it ended before that; with its own words.
    """
    from gswarm_tui.state.states import State

    while True:
        code = process.poll()
        job = jobs.get(job_id)
        if job is not None and job.pid == process.pid:
            return
        if code is not None:
            reason = None if job is None else job.error
            error = _failure(reason or _last_lines(log), code, log)
            if job is not None and job.state is State.PENDING:
                jobs.abandon(job_id, State.FAILED, exit_code=error.exit_code, error=str(error))
            raise error
        await asyncio.sleep(_LOOK_EVERY_S)


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:])


def _failure(reason: str, code: int, log: Path) -> GswarmError:
    """With the process's own exit code, where that says what it was."""
    classes = {EXIT_USAGE: UsageError, EXIT_UNREACHABLE: NodeError}
    message = f"the background process ended with {code} before it began: {reason}"
    return classes.get(code, GswarmError)(message, where=str(log))


def _say(job_id: int, settings: Settings, manner: Manner) -> None:
    from gswarm_tui.cli import history

    if manner.as_json:
        output.show(json.dumps({"job": job_id}))
        return
    output.show(f"job {job_id}")
    output.flush()
    if manner.quiet:
        return
    command = history.command(settings)
    output.say(f"follow it: {command} job show {job_id} --watch")
    output.say(f"end it:    {command} job cancel {job_id}")


def run_handed_over(
    ctx: typer.Context,
    job_id: int,
    lock: Annotated[int, typer.Option("--lock")],
    timeout: Annotated[float | None, typer.Option("--timeout")] = None,
    spent: Annotated[float, typer.Option("--spent")] = 0.0,
    junit: Annotated[Path | None, typer.Option("--junit")] = None,
    log_file: Annotated[Path | None, typer.Option("--log-file")] = None,
) -> None:
    """(Runs a job that was handed over.)"""
    from gswarm_tui.cli import running
    from gswarm_tui.cli.manner import Manner
    from gswarm_tui.jobs.overlap import Lock

    held = Lock(lock)
    held.name_holder(job_id)
    manner = Manner(timeout_s=timeout, spent_before_s=spent, junit=junit, log_file=log_file)
    raise typer.Exit(running.run_job(settings_of(ctx), job_id, manner, lock=held))
