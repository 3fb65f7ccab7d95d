"""All jobs of the data directory, whoever began them, and the queue of their tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from gswarm_tui import wording
from gswarm_tui.state.states import State
from gswarm_tui.tui import job_acts
from gswarm_tui.tui.job_words import (
    briefly,
    counted,
    done_percent,
    queue_line,
    state_piece,
    tally,
    took_s,
    why,
)
from gswarm_tui.tui.moments import day_or_time, moment
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, bar, pieces
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.watch.snapshot import FleetSnapshot, Job

_ORDER = list(State)
_TASKS = 11
"""Columns for the tasks' counts."""
_NARROW = 96
"""Below so many columns names have the room of the reasons, which have a line below the list."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as it stands in the list; what changes with time alone is worked out already."""

    job: Job
    began: str
    took: str
    took_s: float | None = field(compare=False)


class JobsView(View):
    """The list of jobs."""

    WORD = "jobs"
    TITLE = "Jobs"
    SUMMARY = "All jobs of this data directory: begun here, by cron or in another terminal."
    ENTER = "the job"
    AUTO_FOCUS = "LineTable"
    CHANGES = frozenset({"cancel", "resume", "retry", "remove", "queue", "open_queue"})

    DEFAULT_CSS = """
    JobsView #queue { padding: 0 1; height: 1; }
    JobsView #details { padding: 0 1; height: 2; }
    JobsView.-narrow #details { height: 3; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "log", "Log"),
        Binding("C", "cancel", "Cancel"),
        Binding("r", "resume", "Resume"),
        Binding("R", "retry", "Retry"),
        Binding("X", "remove", "Remove"),
        Binding("n", "playbook", "New", tooltip="New: run a playbook"),
        Binding("p", "queue", "Pause the queue"),
        Binding("p", "open_queue", "Open the queue", tooltip="Open the queue again"),
        Binding("d", "describe", "Describe", show=False),
    ]

    COLUMNS: ClassVar = (
        Column[JobRow]("job", lambda r: str(r.job.id), 5, right=True, order=lambda r: -r.job.id),
        Column[JobRow](
            "state",
            lambda r: state_piece(r.job.state),
            11,
            order=lambda r: _ORDER.index(r.job.state),
        ),
        Column[JobRow]("name", lambda r: r.job.name, 34, share=2, order=lambda r: r.job.name),
        Column[JobRow]("user", lambda r: r.job.user or "", 8, least=130),
        Column[JobRow]("", lambda r: bar(done_percent(r.job), 10), 10, least=140),
        Column[JobRow]("tasks", lambda r: tally(r.job, _TASKS), _TASKS, least=70),
        Column[JobRow](
            "began",
            lambda r: Piece(r.began, Tone.DIM),
            6,
            order=lambda r: -r.job.created_at,
            least=110,
        ),
        Column[JobRow]("took", lambda r: r.took, 6, right=True, order=lambda r: r.took_s, least=78),
        Column[JobRow]("why", lambda r: why(r.job), 10, share=3, least=_NARROW),
    )

    def __init__(self, subject: str | None = None) -> None:
        super().__init__(subject)
        self._was_paused = False
        """What the keys were made for."""

    def body(self) -> Iterable[Widget]:
        yield Lines(id="queue")
        empty = "no job is there: n runs a playbook, so does gswarm run PLAYBOOK"
        yield LineTable(self.COLUMNS, lambda row: row.job.id, empty=empty)
        yield Lines(id="details")

    @property
    def table(self) -> LineTable[JobRow]:
        return self.query_one(LineTable)

    def show(self, snapshot: FleetSnapshot) -> None:
        if snapshot.queue_paused != self._was_paused:
            self._was_paused = snapshot.queue_paused
            self.refresh_bindings()
        self.query_one("#queue", Lines).show([queue_line(snapshot)])
        jobs = self.fitting(snapshot.jobs, _texts)
        self.table.show([_row(job, snapshot.time) for job in jobs])
        self._show_details()

    @on(LineTable.Moved)
    @on(LineTable.Marked)
    def _show_details(self) -> None:
        """The job under the cursor in whole words, and the keys that make sense for it."""
        vain = job_acts.vain(self.chosen())
        if vain != self.vain:
            self.vain = vain
            self.refresh_bindings()
        row, now = self.table.current, self.gswarm.snapshot.time
        narrow = self.size.width < _NARROW
        self.set_class(narrow, "-narrow")
        said = [] if row is None else _details(row.job, now, apart=narrow)
        self.query_one("#details", Lines).show(said)

    def on_resize(self, event: events.Resize) -> None:
        self.redraw()

    def chosen(self) -> Sequence[Job]:
        """The marked jobs, else the one under the cursor."""
        return [row.job for row in self.table.marked]

    # Keys

    @on(LineTable.Chosen)
    def _open(self, event: LineTable.Chosen) -> None:
        self.gswarm.open_view("job", str(event.row.job.id))

    def action_log(self) -> None:
        row = self.table.current
        if row is not None:
            self.gswarm.open_view("log", str(row.job.id))

    def action_describe(self) -> None:
        """Everything that is known of the marked ones, or of that under the cursor."""
        self.describe({f"job {job.id}": job for job in self.chosen()})

    def action_playbook(self) -> None:
        self.gswarm.open_view("playbooks")

    def action_cancel(self) -> None:
        self.gswarm.deeds.begin(lambda: job_acts.cancel(self.chosen()))

    def action_resume(self) -> None:
        job_acts.go_on(self.gswarm.deeds, self.chosen())

    def action_retry(self) -> None:
        self.gswarm.deeds.begin(lambda: job_acts.retry(self.chosen()))

    def action_remove(self) -> None:
        self.gswarm.deeds.begin(lambda: job_acts.remove(self.chosen()))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("queue", "open_queue"):
            return (action == "open_queue") == bool(self.gswarm.snapshot.queue_paused)
        return super().check_action(action, parameters)

    def action_open_queue(self) -> None:
        self.action_queue()

    def action_queue(self) -> None:
        now = self.gswarm.snapshot
        self.gswarm.deeds.begin(lambda: job_acts.hold_queue(now.jobs, paused=now.queue_paused))


def _row(job: Job, now: float) -> JobRow:
    began = day_or_time(job.started_at or job.created_at, now)
    seconds = took_s(job.started_at, job.finished_at, now)
    return JobRow(job, began, briefly(seconds), seconds)


def _details(job: Job, now: float, *, apart: bool) -> list[Cell]:
    """All that the columns cut: the whole name, when, by whom, the counts in words, why.

    Args:
        apart: whether the reason has a line of its own.
    """
    seconds = took_s(job.started_at, job.finished_at, now)
    since = (
        f"{'begun' if job.started_at else 'made'} {moment(job.started_at or job.created_at, now)}"
    )
    said = [since, *([f"took {wording.roughly(seconds)}"] if job.finished_at else [])]
    said += [f"for {job.user}"] if job.user else []
    name: Cell = [Piece(job.name, Tone.TITLE), Piece(f"  {', '.join(said)}", Tone.DIM)]
    counts = pieces(counted(job))
    return [name, counts, why(job)] if apart else [name, [*counts, Piece("  "), why(job)]]


def _texts(job: Job) -> Iterable[str | None]:
    """What the filter looks at."""
    return (str(job.state), job.name, job.user, str(job.id), job.waiting, job.error, *job.running)
