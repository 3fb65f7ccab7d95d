"""The lanes of `lanes` as an SVG that stands alone, light or dark as its reader prefers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from gswarm_tui.playbook.drawing.lanes import UNICODE, Line, lay_out
from gswarm_tui.playbook.drawing.steps import Step
from gswarm_tui.wording import clean

_CELL: Final = 11
_LINE: Final = 22
_CHARACTER: Final = 8.2
_MARGIN: Final = 16
_TOP: Final = 48

_STYLE: Final = """\
  .back { fill: #ffffff } .line { fill: none; stroke: #8a94a6; stroke-width: 2 }
  .step { fill: #2f6fde } .always { fill: #c2571a }
  text { font: 13px ui-monospace, Menlo, Consolas, monospace; fill: #5b6472; white-space: pre }
  .title { font-size: 16px; font-weight: bold } .title, .name { fill: #16191f }
  .name { font-weight: bold }
  @media (prefers-color-scheme: dark) {
    .back { fill: #14171c } text { fill: #9aa4b2 } .title, .name { fill: #eef1f5 }
  }"""

_UP, _DOWN, _LEFT, _RIGHT = "up", "down", "left", "right"
_LEADS: Final = {
    "│": (_UP, _DOWN),
    "─": (_LEFT, _RIGHT),
    "╮": (_LEFT, _DOWN),
    "╭": (_RIGHT, _DOWN),
    "╯": (_LEFT, _UP),
    "╰": (_RIGHT, _UP),
    "├": (_UP, _DOWN, _RIGHT),
    "┤": (_UP, _DOWN, _LEFT),
    "┬": (_LEFT, _RIGHT, _DOWN),
    "┴": (_LEFT, _RIGHT, _UP),
    "┼": (_UP, _DOWN, _LEFT, _RIGHT),
}
"""Where a sign's strokes lead to."""

_SIGNS: Final = {UNICODE.step: "step", UNICODE.always: "always"}


def draw(title: str, steps: Sequence[Step]) -> str:
    """The document; the same steps give the same bytes."""
    rows = list(lay_out(steps, _label))
    lines = [line for _, row in rows for line in row]
    widest = max(
        (len(line.drawn) * _CELL + len(line.label) * _CHARACTER for line in lines), default=0
    )
    width = round(max(widest, len(title) * _CHARACTER * 1.25) + 2 * _MARGIN)
    height = _TOP + len(lines) * _LINE + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img">',
        f"<title>{_text(title)}</title>",
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="back" width="{width}" height="{height}"/>',
        f'<text class="title" x="{_MARGIN}" y="28">{_text(title)}</text>',
        f'<path class="line" d="{" ".join(_strokes(lines))}"/>',
        *_signs(lines),
    ]
    number = 0
    for step, row in rows:
        for index, line in enumerate(row):
            if line.label:
                parts.append(_beside(step, line, number, first=index == 0))
            number += 1
    return "\n".join([*parts, "</svg>", ""])


def _label(step: Step, taken: int) -> list[str]:
    return ["  ".join([step.id, step.type, *step.notes]), step.summary]


def _beside(step: Step, line: Line, number: int, *, first: bool) -> str:
    x, y = _MARGIN + len(line.drawn) * _CELL, _TOP + number * _LINE + _LINE / 2 + 4.5
    text = _text(line.label)
    if first:
        name = _text(step.id)
        text = f'<tspan class="name">{name}</tspan>{text.removeprefix(name)}'
    return f'<text x="{x}" y="{y:g}">{text}</text>'


def _strokes(lines: Sequence[Line]) -> Iterator[str]:
    for number, line in enumerate(lines):
        for column, sign in enumerate(line.drawn):
            for stroke in _cell(sign, _around(lines, number, column)):
                yield _path(stroke, column, number)


def _cell(sign: str, around: tuple[str, str]) -> Iterator[tuple[str, ...]]:
    """The strokes of a cell: through it, around its corner, or from an edge to its middle."""
    leads = _LEADS.get(sign, ())
    if sign in _SIGNS:
        above, below = around
        leads = (_UP,) * _joins(above, _DOWN) + (_DOWN,) * _joins(below, _UP)
    if len(leads) == 2 and sign not in _SIGNS:
        yield leads
    else:
        yield from ((lead,) for lead in leads)


def _joins(sign: str, towards: str) -> bool:
    return sign in _SIGNS or towards in _LEADS.get(sign, ())


def _around(lines: Sequence[Line], number: int, column: int) -> tuple[str, str]:
    """The signs above and below."""

    def at(row: int) -> str:
        inside = 0 <= row < len(lines) and column < len(lines[row].drawn)
        return lines[row].drawn[column] if inside else " "

    return at(number - 1), at(number + 1)


def _path(stroke: tuple[str, ...], column: int, number: int) -> str:
    x, y = _centre(column, number)
    edges = {
        _UP: f"{x:g} {y - _LINE / 2:g}",
        _DOWN: f"{x:g} {y + _LINE / 2:g}",
        _LEFT: f"{x - _CELL / 2:g} {y:g}",
        _RIGHT: f"{x + _CELL / 2:g} {y:g}",
    }
    if len(stroke) == 1:
        return f"M{x:g} {y:g}L{edges[stroke[0]]}"
    return f"M{edges[stroke[0]]}Q{x:g} {y:g} {edges[stroke[1]]}"


def _signs(lines: Sequence[Line]) -> Iterator[str]:
    for number, line in enumerate(lines):
        for column, sign in enumerate(line.drawn):
            if sign in _SIGNS:
                x, y = _centre(column, number)
                yield f'<circle class="{_SIGNS[sign]}" cx="{x:g}" cy="{y:g}" r="6"/>'


def _centre(column: int, number: int) -> tuple[float, float]:
    return _MARGIN + (column + 0.5) * _CELL, _TOP + (number + 0.5) * _LINE


def _text(text: str) -> str:
    return escape(clean(text))
