"""Runs that cron started and that never came to be a job: the part of `gswarm jobs` on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from gswarm_tui.cli import output

if TYPE_CHECKING:
    from gswarm_tui.cron.history import CronRun
    from gswarm_tui.home import Home

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


def failed(home: Home, *, name: str | None, begin: datetime | None) -> list[Failed]:
    """Those that ended badly without a job, each name's newest first.

    Args:
        name: only that cron job's.
        begin: only later ones.
    """
    from gswarm_tui.cron import history

    return [
        Failed(each, run)
        for each in history.names(home.cron)
        if name in (None, each)
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
            when = f"{len(moments)} times, {moments[-1]} to {moments[0]}"
        first, *others = (why or "see its log").splitlines()
        more = f" (and {output.number_of(len(others), 'more line')})" if others else ""
        yield ""
        yield f"cron job {name} {went}, {when}, and made no job: {first}{more}"
        log = home.logs / f"cron-{name}.log"
        if log.exists():
            yield f"  all of it: {log}"
