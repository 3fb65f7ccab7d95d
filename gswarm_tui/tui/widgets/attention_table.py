"""What needs a look, the most urgent first; enter goes there."""

from __future__ import annotations

from typing import Final

from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.watch.snapshot import Attention, Concern

_TONES: Final = {Concern.THROTTLED: Tone.WARN, Concern.IDLE: Tone.WARN}
_SIGNS: Final = {Concern.THROTTLED: "↓", Concern.IDLE: "z", Concern.MISSING: "?", Concern.HUNG: "‖"}


class AttentionTable(LineTable[Attention]):
    """A line for each `Attention`."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(
            (
                Column("needs a look", what, 16, order=lambda each: each.concern),
                Column("where", where, 12, order=where),
                Column("why", lambda each: each.text, 20, share=1),
            ),
            lambda each: (each.concern, each.node, each.gpu),
            empty="nothing needs a look",
            marks=False,
            id=id,
        )


def what(each: Attention) -> Cell:
    """The concern, by a sign and words."""
    tone = _TONES.get(each.concern, Tone.BAD)
    words = "memory errors" if each.concern is Concern.ECC else each.concern
    return Piece(f"{_SIGNS.get(each.concern, '✗')} {words}", tone)


def where(each: Attention) -> str:
    """``node1`` or ``node1:gpu0``."""
    return each.node if each.gpu is None else f"{each.node}:gpu{each.gpu}"
