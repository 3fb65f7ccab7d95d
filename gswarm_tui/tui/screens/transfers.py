"""Every download and copy under way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from textual import events, on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from gswarm_tui import wording
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.tui.widgets.transfer_table import TransferTable
from gswarm_tui.watch.snapshot import FleetSnapshot, Job, Transfer

_SLOTS: Final = "queue.max_transfers_per_node"
"""In the sentence of a job that waits until fewer transfers run on a node."""
_NARROW: Final = 100
"""Below so many columns the way of a transfer has a line of its own below the list."""


class TransfersView(View):
    """From where to where, how fast, for how long still, and what limits it."""

    WORD = "transfers"
    TITLE = "Transfers"
    SUMMARY = "Every download and copy: from where to where, rate, time left, what limits it."
    ENTER = "its job, or all that is known of it"
    AUTO_FOCUS = "TransferTable"

    DEFAULT_CSS = """
    TransfersView #sum { height: 1; margin: 0 1; }
    TransfersView #details { margin: 1 1 0 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "sort", "Sort"),
        Binding("d", "describe", "Describe"),
    ]

    def body(self) -> Iterable[Widget]:
        yield Lines(id="sum")
        yield TransferTable()
        yield Lines(id="details")

    @property
    def table(self) -> TransferTable:
        return self.query_one(TransferTable)

    def show(self, snapshot: FleetSnapshot) -> None:
        self.table.show(self.fitting(snapshot.transfers, _texts))
        of = len(snapshot.transfers) if self.filter else None
        self.query_one("#sum", Lines).show([_sum(self.table.rows, of, snapshot.jobs)])
        self._show_details()

    @on(LineTable.Moved)
    def _show_details(self) -> None:
        now = self.gswarm.snapshot.time
        apart = self.size.width < _NARROW
        self.query_one("#details", Lines).show(_details(self.table.current, now, apart=apart))

    def on_resize(self, event: events.Resize) -> None:
        self.redraw()

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        """Go to its job, where it has one."""
        if event.row.job is None:
            self.action_describe()
        else:
            self.gswarm.open_view("job", str(event.row.job))

    def action_describe(self) -> None:
        """Everything that is known of the marked ones, or of that under the cursor."""
        self.describe({f"{each.model} to {each.target}": each for each in self.table.marked})


def _texts(transfer: Transfer) -> Iterable[str]:
    """What the filter looks at."""
    return (transfer.model, transfer.source, transfer.target, transfer.phase)


def _sum(transfers: Iterable[Transfer], of: int | None, jobs: Iterable[Job]) -> Cell:
    """How many there are, how fast all of them are together, and who waits for a slot.

    Args:
        transfers: those that are shown.
        of: how many there are in all, where a filter leaves some out.
    """
    found = list(transfers)
    rate = sum(each.rate_bytes_per_s or 0.0 for each in found)
    noun = "transfer" if (len(found) if of is None else of) == 1 else "transfers"
    count = len(found) if of is None else f"{len(found)} of {of}"
    together = Piece(f"{count} {noun}, {wording.size(rate)}/s together", Tone.DIM)
    waiting = [job for job in jobs if _SLOTS in (job.waiting or "")]
    if not waiting:
        return together
    first, more = waiting[0], len(waiting) - 1
    others = f" (and {more} more)" if more else ""
    return [together, Piece(f"; job {first.id}{others}: {first.waiting}", Tone.WARN)]


def _details(transfer: Transfer | None, now: float, *, apart: bool) -> list[Cell]:
    """The transfer under the cursor, in three lines, or four.

    Args:
        apart: whether its way has a line of its own.
    """
    if transfer is None:
        return [""] * (4 if apart else 3)
    for_s = "" if transfer.started_at is None else _for(now - transfer.started_at)
    job = "" if transfer.job is None else f", job {transfer.job}: Enter goes there"
    limit = transfer.limit or "it is not clear"
    done = f"{wording.size(transfer.done_bytes)} of {wording.size(transfer.total_bytes)}"
    name, way = Piece(transfer.model, Tone.TITLE), f"  {transfer.source} → {transfer.target}"
    named: list[Cell] = [name, way] if apart else [[name, Piece(way)]]
    return [
        *named,
        f"  {transfer.phase}{for_s}: {done}{job}",
        Piece(f"  what limits it: {limit}", Tone.DIM),
    ]


def _for(seconds: float) -> str:
    return f" for {wording.roughly(max(0.0, seconds))}"
