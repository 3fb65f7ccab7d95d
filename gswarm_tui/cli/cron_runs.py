"""Runs that cron started and that never came to be a job: the part of `gswarm jobs` on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from gswarm_tui.cli import output

if TYPE_CHECKING:
    from gswarm_tui.cron.history import CronRun
    from gswarm_tui.home import Home
    from gswarm_tui.state.jobs import Jobs
    from gswarm_tui.state.records import JobRecord

_AS_MEANT = ("succeeded", "skipped", "running")


@dataclass(frozen=True, slots=True)
class Failed:
    """One run of the cron job called ``name``."""

    name: str
    run: CronRun

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.run.went,
            "started_at": self.run.started_at,
            "finished_at": self.run.finished_at,
            "exit_code": self.run.exit_code,
            "error": self.run.why,
        }


def of_playbook(home: Home, jobs: Jobs, name: str) -> list[str]:
    """The cron job of that name, and those that run the playbook of that name: whatever they are
    called, the last job of theirs that is known says so."""
    from gswarm_tui.cron import history

    found = []
    for each in history.names(home.cron):
        known = (jobs.get(run.job) for run in history.runs(home.cron, each) if run.job is not None)
        last = next((job for job in known if job is not None), None)
        if name in (each, last and last.name):
            found.append(each)
    return found


def made(home: Home, jobs: Jobs, name: str) -> list[JobRecord]:
    """The jobs that are known of the cron job of that name, the newest first."""
    from gswarm_tui.cron import history

    ids = {run.job for run in history.runs(home.cron, name) if run.job is not None}
    found = map(jobs.get, sorted(ids, reverse=True))
    return [job for job in found if job is not None]


def failed(home: Home, *, names: Collection[str] | None, begin: datetime | None) -> list[Failed]:
    """Those that ended badly without a job, each name's newest first.

    Args:
        names: only those of these cron jobs.
        begin: only later ones.
    """
    from gswarm_tui.cron import history

    return [
        Failed(each, run)
        for each in history.names(home.cron)
        if names is None or each in names
        for run in history.runs(home.cron, each)
        if run.job is None
        and run.went not in _AS_MEANT
        and (begin is None or datetime.fromisoformat(run.started_at) >= begin)
    ]


def told(runs: Sequence[Failed], home: Home) -> Iterator[str]:
    """What is said of them, once of those that failed one after the other in the same way."""
    for (name, went, why), same in groupby(
        runs, key=lambda one: (one.name, one.run.went, one.run.why)
    ):
        moments = [output.moment(one.run.started_at) for one in same]
        when = moments[0]
        if len(moments) > 1:
            when = f"{len(moments)} times, {' to '.join(dict.fromkeys((moments[-1], when)))}"
        first, *others = (why or "see its log").splitlines()
        more = f" (and {output.number_of(len(others), 'more line')})" if others else ""
        yield ""
        yield f"cron job {name} {went}, {when}, and made no job: {first}{more}"
        log = home.logs / f"cron-{name}.log"
        if log.exists():
            yield f"  all of it: {log}"
