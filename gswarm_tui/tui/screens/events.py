"""Everything that happened, the newest at the top."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from textual import events, on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from gswarm_tui.tui.moments import day_and_time
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.views import SUBJECTS
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.tui.widgets.lines import Lines, wrapped
from gswarm_tui.watch.snapshot import Event, FleetSnapshot

_TONES = {"info": Tone.PLAIN, "warning": Tone.WARN, "error": Tone.BAD}
_LINES: Final = range(3, 9)
"""So many lines are below the table, as a fifth of the terminal allows."""


class EventsView(View):
    """What nodes, jobs and the user did."""

    WORD = "events"
    TITLE = "Events"
    SUMMARY = "Everything that happened, the newest first; y copies the command that does the same."
    ENTER = "what it is about"

    AUTO_FOCUS = "LineTable"

    DEFAULT_CSS = """
    EventsView #details { margin: 1 1 0 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "sort", "Sort"),
        Binding("y", "app.copy_command", "Copy the command"),
        Binding("d", "describe", "Describe"),
    ]

    COLUMNS: ClassVar = (
        Column[Event]("time", lambda e: Piece(day_and_time(e.time), Tone.DIM), 15),
        Column[Event]("level", lambda e: Piece(e.level, _TONES[e.level]), 7),
        Column[Event]("about", lambda e: e.about, 12, share=1, most=24, order=lambda e: e.about),
        Column[Event]("what", lambda e: e.text, 20, share=4),
        Column[Event]("command", lambda e: Piece(e.command or "", Tone.DIM), 9, 2, least=130),
    )

    def body(self) -> Iterable[Widget]:
        yield LineTable(self.COLUMNS, _key, empty="nothing has happened yet")
        yield Lines(id="details")

    def show(self, snapshot: FleetSnapshot) -> None:
        self.query_one(LineTable).show(self.fitting(reversed(snapshot.events), _texts))
        self._show_details()
        self.gswarm.read_errors()

    @on(LineTable.Moved)
    def _show_details(self) -> None:
        """The event under the cursor in whole sentences, and its command."""
        lines = max(_LINES[0], min(1 + self.size.height // 5, _LINES[-1]))
        event = self.query_one(LineTable).current
        said = [] if event is None else _details(event, max(1, self.size.width - 4), lines)
        self.query_one("#details", Lines).show([*said, *([""] * (lines - len(said)))])

    def on_resize(self, event: events.Resize) -> None:
        self.redraw()

    @on(LineTable.Chosen)
    def _chosen(self, chosen: LineTable.Chosen) -> None:
        """Go to what it is about, while that is there."""
        event: Event = chosen.row
        word, _, rest = event.about.partition(" ")
        for view, name in ((word, rest), ("node", event.about), ("model", event.about)):
            if view in SUBJECTS and name in SUBJECTS[view].names(self.gswarm.snapshot):
                self.gswarm.open_view(view, name)
                return
        self.action_describe()

    def action_describe(self) -> None:
        """Everything that is known of the marked ones, or of that under the cursor."""
        rows: list[Event] = self.query_one(LineTable).marked
        self.describe({f"{day_and_time(row.time)} {row.about}": row for row in rows})


def _key(event: Event) -> tuple[float, str, str]:
    return (event.time, event.about, event.text)


def _details(event: Event, width: int, lines: int) -> list[Cell]:
    """An event in at most so many lines; the command has its own ones first."""
    command = wrapped(event.command, width)[: lines - 2] if event.command else []
    text = wrapped(event.text, width)
    room = lines - 1 - len(command)
    if len(text) > room:
        said = " … d has all"
        text = [*text[: room - 1], text[room - 1][: width - len(said)] + said]
    return [
        [Piece(event.about, Tone.TITLE), Piece(f"  {day_and_time(event.time)}", Tone.DIM)],
        *(Piece(f"  {line}", _TONES[event.level]) for line in text),
        *(Piece(f"  {line}", Tone.DIM) for line in command),
    ]


def _texts(event: Event) -> Iterable[str | None]:
    """What the filter looks at."""
    return (event.level, event.about, event.text, event.command)
