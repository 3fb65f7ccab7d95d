"""A column of a table, and the order that rows have by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from gswarm_tui.tui.widgets.cells import Cell

Row = TypeVar("Row")

GAP: Final = 2
"""Between two columns."""


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
        is_name: its title is the name of something, as it is written.
    """

    title: str
    cell: Callable[[Row], Cell]
    width: int
    share: int = 0
    right: bool = False
    order: Callable[[Row], Any] | None = None
    least: int = 0
    is_name: bool = False

    @property
    def heading(self) -> str:
        """What stands above it."""
        return self.title if self.is_name else self.title.upper()


def in_room(columns: Sequence[Column[Row]], width: int) -> list[tuple[int, Column[Row], int]]:
    """The columns that have room in a table of this width, each with its index and width."""
    shown = [(index, column) for index, column in enumerate(columns) if width >= column.least]
    shares = sum(column.share for _, column in shown)
    spare = max(0, width - 1 - sum(column.width + GAP for _, column in shown))
    return [
        (index, each, each.width + (spare * each.share // shares if each.share else 0))
        for index, each in shown
    ]


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
