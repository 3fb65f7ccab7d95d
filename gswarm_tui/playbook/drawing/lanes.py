"""Steps below each other, with lines between them as a version control system draws its history.

renderdag decides which line runs where; the same lanes are text in a terminal and paths in an SVG.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from renderdag import Ancestor, GraphRowRenderer

from gswarm_tui.playbook.drawing.steps import Step
from gswarm_tui.wording import clean

_MARK = "\x00"
"""Where the lines end and the label begins; no label has it."""

_NARROWEST = 24


@dataclass(frozen=True, slots=True)
class Line:
    """One line of characters: what is drawn, and the text beside it."""

    drawn: str
    label: str


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs of a step, and of one that runs whatever happens."""

    step: str
    always: str


UNICODE = Glyphs("●", "◆")
ASCII = Glyphs("o", "*")

Label = Callable[[Step, int], list[str]]
"""The lines beside a step; the number is how many columns of the line are drawn upon."""


def lay_out(
    steps: Sequence[Step], label: Label, *, glyphs: Glyphs = UNICODE
) -> Iterator[tuple[Step, list[Line]]]:
    """Each step with its lines, from the first to the last."""
    dependents: dict[str, list[str]] = {step.id: [] for step in steps}
    for step in steps:
        for needed in step.needs:
            dependents[needed].append(step.id)
    output = GraphRowRenderer().output().with_min_row_height(2)
    renderer = output.build_ascii() if glyphs is ASCII else output.build_box_drawing()
    for index, step in enumerate(steps):
        below = [Ancestor.parent(name) for name in dependents[step.id]]
        texts = label(step, renderer.width(step.id, below) + 1)
        message = "\n".join(_MARK + clean(text) for text in texts)
        sign = glyphs.always if step.always else glyphs.step
        row = renderer.next_row(step.id, below, sign, message).split("\n")[:-1]
        lines = [Line(drawn, text) for drawn, _, text in (line.partition(_MARK) for line in row)]
        if index == len(steps) - 1:
            lines = lines[: len(texts)]  # there is nothing below to leave room for
        yield step, lines


def draw(steps: Sequence[Step], *, width: int, ascii_only: bool = False) -> str:
    """The steps as text; a line is at most ``width`` columns, unless lanes or a word are wider."""

    def label(step: Step, taken: int) -> list[str]:
        room = max(width - taken, _NARROWEST)
        first = "  ".join([step.id, step.type, *step.notes])
        return [
            *textwrap.wrap(first, room, break_long_words=False, break_on_hyphens=False),
            *textwrap.wrap(step.summary, room, break_long_words=False, break_on_hyphens=False),
        ]

    laid_out = lay_out(steps, label, glyphs=ASCII if ascii_only else UNICODE)
    return "\n".join((line.drawn + line.label).rstrip() for _, lines in laid_out for line in lines)
