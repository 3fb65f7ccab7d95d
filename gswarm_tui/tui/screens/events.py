"""Everything that happened, the newest at the top."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from textual import on
from textual.widget import Widget

from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.views import SUBJECTS
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.watch.snapshot import Event, FleetSnapshot

_TONES = {"info": Tone.PLAIN, "warning": Tone.WARN, "error": Tone.BAD}


class EventsView(View):
    """What nodes, jobs and the user did."""

    WORD = "events"
    TITLE = "Events"
    SUMMARY = "Everything that happened, the newest first; y copies the command that does the same."

    COLUMNS: ClassVar = (
        Column[Event]("time", lambda e: Piece(_time(e.time), Tone.DIM), 15),
        Column[Event]("level", lambda e: Piece(e.level, _TONES[e.level]), 7),
        Column[Event]("about", lambda e: e.about, 12, share=1, order=lambda e: e.about),
        Column[Event]("what", lambda e: e.text, 20, share=3),
        Column[Event]("command", lambda e: Piece(e.command or "", Tone.DIM), 9, 2, least=100),
    )

    def body(self) -> Iterable[Widget]:
        yield LineTable(self.COLUMNS, _key, empty="nothing has happened yet")

    def show(self, snapshot: FleetSnapshot) -> None:
        wanted = self.filter.lstrip("!").casefold()
        inverse = self.filter.startswith("!")
        found = (event for event in snapshot.events if (wanted in _text(event)) != inverse)
        self.query_one(LineTable).show(list(found)[::-1])

    @on(LineTable.Chosen)
    def _chosen(self, chosen: LineTable.Chosen) -> None:
        """Go to what it is about, while that is there."""
        event: Event = chosen.row
        word, _, rest = event.about.partition(" ")
        for view, name in ((word, rest), ("node", event.about), ("model", event.about)):
            if view in SUBJECTS and name in SUBJECTS[view](self.gswarm.snapshot):
                self.gswarm.open_view(view, name)
                return


def _key(event: Event) -> tuple[float, str, str]:
    return (event.time, event.about, event.text)


def _text(event: Event) -> str:
    """What the filter looks at."""
    return f"{event.level} {event.about} {event.text} {event.command or ''}".casefold()


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%d %b %H:%M:%S")
