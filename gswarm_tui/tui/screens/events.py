"""Everything that happened, the newest at the bottom."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from textual.widget import Widget

from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.watch.snapshot import Event, FleetSnapshot

_TONES = {"info": Tone.PLAIN, "warning": Tone.WARN, "error": Tone.BAD}


class EventsView(View):
    """What nodes, jobs and the user did."""

    WORD = "events"
    TITLE = "Events"
    SUMMARY = "Everything that happened, and the command that does the same."

    COLUMNS: ClassVar = (
        Column[Event]("time", lambda e: Piece(_time(e.time), Tone.DIM), 8),
        Column[Event]("level", lambda e: Piece(e.level, _TONES[e.level]), 7),
        Column[Event]("about", lambda e: e.about, 12, share=1, order=lambda e: e.about),
        Column[Event]("what", lambda e: e.text, 20, share=3),
        Column[Event]("command", lambda e: Piece(e.command or "", Tone.DIM), 9, 2, least=100),
    )

    def body(self) -> Iterable[Widget]:
        yield LineTable(self.COLUMNS, lambda e: (e.time, e.text), empty="nothing has happened yet")

    def show(self, snapshot: FleetSnapshot) -> None:
        wanted = self.filter.lstrip("!").casefold()
        inverse = self.filter.startswith("!")
        self.query_one(LineTable).show(
            [e for e in snapshot.events if (wanted in f"{e.about} {e.text}".casefold()) != inverse]
        )


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%H:%M:%S")
