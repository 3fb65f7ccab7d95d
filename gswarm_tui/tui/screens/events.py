"""Everything that happened, the newest at the top."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from gswarm_tui.tui.moments import day_and_time
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.views import SUBJECTS
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.watch.filters import plain
from gswarm_tui.watch.snapshot import Event, FleetSnapshot

_TONES = {"info": Tone.PLAIN, "warning": Tone.WARN, "error": Tone.BAD}


class EventsView(View):
    """What nodes, jobs and the user did."""

    WORD = "events"
    TITLE = "Events"
    SUMMARY = "Everything that happened, the newest first; y copies the command that does the same."
    ENTER = "what it is about"

    AUTO_FOCUS = "LineTable"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "sort", "Sort"),
        Binding("y", "app.copy_command", "Copy the command"),
        Binding("d", "describe", "Describe"),
    ]

    COLUMNS: ClassVar = (
        Column[Event]("time", lambda e: Piece(day_and_time(e.time), Tone.DIM), 15),
        Column[Event]("level", lambda e: Piece(e.level, _TONES[e.level]), 7),
        Column[Event]("about", lambda e: e.about, 12, share=1, order=lambda e: e.about),
        Column[Event]("what", lambda e: e.text, 20, share=3),
        Column[Event]("command", lambda e: Piece(e.command or "", Tone.DIM), 9, 2, least=100),
    )

    def body(self) -> Iterable[Widget]:
        yield LineTable(self.COLUMNS, _key, empty="nothing has happened yet")

    def show(self, snapshot: FleetSnapshot) -> None:
        fits = plain(self.filter)
        self.query_one(LineTable).show(
            [event for event in reversed(snapshot.events) if fits(_texts(event))]
        )
        self.gswarm.read_errors()

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


def _texts(event: Event) -> Iterable[str | None]:
    """What the filter looks at."""
    return (event.level, event.about, event.text, event.command)
