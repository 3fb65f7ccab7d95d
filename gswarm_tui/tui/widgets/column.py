"""A column of a table, and the order that rows have by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from rich.cells import cell_len

from gswarm_tui.tui.widgets.cells import Cell, Piece, fit, pieces

Row = TypeVar("Row")

GAP: Final = 2
"""Between two columns."""
_STEP: Final = 8
"""Columns that are as wide as their content become wider by so much, so that they seldom do."""


@dataclass(frozen=True)  # no slots: a generic one is told its type argument by an attribute
class Column(Generic[Row]):
    """One column.

    Args:
        cell: what stands in it for a row.
        width: in columns of the terminal; the least, where it has a share.
        share: of the width that is left over; 0 keeps `width`.
        right: its text ends at its right edge.
        order: what the rows are sorted by when they are sorted by this column.
        least: the table's width from which on it is shown at all.
        most: no wider than that, whatever its share; 0 is no limit.
        is_name: its title is the name of something, as it is written.
    """

    title: str
    cell: Callable[[Row], Cell]
    width: int
    share: int = 0
    right: bool = False
    order: Callable[[Row], Any] | None = None
    least: int = 0
    most: int = 0
    is_name: bool = False

    @property
    def heading(self) -> str:
        """What stands above it."""
        return self.title if self.is_name else self.title.upper()


def in_room(columns: Sequence[Column[Row]], width: int) -> list[tuple[int, Column[Row], int]]:
    """The columns that have room in a table of this width, each with its index and width."""
    shown = [(index, column) for index, column in enumerate(columns) if width >= column.least]
    rooms = {index: column.width for index, column in shown}
    grow = {index: column for index, column in shown if column.share}
    while grow:
        spare = max(0, width - 1 - sum(rooms[index] + GAP for index, _ in shown))
        shares = sum(column.share for column in grow.values())
        wider = {index: rooms[index] + spare * each.share // shares for index, each in grow.items()}
        full = {i: each.most for i, each in grow.items() if each.most and wider[i] >= each.most}
        rooms |= full or wider
        grow = {index: each for index, each in grow.items() if index not in full} if full else {}
    return [(index, column, rooms[index]) for index, column in shown]


def cells(columns: Sequence[Column[Row]], row: Row, width: int) -> list[Piece]:
    """What stands in the columns for a row, in a table of this width."""
    found: list[Piece] = []
    for _, column, room in in_room(columns, width):
        found += fit(pieces(column.cell(row)), room, right=column.right)
        found.append(Piece(" " * GAP))
    return found


def as_wide_as(columns: Sequence[Column[Row]], rows: Sequence[Row]) -> list[Column[Row]]:
    """The columns, of which those with a share become no wider than what stands in them."""
    return [
        replace(column, most=_needed(column, rows)) if column.share else column
        for column in columns
    ]


def _needed(column: Column[Row], rows: Sequence[Row]) -> int:
    widths = (sum(cell_len(piece.text) for piece in pieces(column.cell(row))) for row in rows)
    return max(column.width, -(-max(widths, default=0) // _STEP) * _STEP)


def in_order(
    rows: Sequence[Row],
    column: Column[Row],
    reverse: bool,
    heading: Callable[[Row], Cell | None] | None,
) -> tuple[Row, ...]:
    """The rows sorted by a column, between their headings; what is not known comes last."""
    assert column.order is not None
    found: list[Row] = []
    section: list[Row] = []
    for row in rows:
        if heading is not None and heading(row) is not None:
            found += [*_sorted(section, column.order, reverse), row]
            section = []
        else:
            section.append(row)
    return (*found, *_sorted(section, column.order, reverse))


def _sorted(rows: Sequence[Row], order: Callable[[Row], Any], reverse: bool) -> list[Row]:
    known = [row for row in rows if order(row) is not None]
    unknown = [row for row in rows if order(row) is None]
    return [*sorted(known, key=order, reverse=reverse), *unknown]
