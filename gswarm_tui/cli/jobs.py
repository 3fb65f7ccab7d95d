"""`gswarm jobs`: what ran, how it ended, and why it failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gswarm_tui.cli import cron_runs, history, options, output
from gswarm_tui.cli.context import settings_of
from gswarm_tui.errors import UsageError
from gswarm_tui.nearest import did_you_mean
from gswarm_tui.state.states import JOB_TRANSITIONS, State
from gswarm_tui.wording import number_of

if TYPE_CHECKING:
    from gswarm_tui.state.overview import JobSummary
    from gswarm_tui.state.records import JobRecord

_UNTIL_NOW = -1


def jobs(
    ctx: typer.Context,
    status: Annotated[
        str | None, typer.Option("--status", metavar="STATE", help="Only those in this state.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Only those of this playbook, or cron job."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only newer ones: 24h, 7d, 2026-11-21."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="How many; 20 by default.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Show jobs: what ran, how it ended, and why it failed."""
    from gswarm_tui.state.overview import summaries

    state = None if status is None else state_named(status, JOB_TRANSITIONS)
    begin = None if since is None else _moment(since)
    with history.open_history(ctx) as opened:
        most = limit or (20 if begin is None else _UNTIL_NOW)
        found = opened.jobs.recent(state=state, name=name, limit=most)
        names = None
        if name is not None:
            names = cron_runs.of_playbook(opened.home, opened.jobs, name)
            also = cron_runs.made(opened.home, opened.jobs, name)
            found = _merged(found, [job for job in also if state in (None, job.state)], most)
        found = [job for job in found if begin is None or _is_newer(job, begin)]
        listed = summaries(opened.database, found)
    if begin is None and len(found) == most:
        begin = datetime.fromisoformat(found[-1].created_at)
    home = opened.home
    runs = [] if state is not None else cron_runs.failed(home, names=names, begin=begin)
    if json:
        made = [_document(summary) for summary in listed]
        output.emit({"jobs": made, "without_job": [one.document() for one in runs]})
        return
    chosen = any(part is not None for part in (status, name, since))
    if listed or not runs:
        _show(listed, command=history.command(settings_of(ctx)), chosen=chosen)
    for line in cron_runs.told(runs, home):
        output.show(line, prose=not line.startswith(" "))


def _merged(some: list[JobRecord], others: list[JobRecord], most: int) -> list[JobRecord]:
    """The jobs of both, each once and the newest first."""
    ids = {job.id: job for job in (*some, *others)}
    found = [ids[key] for key in sorted(ids, reverse=True)]
    return found if most == _UNTIL_NOW else found[:most]


def state_named(word: str, known: Any) -> State:
    """A state by its word.

    Raises:
        UsageError: there is no such state.
    """
    names = [str(state) for state in known]
    if word not in names:
        raise UsageError(
            f"there is no state `{word}`{did_you_mean(word, names)}", hint=", ".join(names)
        )
    return State(word)


def _moment(written: str) -> datetime:
    """``24h`` ago, or a date or time as ISO 8601 writes it, in the user's own zone."""
    from gswarm_tui import durations

    try:
        return datetime.now(UTC) - timedelta(seconds=durations.parse(written))
    except (ValueError, OverflowError):
        pass
    try:
        return datetime.fromisoformat(written).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {written} is no time", hint="write 24h, 7d, or a date: 2026-11-21"
        ) from None


def _is_newer(job: JobRecord, begin: datetime) -> bool:
    """Whether anything of a job was after that moment."""
    last = job.finished_at if job.state not in (State.PENDING, State.RUNNING) else None
    return last is None or datetime.fromisoformat(last) >= begin


def _show(listed: list[JobSummary], *, command: str, chosen: bool) -> None:
    from gswarm_tui.jobs.sentences import counted
    from gswarm_tui.state.overview import seconds_of

    if not listed:
        if chosen:
            output.say("no such job: gswarm jobs shows all")
        else:
            output.say("there is no job yet: gswarm run PLAYBOOK makes one")
        return
    output.table(
        ("job", "name", "state", "began", "took", "tasks"),
        [
            (
                summary.job.id,
                summary.job.name,
                summary.job.state,
                output.moment(summary.job.started_at or summary.job.created_at),
                output.duration(seconds_of(summary.job)),
                counted(summary.counts, summary.tolerated),
            )
            for summary in listed
        ],
    )
    for summary in listed:
        show_why(summary, command=command)


def show_why(summary: JobSummary, *, command: str) -> None:
    """Print why a job did not succeed, and what to type; nothing for one that did or runs."""
    job = summary.job
    which = f"job {job.id} ({job.name})"
    resume = f"{command} job resume {job.id}"
    if job.state is State.FAILED:
        said = f"{which} failed: {_reason(summary)}"
        ways = [("all of it", f"{command} job show {job.id}")]
        ways += ways_on(summary, command=command)
    elif job.state is State.LOST:
        said = (
            f"{which} was lost: the process that ran it is gone{_at(job)}; nodes may have gone on"
        )
        ways = [("to go on from there", resume)]
    elif job.state is State.CANCELLED:
        said, ways = f"{which} was cancelled {_by(summary)}", [("to go on from there", resume)]
        if summary.counts[State.FAILED] > summary.tolerated:
            ways.append(("and to do again what failed", f"{command} job retry {job.id}"))
    elif job.state is State.PENDING:
        said = f"{which} has not begun: no process runs it yet"
        ways = [("to run it here", resume)]
    else:
        return
    output.show(f"\n{said}", prose=True)
    for purpose, typed in ways:
        output.show(f"  {purpose}: {typed}")


def ways_on(summary: JobSummary, *, command: str) -> Iterator[tuple[str, str]]:
    """What to do about a job that failed: what for, and what to type."""
    job, counts = summary.job, summary.counts
    if counts[State.CANCELLED]:
        more = " --timeout TIME" if summary.timed_out else ""
        yield "to go on from there", f"{command} job resume {job.id}{more}"
    if counts[State.FAILED] > summary.tolerated or not counts[State.CANCELLED]:
        yield "to do again what failed", f"{command} job retry {job.id}"


def _by(summary: JobSummary) -> str:
    """How its end was asked for, as far as the rows say."""
    if summary.job.cancel_requested:
        return "from elsewhere (gswarm job cancel, the terminal UI or --overlap cancel-previous)"
    if summary.asked:
        return f"in part: gswarm queue ended {number_of(summary.asked, 'task')}"
    return "where it ran (Ctrl-C, or TERM to its process)"


def _at(job: JobRecord) -> str:
    return "" if job.pid is None else f" (process {job.pid} on {job.host})"


def _reason(summary: JobSummary) -> str:
    job = summary.job
    if job.error is not None:
        return output.first_line(job.error)
    if summary.failed is None:
        cancelled = summary.counts[State.CANCELLED]
        if not cancelled:
            return "see its log"
        return "a task was cancelled" if cancelled == 1 else f"{cancelled} tasks were cancelled"
    others = summary.counts[State.FAILED] - summary.tolerated - 1
    more = f" (and {others} more failed)" if others > 0 else ""
    return f"{summary.failed}: {output.first_line(summary.reason or 'failed')}{more}"


def _document(summary: JobSummary) -> dict[str, Any]:
    from gswarm_tui.state.export import job_fields

    failed = None
    if summary.failed is not None:
        failed = {"action_id": summary.failed, "error": summary.reason}
    return {
        **job_fields(summary.job),
        "tasks": {str(state): count for state, count in summary.counts.items()},
        "tolerated": summary.tolerated,
        "first_failure": failed,
    }
