"""Running a job in this process: a fresh one, one that is resumed or retried, one that was handed
over. The one way to do it; `gswarm_tui.cli.detached` has another process do it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from gswarm_tui.cli import output
from gswarm_tui.cli.context import Settings, open_session
from gswarm_tui.cli.interrupts import Interrupts
from gswarm_tui.cli.manner import Manner
from gswarm_tui.errors import EXIT_OK, CancelledError, GswarmError, UsageError
from gswarm_tui.jobs.overlap import Lock, acquire

if TYPE_CHECKING:
    from gswarm_tui.home import Home
    from gswarm_tui.jobs import JobResult
    from gswarm_tui.playbook import Plan
    from gswarm_tui.state.database import Database
    from gswarm_tui.state.jobs import Jobs


def run_plan(plan: Plan, settings: Settings, manner: Manner) -> int:
    """Make a job of a plan and run it; returns the exit code.

    Raises:
        LockedOutError, TimedOutError: another run of the playbook is under way.
        CancelledError: somebody ended it before it began.
        PlaybookError: a GPU that it needs is not on its node.
    """
    from gswarm_tui.jobs.journal import submit

    return _run(plan, settings, manner, lambda jobs: submit(plan, jobs))


def run_job(
    settings: Settings,
    job_id: int,
    manner: Manner | None = None,
    *,
    prepare: Callable[[Jobs], None] | None = None,
    lock: Lock | None = None,
) -> int:
    """Run a job that is in the database, as it was when it was made; returns the exit code.

    Args:
        prepare: is called when it is sure that nobody else runs it, and opens it again.
        lock: of its playbook, where this process has it already.

    Raises:
        UsageError: there is no such job, or it was made by a version that kept too little of it.
        GswarmError: as `run_plan`.
    """
    plan = plan_of(settings, job_id)
    return _run(plan, settings, manner or Manner(), prepared(job_id, prepare), lock=lock)


def prepared(job_id: int, prepare: Callable[[Jobs], None] | None) -> Callable[[Jobs], int]:
    """What opens a job again, if need be, and returns its id."""

    def obtain(jobs: Jobs) -> int:
        if prepare is not None:
            prepare(jobs)
        return job_id

    return obtain


def plan_of(settings: Settings, job_id: int) -> Plan:
    """What a job runs: its playbook as it was, over the inventory of now.

    Raises:
        UsageError: there is no such job, or it cannot be rebuilt.
    """
    from gswarm_tui import playbook
    from gswarm_tui.state.database import Database
    from gswarm_tui.state.jobs import Jobs

    with Database(settings.home().database) as database:
        jobs = Jobs(database)
        job, document = jobs.get(job_id), jobs.document(job_id)
    if job is None:
        raise UsageError(f"there is no job {job_id}", hint="gswarm jobs lists them")
    if not document:
        raise UsageError(
            f"job {job_id} was made by an older gswarm and cannot be run again",
            hint=f"gswarm run {job.playbook}",
        )
    loaded = playbook.reload(playbook.Origin.from_json(document))
    return playbook.plan(loaded, settings.inventory())


def _run(
    plan: Plan,
    settings: Settings,
    manner: Manner,
    obtain: Callable[[Jobs], int],
    *,
    lock: Lock | None = None,
) -> int:
    with manner.recorded(plan.name):
        ended = asyncio.run(_under_lock(plan, settings, manner, obtain, lock))
        if ended is None:
            if manner.note is not None:
                manner.note.end(EXIT_OK, "skipped: another run of it was under way")
            return EXIT_OK
    result, told = ended
    if manner.junit is not None:
        from gswarm_tui.cli import junit

        with manner.warned():
            junit.write(manner.junit, result, mask=plan.mask)
    show_end(result, settings, manner, mask=plan.mask, told=told)
    if manner.note is not None:
        manner.note.end(result.exit_code, plan.mask(_why(result)))
    return result.exit_code


async def _under_lock(
    plan: Plan,
    settings: Settings,
    manner: Manner,
    obtain: Callable[[Jobs], int],
    lock: Lock | None,
) -> tuple[JobResult, frozenset[str]] | None:
    """Run it when no other run of the playbook is under way; None where it is skipped."""
    from gswarm_tui.state.database import Database

    interrupts = Interrupts()
    with Database(settings.home().database) as database:
        held = lock or await take_lock(plan, settings.home(), database, manner)
        if held is None:
            return None
        with held:
            ended = await _run_it(plan, settings, manner, database, obtain, held, interrupts)
        _prune(settings.home(), database)
        return ended


async def take_lock(plan: Plan, home: Home, database: Database, manner: Manner) -> Lock | None:
    """The lock of the plan's playbook; None where it is to be skipped.

    Raises:
        LockedOutError, TimedOutError: another run has it.
        CancelledError: Ctrl-C, while it waited.
    """
    from gswarm_tui.state.jobs import Jobs

    try:
        return await acquire(
            home.locks,
            plan.name,
            manner.overlap,
            Jobs(database),
            say=manner.tell,
            timeout_s=manner.timeout_s,
            spent_s=manner.spent_s(),
        )
    except asyncio.CancelledError:
        raise CancelledError("cancelled while it waited for another run") from None


async def _run_it(
    plan: Plan,
    settings: Settings,
    manner: Manner,
    database: Database,
    obtain: Callable[[Jobs], int],
    lock: Lock,
    interrupts: Interrupts,
) -> tuple[JobResult, frozenset[str]]:
    from gswarm_tui import config
    from gswarm_tui.cli.job_view import open_view
    from gswarm_tui.jobs import Runner
    from gswarm_tui.state.jobs import Jobs

    home = settings.home()
    queue = config.load(home).queue
    if manner.timeout_s is not None:
        plan = replace(plan, timeout_s=manner.timeout_s)
    view_of = open_view(
        as_json=manner.as_json,
        quiet=manner.quiet,
        logs=home.logs,
        log_file=manner.log_file,
        mask=plan.mask_json,
    )
    async with open_session(settings, notice=manner.tell) as session:
        with view_of as view:
            job_id = obtain(Jobs(database))
            lock.name_holder(job_id)
            if manner.note is not None:
                manner.note.job(job_id)
            runner = Runner(
                plan,
                session.models,
                database,
                job_id=job_id,
                config=queue,
                spent_s=manner.spent_s(),
            )
            interrupts.go_to(runner, view, job_id)
            return await runner.run(view), view.near


def _prune(home: Home, database: Database) -> None:
    from gswarm_tui import config
    from gswarm_tui.state import retention

    try:
        retention.prune_if_due(database, config.load(home).retention, home.logs)
    except GswarmError as error:  # the run itself is over and went as it went
        output.say(output.clean(f"warning: old jobs were not removed: {error}"))


def show_end(
    result: JobResult,
    settings: Settings,
    manner: Manner,
    *,
    mask: Callable[[str], str],
    told: frozenset[str],
) -> None:
    """Say how a job ended: what is where on stdout; on stderr what failed and why, and the verdict.

    Args:
        mask: hides secrets.
        told: tasks whose failure the reader has in view already.
    """
    from gswarm_tui.cli import history, job_report
    from gswarm_tui.jobs.logs import job_log

    is_data = not manner.as_json and not manner.quiet
    if is_data:
        lines = list(job_report.report(result, command=history.command(settings)))
        for line in lines:
            output.show(mask(line))
        if lines:
            output.show()
        # What was in view is above all this by now.
        told = frozenset() if lines else told
    output.flush()
    if result.exit_code or not manner.quiet:
        for line in job_report.failures(result, told=told):
            output.say(mask(line), prose=True)
    verdict = f"job {result.job_id} ({result.name}): {job_report.verdict(result)}"
    if result.exit_code:
        log = job_log(settings.home().logs, result.job_id)
        output.say(output.clean(f"{verdict}; log: {log}"), prose=True)
        for line in job_report.afterwards(result):
            output.say(f"  {line}")
    elif is_data:
        output.say(output.clean(verdict), prose=True)


def _why(result: JobResult) -> str:
    """Why a job did not succeed, in a line; nothing for one that did."""
    from gswarm_tui.cli import job_report

    if not result.exit_code:
        return ""
    first = next(iter(job_report.failures(result)), str(result.state))
    return output.first_line(first)
