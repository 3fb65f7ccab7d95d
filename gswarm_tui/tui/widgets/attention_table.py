"""What needs a look, the most urgent first; enter goes there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len

from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.column import GAP
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.watch.snapshot import Attention, Concern

_TONES: Final = {Concern.THROTTLED: Tone.WARN, Concern.IDLE: Tone.WARN}
_SIGNS: Final = {Concern.THROTTLED: "↓", Concern.IDLE: "z", Concern.MISSING: "?", Concern.HUNG: "‖"}
_WHAT: Final = 16
_WHERE: Final = 12
"""The least for ``node1:gpu0``; twice as much is the most."""
_MOST: Final = 84
_STEP: Final = 8


class AttentionTable(LineTable[Attention]):
    """A line for each `Attention`."""

    def __init__(self) -> None:
        super().__init__(
            _columns(_WHERE),
            lambda each: (each.concern, each.node, each.gpu),
            empty="nothing needs a look",
            marks=False,
            id="attention",
        )

    def show(self, rows: Sequence[Attention]) -> None:
        """Show these, with room for the longest name of a node."""
        self.set_columns(_columns(_where_width(rows)))
        super().show(rows)

    @staticmethod
    def room_for(rows: Sequence[Attention]) -> int:
        """In how many columns all of it can be read, up to a limit; so that it does not change
        with every number, in steps."""
        why = max((cell_len(each.text) for each in rows), default=0)
        needed = 1 + _WHAT + GAP + _where_width(rows) + GAP + why + GAP + 1
        return min(_MOST, -(-needed // _STEP) * _STEP)


def _where_width(rows: Sequence[Attention]) -> int:
    return max(_WHERE, *(min(cell_len(where(each)), 2 * _WHERE) for each in rows), 0)


def _columns(where_width: int) -> tuple[Column[Attention], ...]:
    return (
        Column("needs a look", what, _WHAT, order=lambda each: each.concern),
        Column("where", where, where_width, order=where),
        Column("why", lambda each: each.text, 20, share=1),
    )


def what(each: Attention) -> Cell:
    """The concern, by a sign and words."""
    return in_words(each.concern)


def in_words(concern: Concern) -> Piece:
    """A concern by a sign and words: ``‖ driver hangs``."""
    words = "memory errors" if concern is Concern.ECC else concern
    return Piece(f"{_SIGNS.get(concern, '✗')} {words}", _TONES.get(concern, Tone.BAD))


def where(each: Attention) -> str:
    """``node1`` or ``node1:gpu0``."""
    return each.node if each.gpu is None else f"{each.node}:gpu{each.gpu}"
