"""Pieces of text with a meaning, of which lines are made.

A `Tone` is what a piece means; the theme decides how that looks. Whatever has a tone also says in a
word or a shape what it means: colour alone is lost on some eyes and some terminals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from rich.cells import cell_len, set_cell_size

from gswarm_tui import wording


class Tone(StrEnum):
    """What a piece of text means; each is a component class of the widgets that draw lines."""

    PLAIN = "plain"
    DIM = "dim"  # beside the point
    GOOD = "good"
    BUSY = "busy"  # something is under way
    WARN = "warn"
    BAD = "bad"
    TITLE = "title"


@dataclass(frozen=True, slots=True)
class Piece:
    """Text with one tone."""

    text: str
    tone: Tone = Tone.PLAIN


Cell: TypeAlias = str | Piece | Sequence[Piece]
"""What stands in one cell of a line."""

_BARS = " ▁▂▃▄▅▆▇█"
_OF_A_COLUMN = 8
"""More characters than stand in one column in any script: a letter and the marks on it."""


def pieces(cell: Cell) -> tuple[Piece, ...]:
    """The pieces of a cell, without anything that could steer a terminal."""
    if isinstance(cell, str):
        cell = (Piece(cell),)
    elif isinstance(cell, Piece):
        cell = (cell,)
    return tuple(Piece(wording.clean(piece.text), piece.tone) for piece in cell)


def fit(cell: Sequence[Piece], room: int, *, right: bool = False) -> list[Piece]:
    """The pieces in exactly `room` columns: cut with an ellipsis, or filled up with blanks."""
    fitted: list[Piece] = []
    left = room
    for piece in cell:
        most = _OF_A_COLUMN * (left + 1)
        if len(piece.text) > most:  # to measure all of it would take long
            piece = Piece(piece.text[:most] + "…", piece.tone)
        size = cell_len(piece.text)
        if size > left:
            text = set_cell_size(piece.text, max(0, left - 1)) + "…" * (left > 0)
            fitted.append(Piece(text, piece.tone))
            left = 0
            break
        fitted.append(piece)
        left -= size
    if left:
        blank = Piece(" " * left)
        fitted = [blank, *fitted] if right else [*fitted, blank]
    return fitted


def level(percent: float | None) -> Tone:
    """How full something is that should not be full."""
    if percent is None:
        return Tone.DIM
    return Tone.BAD if percent >= 95 else Tone.WARN if percent >= 80 else Tone.PLAIN


def bar(percent: float | None, width: int, tone: Tone = Tone.PLAIN) -> Piece:
    """A bar of `width` columns; dots where there is no value."""
    if percent is None:
        return Piece("·" * width, Tone.DIM)
    eighths = round(max(0.0, min(100.0, percent)) / 100 * width * 8)
    full, rest = divmod(eighths, 8)
    partial = "▏▎▍▌▋▊▉"[rest - 1] if rest else ""
    return Piece(("█" * full + partial).ljust(width, "·"), tone)


def spark(percents: Sequence[float | None], tone: Tone = Tone.PLAIN) -> Piece:
    """A column of an eighth to a whole for each value, 0 to 100; a blank where there is none."""
    return Piece("".join(shade(percent) for percent in percents), tone)


def shade(percent: float | None) -> str:
    """One column for one value, 0 to 100."""
    if percent is None:
        return " "
    return _BARS[max(1, min(8, round(max(0.0, min(100.0, percent)) / 100 * 8)))]
