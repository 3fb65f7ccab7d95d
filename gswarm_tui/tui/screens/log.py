"""The log of a job, or of an attempt of one of its tasks, as it grows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.tui.widgets.log_text import LogText
from gswarm_tui.watch.snapshot import FleetSnapshot


@dataclass(frozen=True, slots=True)
class LogName:
    """Which log: ``17``, ``17/fetch`` (its newest attempt) or ``17/fetch#2``."""

    job_id: int
    task: str | None = None
    attempt: int | None = None

    @classmethod
    def read(cls, subject: str) -> LogName:
        job, slash, rest = subject.partition("/")
        task, sign, number = rest.rpartition("#")
        if sign and number.isascii() and number.isdecimal():
            return cls(int(job), task, int(number))
        return cls(int(job), rest if slash else None)


class LogView(View):
    """A log; `/` searches in it."""

    WORD = "log"
    TITLE = "Log"
    SUMMARY = "The log of a job or of a task, as it grows; / searches, n and N go on searching."
    AUTO_FOCUS = "LogText"
    KEYED = (LogText,)

    DEFAULT_CSS = """
    LogView #which { padding: 0 1; height: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Search", key_display="/"),
        Binding("escape", "clear_filter", "Clear search", key_display="esc"),
        Binding("escape", "back", "Back", key_display="esc"),
        Binding("n", "next(1)", "Next", show=False),
        Binding("N", "next(-1)", "Previous", show=False),
        Binding("f", "follow", "Follow"),
        Binding("left_square_bracket", "attempt(-1)", "Attempt before", show=False),
        Binding("right_square_bracket", "attempt(1)", "Attempt after", show=False),
    ]

    def __init__(self, subject: str | None = None) -> None:
        super().__init__(subject)
        self.which = LogName.read(subject or "0")
        self._attempt: int | None = None
        """The attempt whose log is shown; None before it is known."""

    def body(self) -> Iterable[Widget]:
        yield Lines(id="which")
        yield LogText()

    @property
    def text(self) -> LogText:
        return self.query_one(LogText)

    @property
    def job_in_focus(self) -> int | None:
        return self.which.job_id

    def on_mount(self) -> None:
        self.gswarm.refocus()

    def on_unmount(self) -> None:
        self.gswarm.refocus()

    def note(self) -> str:
        return f"   looking for: {self.filter}" if self.filter else ""

    def show(self, snapshot: FleetSnapshot) -> None:
        wanted = self._wanted(snapshot)
        if wanted is not None and wanted != self._attempt:
            self._attempt = wanted
            self.text.clear()
            self.run_worker(self._read(wanted), group="log", exclusive=True)
        self.text.look_for(self.filter)
        self._tell()

    def _wanted(self, snapshot: FleetSnapshot) -> int | None:
        """The attempt that is to be shown: that which was asked for, else the newest."""
        if self.which.task is None:
            return 0
        return self.which.attempt or self._newest(snapshot)

    def _newest(self, snapshot: FleetSnapshot) -> int | None:
        details = snapshot.job_details
        if details is None or details.job != self.which.job_id or self.which.task is None:
            return None
        task = details.task(self.which.task)
        return None if task is None else max(1, task.attempt)

    async def _read(self, attempt: int) -> None:
        async for text in self.gswarm.source.log(self.which.job_id, self.which.task, attempt):
            self.text.add(text)

    @on(LogText.Changed)
    def _tell(self) -> None:
        self.query_one("#which", Lines).show([self._said()])

    def _said(self) -> Cell:
        text, newest = self.text, self._newest(self.gswarm.snapshot)
        said = [Piece(f"job {self.which.job_id}", Tone.TITLE)]
        if self.which.task is not None:
            of = f" of {newest}" if newest else ""
            said.append(Piece(f"  {self.which.task}", Tone.TITLE))
            said.append(Piece(f"  attempt {self._attempt or '?'}{of}", Tone.DIM))
        said.append(
            Piece("  ▼ following", Tone.GOOD)
            if text.following
            else Piece("  ‖ not following: f", Tone.WARN)
        )
        lines = f"{text.line_count} lines" if text.line_count else "nothing is in it yet"
        said.append(Piece(f"  {lines}", Tone.DIM))
        if self.filter:
            at, count = text.found
            found = f"  {at} of {count}" if count else "  nothing has that"
            said.append(Piece(f"{found}", Tone.BUSY if count else Tone.WARN))
        return said

    # Keys

    def action_next(self, by: int) -> None:
        self.text.go_to_found(by)

    def action_follow(self) -> None:
        self.text.follow(not self.text.following)

    def action_attempt(self, by: int) -> None:
        """The log of another attempt of the task."""
        newest = self._newest(self.gswarm.snapshot)
        if self.which.task is not None and newest and self._attempt:
            attempt = max(1, min(newest, self._attempt + by))
            self.which = LogName(self.which.job_id, self.which.task, attempt)
            self.redraw()
