"""The table of `gswarm top`: in full width to a pipe, and a line a GPU on a narrow terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size

from gswarm_tui.cli import topview
from gswarm_tui.watch.fields import Row

_BETWEEN: Final = "  "
_USES: Final = "uses it"
_NUMBERS: Final = ("gpu", "util", "memory", "temp", "power", *topview.PCIE, *topview.NVLINK)
_LEAST: Final = {"util": 5, "memory": 18, "temp": 5, "power": 5}
"""So wide at least on a terminal: numbers change, and their columns stay where they are."""
_MOST: Final = {"node": 32, "card": 16, "user": 20}
"""So wide at most where a long name would take the room of all others."""
_USEFUL: Final = 8
"""In less than that nobody sees what uses it."""


@dataclass(frozen=True, slots=True)
class _Step:
    """How columns give way to those that stay.

    Args:
        without: columns that are not there.
        brief: cards are their models.
        limited: names are not wider than `_MOST`.
    """

    without: frozenset[str] = frozenset()
    brief: bool = False
    limited: bool = True


_NO_USES: Final = frozenset({_USES})
_NO_CARD: Final = _NO_USES | {"card"}
_STEPS: Final = (
    _Step(limited=False),
    _Step(brief=True, limited=False),
    _Step(brief=True),
    _Step(_NO_USES),
    _Step(_NO_USES, brief=True),
    _Step(_NO_CARD),
    _Step(_NO_CARD | {"power"}),
    _Step(_NO_CARD | {"power", "temp"}),
    _Step(_NO_CARD | {"power", "temp", "memory"}),
)
"""The first that fits is taken; with 80 columns and no rates it is none of the last three."""

_Widths = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was laid out, each line without its end."""

    head: str
    lines: tuple[str, ...]

    @property
    def rule(self) -> str:
        """A line to stand below the head."""
        return "─" * max(map(cell_len, (self.head, *self.lines)))


def laid_out(
    rows: Sequence[Row], *, pcie: bool = False, nvlink: bool = False, width: int | None = None
) -> Table:
    """The table, with one line for each row.

    Args:
        pcie, nvlink: whether these rates are wanted.
        width: what a terminal has; None where nothing has to fit: then nothing is cut.
    """
    columns = topview.columns(pcie=pcie, nvlink=nvlink)
    cells = [topview.cells(row) for row in rows]
    said = [topview.said(row) for row in rows]
    if width is None:
        for each, found in zip(cells, said, strict=True):
            each[_USES] = found[1] if found is not None else each[_USES]
        widths = {name: _widest(name, cells) for name in columns}
        return Table(_head(widths), tuple([_line(widths, each) for each in cells]))
    brief = [topview.cells(row, brief=True) for row in rows]
    step, widths = _fitted(columns, cells, brief, width)
    for each, short in zip(cells, brief, strict=True):
        each["card"] = short["card"] if step.brief else each["card"]
        if cell_len(each[_USES]) > widths.get(_USES, 0):
            each[_USES] = short[_USES]
    lines = [_line(widths, each, found) for each, found in zip(cells, said, strict=True)]
    return Table(shortened(_head(widths), width), tuple([shortened(each, width) for each in lines]))


def shortened(text: str, room: int) -> str:
    """As much of a text as there is room for, cut after a word where that is most of it."""
    if cell_len(text) <= room:
        return text
    begun = set_cell_size(text, max(0, room - 1))
    after_word = text[len(begun) : len(begun) + 1] == " "
    words = begun if after_word else begun.rpartition(" ")[0]
    if cell_len(words) >= room * 2 // 3:
        begun = words
    return f"{begun.rstrip(' ,')}…" if room > 0 else ""


def _fitted(
    columns: Sequence[str],
    cells: Sequence[Mapping[str, str]],
    brief: Sequence[Mapping[str, str]],
    width: int,
) -> tuple[_Step, dict[str, int]]:
    """The first step with which all columns have room, and their widths; else the last."""
    natural = {name: max(_widest(name, cells), _LEAST.get(name, 0)) for name in columns}
    for step in _STEPS:
        widths = {name: natural[name] for name in columns if name not in step.without}
        if step.brief:
            widths["card"] = _widest("card", brief)
        if step.limited:
            widths = {name: min(wide, _MOST.get(name, wide)) for name, wide in widths.items()}
        uses = widths.get(_USES, 0)
        widths = {**widths, _USES: min(uses, _USEFUL)} if uses else widths
        left = width - sum(widths.values()) - len(_BETWEEN) * (len(widths) - 1)
        if left >= 0:
            break
    if uses:
        widths[_USES] = min(uses, widths[_USES] + left)
    return step, widths


def _widest(name: str, cells: Sequence[Mapping[str, str]]) -> int:
    return max([cell_len(name), *[cell_len(each[name]) for each in cells]])


def _head(widths: _Widths) -> str:
    return _line(widths, {name: name.upper() for name in widths})


def _line(widths: _Widths, cells: Mapping[str, str], said: tuple[str, str] | None = None) -> str:
    """A line of cells; with `said`, ``(column, text)``, the text from that column to the end."""
    parts: list[str] = []
    for name, wide in widths.items():
        if said is not None and name == said[0]:
            parts.append(said[1])
            break
        text = shortened(cells[name], wide)
        blank = " " * (wide - cell_len(text))
        parts.append(blank + text if name in _NUMBERS else text + blank)
    return _BETWEEN.join(parts).rstrip()
