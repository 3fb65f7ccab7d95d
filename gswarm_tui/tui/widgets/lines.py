"""Lines of pieces, as many as there are; what changed of them is sent, the rest is not."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from gswarm_tui.tui.widgets.cells import Cell, Tone, fit, pieces
from gswarm_tui.tui.widgets.differences import changed_spans


class Lines(ScrollView, can_focus=False):
    """Text that was laid out by whoever shows it; scrolls where it is longer than its room."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"lines--{tone}" for tone in Tone}

    DEFAULT_CSS = """
    Lines {
        background: $surface;
        color: $foreground;
        height: auto;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
    }
    Lines .lines--title { text-style: bold; }
    Lines .lines--dim { color: $text-muted; }
    Lines .lines--good { color: $text-success; }
    Lines .lines--busy { color: $text-primary; }
    Lines .lines--warn { color: $text-warning; }
    Lines .lines--bad { color: $text-error; text-style: bold; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._lines: Sequence[Cell] = ()
        self._count = 0
        self._strips: dict[int, Strip] = {}
        """The lines that have been drawn."""
        self._styles: dict[Tone, Style] = {}

    def show(self, lines: Sequence[Cell]) -> None:
        """Show these lines."""
        self._lines = tuple(lines)
        self._show_count(len(self._lines))

    def _line(self, y: int) -> Cell:
        """One of the lines; asked for only where it is drawn."""
        return self._lines[y]

    def _show_count(self, count: int) -> None:
        """Show what `_line` says now of so many lines."""
        if count != self._count:
            self._count = count
            self.virtual_size = Size(self.size.width, count)
            self._strips = {}
            self.refresh(layout=True)
        elif not self._strips:
            self.refresh()
        else:
            self._refresh_lines(tuple(self._strips))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._count

    def _refresh_lines(self, lines: Iterable[int]) -> None:
        """Send what has changed of these lines; one out of sight is drawn when it comes back."""
        top = round(self.scroll_y)
        in_sight = range(top, top + self.size.height)
        changed: list[Region] = []
        for y in lines:
            old = self._strips.pop(y, None)
            if old is None or y not in in_sight:
                continue
            new = self._strips[y] = self._strip(self._line(y))
            spans = changed_spans(old, new)
            changed += [Region(start, y - top, end - start, 1) for start, end in spans]
        if changed:
            self.refresh(*changed)

    def render_line(self, y: int) -> Strip:
        index = round(self.scroll_y) + y
        if index >= self._count:
            return Strip.blank(self.size.width, self._style(Tone.PLAIN))
        strip = self._strips.get(index)
        if strip is None:
            strip = self._strips[index] = self._strip(self._line(index))
        return strip

    def _strip(self, line: Cell) -> Strip:
        width = self.size.width
        found = fit(pieces(line), width)
        return Strip([Segment(piece.text, self._style(piece.tone)) for piece in found], width)

    def _style(self, tone: Tone) -> Style:
        style = self._styles.get(tone)
        if style is None:
            style = self._styles[tone] = self.get_component_rich_style(f"lines--{tone}")
        return style

    def on_resize(self) -> None:
        self._strips = {}
        self.virtual_size = Size(self.size.width, self._count)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._strips = {}

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        self.refresh()


def wrapped(text: str, width: int) -> list[str]:
    """A text in lines that are not wider; what the lines of it begin with is kept."""
    found: list[str] = []
    for line in text.splitlines() or [""]:
        before = line[: len(line) - len(line.lstrip())]
        parts = textwrap.wrap(line, width, subsequent_indent=before, break_on_hyphens=False)
        found += parts or [""]
    return found


def beside(left: Sequence[Cell], right: Sequence[Cell], width: int, gap: int = 2) -> list[Cell]:
    """Two blocks next to each other, the left one in `width` columns."""
    found: list[Cell] = []
    for row in range(max(len(left), len(right))):
        first: Any = fit(pieces(left[row] if row < len(left) else ""), width + gap)
        second = pieces(right[row] if row < len(right) else "")
        found.append((*first, *second))
    return found
