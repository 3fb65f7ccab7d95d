"""`gswarm cron list`: what runs when, how the last run went, and why it failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from gswarm_tui.cli import cron_jobs, history, options, output
from gswarm_tui.cli.context import Settings, settings_of
from gswarm_tui.cli.cron_jobs import Installed

if TYPE_CHECKING:
    from gswarm_tui.cron.history import CronRun
    from gswarm_tui.state.overview import JobSummary


def list_(ctx: typer.Context, json: options.Json = False) -> None:
    """Show what runs when, how the last run went, and why it failed."""
    settings = settings_of(ctx)
    with history.open_history(ctx) as opened:
        rows = [_Row.of(one, settings, opened) for one in cron_jobs.all_installed()]
    if json:
        output.emit({"cron": [row.document() for row in rows]})
        return
    if not rows:
        output.say("nothing runs at set times: gswarm cron install PLAYBOOK")
        return
    output.table(
        ("name", "schedule", "next", "last run", "went", "playbook"), [row.cells() for row in rows]
    )
    command = history.command(settings)
    for row in rows:
        row.explain(command)


@dataclass(frozen=True, slots=True)
class _Row:
    """An entry with how its last run went.

    Args:
        job: the job of the last run, if it came to be one and is still known.
    """

    installed: Installed
    next: datetime | None
    last: CronRun | None
    job: JobSummary | None

    @classmethod
    def of(cls, installed: Installed, settings: Settings, opened: history.History) -> _Row:
        from gswarm_tui.cron.history import last
        from gswarm_tui.state.overview import summaries

        entry = installed.entry
        home = installed.home(settings)
        run = last(home.root / "cron", entry.name)
        record = None
        if run is not None and run.job is not None and home.root == opened.home.root:
            record = opened.jobs.get(run.job)
        found = [] if record is None else summaries(opened.database, [record])
        return cls(installed, cron_jobs.next_time(entry), run, next(iter(found), None))

    @property
    def went(self) -> str:
        """How the last run ended, in a word."""
        if self.last is None:
            return output.NOTHING
        if self.job is not None:
            return str(self.job.job.state)
        return self.last.went

    @property
    def why(self) -> str | None:
        """Why it did not succeed."""
        if self.last is None or self.went in ("succeeded", "running", "pending"):
            return None
        if self.last.went != "lost" and self.job is not None and self.job.failed is not None:
            return output.first_line(f"{self.job.failed}: {self.job.reason}")
        return self.last.why

    def cells(self) -> tuple[Any, ...]:
        entry = self.installed.entry
        return (
            entry.name,
            entry.schedule.text if entry.schedule is not None else "(not understood)",
            None if self.next is None else f"{self.next:%Y-%m-%d %H:%M}",
            output.moment(None if self.last is None else self.last.started_at),
            self.went,
            entry.playbook,
        )

    def explain(self, command: str) -> None:
        """Say why the last run did not succeed, and what tells more."""
        if self.why is None:
            return
        output.show(f"\n{self.installed.entry.name} {self.went}: {self.why}", prose=True)
        if self.job is not None:
            output.show(f"  all of it: {command} job show {self.job.job.id}")

    def document(self) -> dict[str, Any]:
        entry, last = self.installed.entry, self.last
        return {
            "name": entry.name,
            "where": self.installed.where,
            "schedule": None if entry.schedule is None else entry.schedule.text,
            "next": None if self.next is None else self.next.isoformat(),
            "playbook": entry.playbook,
            "command": entry.command,
            "folder": entry.folder,
            "last": None
            if last is None
            else {
                "started_at": last.started_at,
                "finished_at": last.finished_at,
                "state": self.went,
                "exit_code": last.exit_code,
                "job": last.job,
                "error": self.why,
            },
        }
