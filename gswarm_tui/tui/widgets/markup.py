"""From pieces to what Textual draws: never through markup, which texts from nodes could hold."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from gswarm_tui import wording
from gswarm_tui.tui.widgets.cells import Piece, Tone

_STYLES = {
    Tone.PLAIN: "",
    Tone.DIM: "$text-muted",
    Tone.GOOD: "$text-success",
    Tone.BUSY: "$text-primary",
    Tone.WARN: "$text-warning",
    Tone.BAD: "bold $text-error",
    Tone.TITLE: "bold",
}


def content(pieces: Iterable[Piece]) -> Content:
    """The pieces one after the other; the line ends in them are kept."""
    return Content.assemble(
        *((wording.clean(piece.text, keep="\n"), _STYLES[piece.tone]) for piece in pieces)
    )
