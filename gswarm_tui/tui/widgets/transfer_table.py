"""Bytes under way, a line for each download and copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gswarm_tui import wording
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, bar
from gswarm_tui.tui.widgets.column import as_wide_as
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.watch.snapshot import Transfer


class TransferTable(LineTable[Transfer]):
    """A line for each transfer."""

    def __init__(self) -> None:
        super().__init__(
            _COLUMNS,
            lambda transfer: (transfer.model, transfer.target, transfer.source),
            empty="nothing is on its way",
        )

    def show(self, rows: Sequence[Transfer]) -> None:
        """Show these, in columns that are no wider than what stands in them."""
        self.set_columns(as_wide_as(_COLUMNS, rows))
        super().show(rows)


def share(transfer: Transfer) -> float | None:
    """How much is done, in per cent; None where that is not known."""
    if transfer.done_bytes is None or not transfer.total_bytes:
        return None
    return 100 * transfer.done_bytes / transfer.total_bytes


def left_s(transfer: Transfer) -> float | None:
    """The seconds that it takes still, at the rate of now."""
    if None in (transfer.done_bytes, transfer.total_bytes) or not transfer.rate_bytes_per_s:
        return None
    left = (transfer.total_bytes or 0) - (transfer.done_bytes or 0)
    return max(0, left) / transfer.rate_bytes_per_s


def _bar(transfer: Transfer) -> Cell:
    return bar(share(transfer), 8, Tone.BUSY)


def _done(transfer: Transfer) -> Cell:
    done = share(transfer)
    return wording.NOTHING if done is None else f"{min(done, 100.0):.0f} %"


def _total(transfer: Transfer) -> Cell:
    return wording.size(transfer.total_bytes)


def _rate(transfer: Transfer) -> Cell:
    rate = transfer.rate_bytes_per_s
    if rate is None:
        return Piece(transfer.phase[:9], Tone.DIM)
    return f"{wording.size(rate)}/s" if rate else Piece("stalled", Tone.WARN)


def _left(transfer: Transfer) -> Cell:
    return wording.roughly(left_s(transfer))


def _limit(transfer: Transfer) -> Cell:
    return Piece(transfer.limit or wording.NOTHING, Tone.DIM)


def _job(transfer: Transfer) -> Cell:
    return wording.NOTHING if transfer.job is None else str(transfer.job)


_COLUMNS: Final[Sequence[Column[Transfer]]] = (
    Column("model", lambda t: t.model, 16, 2, order=lambda t: t.model),
    Column("from", lambda t: t.source, 13, 2, order=lambda t: t.source),
    Column("to", lambda t: t.target, 11, 1, order=lambda t: t.target),
    Column("", _bar, 8, 1, least=128),
    Column("done", _done, 5, right=True, order=share),
    Column("of", _total, 8, right=True, order=lambda t: t.total_bytes, least=140),
    Column("rate", _rate, 9, right=True, order=lambda t: t.rate_bytes_per_s),
    Column("left", _left, 11, right=True, order=left_s),
    Column("phase", lambda t: Piece(t.phase, Tone.DIM), 11, least=150),
    Column("limited by", _limit, 16, 2, least=104),
    Column("job", _job, 6, right=True, order=lambda t: t.job, least=130),
)
