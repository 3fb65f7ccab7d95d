"""The jobs that commands are about: the open database, and the job that is meant."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gswarm_tui.cli.context import Settings, settings_of
from gswarm_tui.errors import UsageError

if TYPE_CHECKING:
    from gswarm_tui.home import Home
    from gswarm_tui.state.database import Database
    from gswarm_tui.state.jobs import Jobs
    from gswarm_tui.state.queue import Queue
    from gswarm_tui.state.records import JobRecord, TaskRecord

JobId: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="The job's number, or last.")]


@dataclass(frozen=True, slots=True)
class History:
    """The controller's database, open, and what is asked of it."""

    home: Home
    database: Database
    jobs: Jobs
    queue: Queue

    def job(self, written: str) -> JobRecord:
        """The job that is meant: its number, or ``last``.

        Raises:
            UsageError: there is none.
        """
        number = written.removeprefix("#")
        if written == "last":
            found = next(iter(self.jobs.recent(limit=1)), None)
        elif number.isascii() and number.isdecimal() and len(number) < 19:
            found = self.jobs.get(int(number))
        else:
            message = f"{written!r} is no job: its number is meant, or `last`"
            named = written.isprintable() and self.jobs.recent(name=written, limit=1)
            which = f" --name {shlex.quote(written)}" if named else ""
            raise UsageError(message, hint=f"gswarm jobs{which} lists them")
        if found is None and written == "last":
            raise UsageError("there is no job yet", hint="gswarm run PLAYBOOK makes one")
        if found is None:
            raise UsageError(f"there is no job {number}", hint="gswarm jobs lists them")
        return found

    def task(self, job: JobRecord, action_id: str) -> TaskRecord:
        """A task of a job.

        Raises:
            UsageError: it has none of that id.
        """
        from gswarm_tui.nearest import did_you_mean

        tasks = {task.action_id: task for task in self.jobs.tasks(job.id)}
        if action_id not in tasks:
            meant = did_you_mean(action_id, tasks)
            raise UsageError(
                f"job {job.id} has no task `{action_id}`{meant}",
                hint=f"gswarm job show {job.id} lists them",
            )
        return tasks[action_id]


@contextmanager
def open_history(ctx: typer.Context) -> Iterator[History]:
    """Open the database, and mark what has lost its process.

    Raises:
        StateError: it cannot be used.
    """
    from gswarm_tui.state.database import Database
    from gswarm_tui.state.jobs import Jobs
    from gswarm_tui.state.queue import Queue

    home = settings_of(ctx).home()
    with Database(home.database) as database:
        jobs = Jobs(database)
        jobs.mark_lost()
        yield History(home, database, jobs, Queue(database))


def command(settings: Settings) -> str:
    """How `gswarm` is called to see the same fleet and the same jobs."""
    return shlex.join(["gswarm", *settings.options()])


def is_interactive() -> bool:
    """Whether somebody can be asked: both ends are a terminal."""
    return os.isatty(0) and os.isatty(2)
