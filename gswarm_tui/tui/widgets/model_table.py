"""Models: on a narrow terminal a line each with counts, on a wide one by nodes, a mark each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType

from gswarm_tui import wording
from gswarm_tui.tui import residency
from gswarm_tui.tui.residency import ModelRow
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, fit, pieces
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.tui.widgets.place import Place
from gswarm_tui.watch.snapshot import Node

MATRIX_FROM: Final = 110
"""So wide it has to be for a column each node."""
_GAP: Final = 2
_CELL: Final = 6
_LONGEST: Final = 12


def _name(width: int, share: int = 0) -> Column[ModelRow]:
    return Column("model", lambda row: row.name, width, share, order=lambda row: row.name)


_SIZE = Column[ModelRow](
    *("size", lambda row: wording.size(row.model.size_bytes), 8),
    right=True,
    order=lambda row: row.model.size_bytes,
)
_HASH = Column[ModelRow]("verified", residency.hash_state, 13)


def _counted(title: str, kind: str) -> Column[ModelRow]:
    def cell(row: ModelRow) -> Cell:
        number = residency.count(row, kind)
        return Piece(str(number)) if number else Piece("·", Tone.DIM)

    width = len(title)
    return Column(title, cell, width, right=True, order=lambda row: residency.count(row, kind))


def _marks(node: str) -> Callable[[ModelRow], Cell]:
    return lambda row: residency.marks(row, node)


def _serving(row: ModelRow) -> Cell:
    if not row.services:
        return Piece("·", Tone.DIM)
    return [residency.SERVING_MARK, Piece(f" {len(row.services)}")]


_NARROW: Final = (
    _name(14, 1),
    _SIZE,
    _counted("disk", "disk"),
    _counted("dram", "dram"),
    _counted("gpu", "gpu"),
    Column[ModelRow]("serving", _serving, 7, right=True, order=lambda row: len(row.services)),
    Column[ModelRow]("under way", residency.coming, 11),
    Column[ModelRow]("not whole", residency.not_whole, 9),
    Column[ModelRow]("verified", residency.hash_state, 13, least=96),
)


class ModelTable(LineTable[ModelRow]):
    """Models by nodes where there is room, else models with counts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("L,shift+right,greater_than_sign", "nodes(1)", "Nodes to the right", show=False),
        Binding("H,shift+left,less_than_sign", "nodes(-1)", "Nodes to the left", show=False),
    ]

    def __init__(self) -> None:
        empty = "there is no model yet: D downloads the first one"
        super().__init__(_NARROW, lambda row: row.name, empty=empty)
        self.place = Place(from_top=True)
        self._of_fleet: tuple[Node, ...] = ()
        self._first = 0

    @property
    def is_matrix(self) -> bool:
        return self.size.width >= MATRIX_FROM

    @property
    def nodes_shown(self) -> tuple[Node, ...]:
        """The nodes that have a column."""
        return self._of_fleet[self._first : self._first + self._room] if self.is_matrix else ()

    def show_models(self, rows: Sequence[ModelRow], nodes: Sequence[Node]) -> None:
        """Show these models and these nodes."""
        names = [node.name for node in nodes] != [node.name for node in self._of_fleet]
        self._of_fleet = tuple(nodes)
        if names:
            self._lay_out()
        self.show(rows)

    def free_line(self) -> Cell:
        """What stands above the matrix: the free space of each node that has a column."""
        if not self.is_matrix:
            return ""
        before = sum(column.width + _GAP for column in self._columns[: self._fixed])
        left = self._first
        right = max(0, len(self._of_fleet) - left - self._room)
        said = f"{'◂ ' + str(left) + ' more  ' if left else ''}free on disk"
        line = [*fit((Piece(f" {said}", Tone.DIM),), before + 1)]
        for node, column in zip(self.nodes_shown, self._columns[self._fixed :], strict=False):
            line += [*fit(pieces(residency.free_of(node)), column.width), Piece(" " * _GAP)]
        return [*line, Piece(f"{right} more ▸" if right else "", Tone.DIM)]

    def action_nodes(self, by: int) -> None:
        """Show other nodes: half of those that fit, to one side."""
        most = max(0, len(self._of_fleet) - self._room)
        self._first = max(0, min(most, self._first + by * max(1, self._room // 2)))
        self._lay_out()
        self.post_message(self.Moved(self, self.current))

    @property
    def _fixed(self) -> int:
        """How many columns are not those of nodes."""
        return len(self._columns) - len(self.nodes_shown)

    @property
    def _column_width(self) -> int:
        longest = max((len(node.name) for node in self._of_fleet), default=0)
        return max(_CELL, min(longest, _LONGEST))

    @property
    def _room(self) -> int:
        """For how many nodes there is room."""
        left = self.size.width - 2 - sum(column.width + _GAP for column in self._before())
        return max(1, (left - 8) // (self._column_width + _GAP))

    def _before(self) -> tuple[Column[ModelRow], ...]:
        longest = max((len(row.name) for row in self.rows), default=0)
        return (_name(max(14, min(longest, 28))), _SIZE, _HASH)

    def _lay_out(self) -> None:
        if self.is_matrix:
            width = self._column_width
            of_nodes = [
                Column[ModelRow](wording.clean(node.name), _marks(node.name), width, is_name=True)
                for node in self.nodes_shown
            ]
            columns = (*self._before(), *of_nodes)
        else:
            columns = _NARROW
        if len(columns) != len(self._columns):
            self.unsort()
        self._columns = columns
        self._forget()
        self.refresh()

    def on_resize(self) -> None:
        self._first = max(0, min(self._first, len(self._of_fleet) - self._room))
        self._lay_out()
