"""One job: its tasks as a graph, and all that is known of the task under the cursor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from gswarm_tui import wording
from gswarm_tui.state.states import ENDED
from gswarm_tui.tui import job_acts
from gswarm_tui.tui.job_graph import (
    CHAIN,
    Known,
    Layout,
    about,
    lay_out,
    looked_for,
    rows,
    states_of,
    structure,
    told_of,
)
from gswarm_tui.tui.job_words import counted, state_piece, took_s
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, pieces
from gswarm_tui.tui.widgets.graph import Graph
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.lines import Lines, wrapped
from gswarm_tui.watch.details import JobDetails, JobTask, longest_chain
from gswarm_tui.watch.snapshot import FleetSnapshot, Job

_NAMES = 11
_MOST_LINES = 200
"""Of an error; the rest is in the log."""
_LONGEST = 20_000
_READ_S = 5.0
"""Within so long a picture has a job that there is, also one that is not among the newest."""


class JobView(View):
    """A job by its number."""

    WORD = "job"
    TITLE = "Job"
    SUMMARY = f"A job's tasks, from the first to the last; {CHAIN} marks those that take longest."
    ENTER = "the log of the task; unfold what is folded"
    FILTERS = False
    AUTO_FOCUS = "Graph"
    CHANGES = frozenset({"cancel", "cancel_task", "resume", "retry", "retry_from", "remove"})

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (150, "-wide")]  # noqa: RUF012 - Textual's

    DEFAULT_CSS = """
    JobView #job { padding: 0 1; }
    JobView #both { height: 1fr; layout: vertical; }
    JobView #task { padding: 0 1; max-height: 45%; border-top: solid $primary-muted; }
    JobView.-wide #both { layout: horizontal; }
    JobView.-wide #task {
        width: 45%; height: 100%; max-height: 100%; border-top: none;
        border-left: solid $primary-muted;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "log", "Log"),
        Binding("L", "job_log", "Log of the job", show=False),
        Binding("f", "fold", "Fold", show=False),
        Binding("c", "cancel_task", "Cancel task"),
        Binding("C", "cancel", "Cancel"),
        Binding("r", "resume", "Resume"),
        Binding("R", "retry", "Retry"),
        Binding("F", "retry_from", "Again from here", show=False),
        Binding("X", "remove", "Remove", show=False),
        Binding("d", "describe", "Describe", show=False),
    ]

    def __init__(self, subject: str | None = None) -> None:
        super().__init__(subject)
        self._layout: tuple[tuple[object, ...], Layout] | None = None
        self._unfolded: set[str] = set()
        self._known: Known = {}
        self._is_turned = False
        """Whether the cursor was put on the task that the job is opened for."""
        self._first_at: float | None = None
        """The time of the first picture that was drawn."""
        self._was_there = False

    @property
    def job_id(self) -> int:
        return int(self.subject or 0)

    def body(self) -> Iterable[Widget]:
        yield Lines(id="job")
        with Container(id="both"):
            yield Graph(empty="its tasks are being read")
            yield Lines(id="task")

    @property
    def job_in_focus(self) -> int | None:
        return self.job_id

    def on_mount(self) -> None:
        self.gswarm.refocus()

    def on_unmount(self) -> None:
        self.gswarm.refocus()

    def on_resize(self, event: events.Resize) -> None:
        self.redraw()

    # Drawing

    def show(self, snapshot: FleetSnapshot) -> None:
        job, details = snapshot.job(self.job_id), self._details(snapshot)
        self._was_there |= job is not None or details is not None
        if self._first_at is None and snapshot.time:
            self._first_at = snapshot.time
        gone = self._gone(snapshot)
        self.query_one(Graph).instead = "" if gone is None else "Esc goes back"
        chain, seconds = ((), 0.0) if details is None else longest_chain(details, snapshot.time)
        facts = self.query_one("#job", Lines)
        goes_on = job is not None and job.state not in ENDED
        known = [gone] if gone is not None else _facts(job, details, snapshot.time)
        facts.show([*known, *_chain(chain, seconds, goes_on)])
        if details is None:
            self.query_one(Graph).show([])
        else:
            layout = self._laid_out(details)
            width = self.query_one(Graph).size.width or self.size.width
            self.query_one(Graph).show(
                rows(layout, details, set(chain), snapshot.time, width, self._known)
            )
            self._turn(layout, details)
        self._show_task(snapshot)

    def _turn(self, layout: Layout, details: JobDetails) -> None:
        """Put the cursor, once, on the task that the job is opened for."""
        graph = self.query_one(Graph)
        if not self._is_turned and details.tasks and graph.size.height:
            self._is_turned = True
            step = looked_for(layout, details)
            if step is not None:
                graph.turn_to(step)

    def _details(self, snapshot: FleetSnapshot) -> JobDetails | None:
        """Those of this job: a picture may still have another one's."""
        details = snapshot.job_details
        return details if details is not None and details.job == self.job_id else None

    def _gone(self, snapshot: FleetSnapshot) -> str | None:
        """That there is no such job, where that is so."""
        if snapshot.job(self.job_id) is not None or self._details(snapshot) is not None:
            return None
        if self._was_there:
            return f"job {self.job_id} was removed"
        if self._first_at is None or snapshot.time - self._first_at < _READ_S:
            return None
        return f"there is no job {self.job_id}"

    def _laid_out(self, details: JobDetails) -> Layout:
        shape = structure(details, self._unfolded)
        if self._layout is None or self._layout[0] != shape:
            self._layout = (shape, lay_out(details, self._unfolded))
        return self._layout[1]

    def _show_task(self, snapshot: FleetSnapshot) -> None:
        vain = job_acts.vain(self._job)
        if "cancel" in vain or all(task.state in ENDED for task in self._under_cursor):
            vain |= {"cancel_task"}
        if vain != self.vain:
            self.vain = vain
            self.refresh_bindings()
        pane, details, task = self.query_one("#task", Lines), self._details(snapshot), self.current
        if task is None or details is None:
            pane.show([])
            return
        width = max(20, (pane.size.width or self.size.width) - _NAMES - 4)
        lines: list[Cell] = []
        group = self._under_cursor
        if len(group) > 1:
            lines.append(Piece(f"{self.query_one(Graph).step} × {len(group)}", Tone.TITLE))
            lines += [*_wrapped("tasks", states_of(group), width), "one of them:"]
        lines.append(Piece(task.id, Tone.TITLE))
        for name, value in about(task, details, snapshot.time):
            lines += _wrapped(name, value, width)
        pane.show(lines)

    @on(LineTable.Moved)
    def _moved(self) -> None:
        self._show_task(self.gswarm.snapshot)

    @property
    def current(self) -> JobTask | None:
        """The task under the cursor; of several that are shown as one, that which is told of."""
        tasks = self._under_cursor
        return told_of(tasks) if tasks else None

    @property
    def _under_cursor(self) -> list[JobTask]:
        """The tasks that the step under the cursor stands for."""
        details, step = self._details(self.gswarm.snapshot), self.query_one(Graph).step
        if details is None or step is None or self._layout is None:
            return []
        members = set(self._layout[1].members.get(step, ()))
        return [task for task in details.tasks if task.id in members]

    # Keys

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        if event.row.folded:
            self.action_fold()
        else:
            self.action_log()

    def action_log(self) -> None:
        """The log of the task under the cursor; the job's where it has none."""
        task = self.current
        if task is None or not task.attempt:
            self.action_job_log()
        else:
            self.gswarm.open_view("log", f"{self.job_id}/{task.id}")

    def action_job_log(self) -> None:
        self.gswarm.open_view("log", str(self.job_id))

    def action_fold(self) -> None:
        """Show every task of a ``for_each``, or all as one again."""
        step = self.query_one(Graph).step
        if step is not None:
            self._unfolded ^= {step.partition("[")[0]}
            self.redraw()

    def action_describe(self) -> None:
        task = self.current
        if task is not None:
            self.describe({f"{task.id} of job {self.job_id}": task})

    def holds_back(self, action: str) -> bool:
        gone = self._gone(self.gswarm.snapshot)
        if action in self.CHANGES and gone is not None and self.gswarm.deeds.refusal is None:
            self.gswarm.deeds.tell("that cannot be done", gone)
            return True
        return super().holds_back(action)

    @property
    def _job(self) -> list[Job]:
        job = self.gswarm.snapshot.job(self.job_id)
        return [] if job is None else [job]

    def action_cancel(self) -> None:
        self.gswarm.deeds.begin(lambda: job_acts.cancel(self._job))

    def action_cancel_task(self) -> None:
        """End the task under the cursor; of a folded ``for_each``, all that have not ended."""
        tasks, details = self._under_cursor, self._details(self.gswarm.snapshot)
        step = self.query_one(Graph).step
        if tasks and step is not None and details is not None:
            self.gswarm.deeds.begin(
                lambda: job_acts.cancel_tasks(self.job_id, step, tasks, details)
            )

    def action_resume(self) -> None:
        job_acts.go_on(self.gswarm.deeds, self._job)

    def action_retry(self) -> None:
        self.gswarm.deeds.begin(lambda: job_acts.retry(self._job))

    def action_retry_from(self) -> None:
        """Do the task under the cursor again, and all that need it."""
        task = self.current
        if task is not None:
            details = self._details(self.gswarm.snapshot)
            self.gswarm.deeds.begin(lambda: job_acts.retry(self._job, task.id, details))

    def action_remove(self) -> None:
        self.gswarm.deeds.begin(lambda: job_acts.remove(self._job))


def _facts(job: Job | None, details: JobDetails | None, now: float) -> Iterator[Cell]:
    """What is known of the job itself."""
    if job is None:
        yield Piece("this job is not among the newest ones" if details else "it is being read")
    else:
        seconds = took_s(job.started_at, job.finished_at, now)
        said = [state_piece(job.state), Piece(f"  {job.name}  ", Tone.TITLE)]
        said += [*pieces(counted(job)), Piece(f"  {wording.roughly(seconds)}")]
        yield [*said, Piece(f"  for {job.user}" if job.user else "", Tone.DIM)]
        if job.error:
            yield Piece(wording.first_line(job.error), Tone.BAD)
        elif job.waiting:
            yield Piece(job.waiting, Tone.WARN)
    if details is not None:
        process = f", {details.process}" if details.process else ""
        yield Piece(f"{details.playbook}, priority {details.priority}{process}", Tone.DIM)


def _chain(chain: tuple[str, ...], seconds: float, goes_on: bool) -> Iterator[Cell]:
    if chain:
        names = " → ".join(chain if len(chain) < 9 else (*chain[:4], "…", *chain[-4:]))
        said = "longest so far" if goes_on else "took longest"
        spent = wording.roughly(
            float(int(seconds)) if goes_on else seconds
        )  # as those of its tasks
        yield [Piece(f"{CHAIN} ", Tone.BUSY), Piece(f"{said}, {spent}: {names}")]


def _wrapped(name: str, value: Piece, width: int) -> Iterator[Cell]:
    """A name and a text, which may have many lines."""
    for number, text in enumerate(wrapped(value.text[:_LONGEST], width)[:_MOST_LINES]):
        title = name if number == 0 else ""
        yield [Piece(f"{title:<{_NAMES}} ", Tone.DIM), Piece(text, value.tone)]
