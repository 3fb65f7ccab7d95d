"""A text that grows at its end: wrapped, searched, scrolled; the oldest lines are let go."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import ClassVar, Final

from rich.cells import chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from gswarm_tui import wording

MOST_LINES: Final = 10_000
"""So many lines are kept."""
LONGEST: Final = 4_000
"""So many characters of a line are kept."""


class LogText(ScrollView, can_focus=True):
    """Lines, the newest at the bottom; the view stays there until somebody scrolls up."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log-text--found", "log-text--at"}

    DEFAULT_CSS = """
    LogText {
        background: $surface; color: $foreground; height: 1fr;
        overflow-x: hidden; scrollbar-size-vertical: 1;
    }
    LogText .log-text--found { background: $warning; color: $background; text-style: bold; }
    LogText .log-text--at { color: $text-accent; text-style: bold; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "go(1)", "Down", show=False),
        Binding("up,k", "go(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f,space", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("home,g", "first", "First line", show=False),
        Binding("end,G", "last", "Last line, and follow", show=False),
    ]

    class Changed(Message):
        """What is shown, found or followed is not as before."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._gone = 0
        """Lines that were let go."""
        self._is_open = False
        """The last line has no end yet."""
        self._cut = 0
        """Characters of the last line that were left out."""
        self._rows: list[tuple[int, str]] = []
        """What stands in each row, with the number of its line."""
        self._wanted = ""
        self._found: list[int] = []
        """Numbers of the lines that have what is looked for."""
        self._at: int | None = None
        self._styles: dict[str, Style] = {}
        self.following = True

    # The text

    @property
    def line_count(self) -> int:
        """Of all lines that there were."""
        return self._gone + len(self._lines)

    def clear(self) -> None:
        """Begin with another text."""
        self._lines, self._rows, self._found = [], [], []
        self._gone, self._is_open, self._cut, self._at = 0, False, 0, None
        self._resized()

    def add(self, text: str) -> None:
        """Put this at the end."""
        if not text:
            return
        first, *others = text.split("\n")
        begin = self.line_count - 1 if self._is_open and self._lines else self.line_count
        if self._is_open and self._lines:
            self._extend(first)
        else:
            self._append(first)
        for line in others[-MOST_LINES:]:
            self._append(line)
        self._is_open = True
        if text.endswith("\n"):
            self._lines.pop()  # what comes next is a line of its own
            self._is_open = False
        self._wrap_from(begin)
        self._let_go()
        self._resized()

    def _append(self, line: str) -> None:
        self._cut = 0
        self._lines.append("")
        self._extend(line)

    def _extend(self, text: str) -> None:
        room = LONGEST - len(self._lines[-1])
        if room <= 0 and text and not self._cut:
            self._lines[-1] = self._lines[-1][:LONGEST]
        self._cut += max(0, len(text) - max(0, room))
        self._lines[-1] += wording.clean(text[: max(0, room)].replace("\t", "    "))

    def _wrap_from(self, number: int) -> None:
        """Make the rows of this line and of those after it anew."""
        while self._rows and self._rows[-1][0] >= number:
            self._rows.pop()
        while self._found and self._found[-1] >= number:
            self._found.pop()
        width = max(1, self.scrollable_content_region.width - 1)
        for place in range(max(0, number - self._gone), len(self._lines)):
            line, its = self._lines[place], self._gone + place
            if len(line) >= LONGEST:
                line += " … (this line is longer)"
            self._rows += [(its, part) for part in _parts(line, width)]
            if self._wanted and self._wanted in line.casefold():
                self._found.append(its)

    def _let_go(self) -> None:
        over = len(self._lines) - MOST_LINES
        if over <= 0:
            return
        self._gone += over
        del self._lines[:over]
        keep = bisect_left(self._rows, (self._gone, ""))
        if not self.following:
            self.scroll_to(y=max(0, self.scroll_y - keep), animate=False)
        del self._rows[:keep]
        del self._found[: bisect_left(self._found, self._gone)]

    def _resized(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._rows))
        if self.following:
            self.scroll_end(animate=False, immediate=True, force=True)
        self.refresh()
        self.post_message(self.Changed())

    # Searching

    @property
    def found(self) -> tuple[int, int]:
        """Which of the found lines one is at, from 1 (0: none), and how many there are."""
        at = 0 if self._at is None else bisect_right(self._found, self._at)
        return at, len(self._found)

    def look_for(self, text: str) -> None:
        """Mark what has this text, and go to the last of it."""
        if text.casefold() == self._wanted:
            return
        self._wanted = text.casefold()
        self._found = [
            self._gone + place
            for place, line in enumerate(self._lines)
            if self._wanted and self._wanted in line.casefold()
        ]
        self._at = None
        self.refresh()
        if self._found:
            self.go_to_found(-1)
        self.post_message(self.Changed())

    def go_to_found(self, by: int) -> None:
        """Go to the next line that was found, or with -1 to the one before; round the end."""
        if not self._found:
            return
        if self._at is None:
            place = len(self._found) - 1 if by < 0 else 0
        elif by > 0:
            place = bisect_right(self._found, self._at)
        else:
            place = bisect_left(self._found, self._at) - 1
        self._at = self._found[place % len(self._found)]
        row = bisect_left(self._rows, (self._at, ""))
        self._follow(False)
        self.scroll_to(y=max(0, row - self.size.height // 2), animate=False)
        self.refresh()
        self.post_message(self.Changed())

    # Moving

    def _follow(self, follows: bool) -> None:
        if self.following != follows:
            self.following = follows
            self.post_message(self.Changed())

    def follow(self, follows: bool) -> None:
        """Stay at the end, or not."""
        self._follow(follows)
        if follows:
            self.scroll_end(animate=False, immediate=True, force=True)

    def action_go(self, by: int) -> None:
        if by < 0:
            self._follow(False)
        self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        self.action_go(by * max(1, self.size.height - 1))

    def action_first(self) -> None:
        self._follow(False)
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        self.follow(True)

    def on_mouse_scroll_up(self) -> None:
        self._follow(False)

    # Drawing

    def on_resize(self) -> None:
        self._rows.clear()
        self._found.clear()
        self._wrap_from(self._gone)
        self._resized()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        index, width = round(self.scroll_y) + y, self.size.width
        if index >= len(self._rows):
            return Strip.blank(width, self._style(""))
        number, text = self._rows[index]
        segments = [self._margin(number), *self._segments(text)]
        return Strip(segments).adjust_cell_length(width, self._style(""))

    def _margin(self, number: int) -> Segment:
        """A sign at the lines that were found; another one at that which one is at."""
        place = bisect_left(self._found, number)
        if place == len(self._found) or self._found[place] != number:
            return Segment(" ", self._style(""))
        return Segment("▶" if number == self._at else "▌", self._style("at"))

    def _segments(self, text: str) -> Iterator[Segment]:
        folded, plain = text.casefold(), self._style("")
        if not self._wanted or len(folded) != len(text):
            yield Segment(text, plain)
            return
        begin = 0
        while (place := folded.find(self._wanted, begin)) >= 0:
            end = place + len(self._wanted)
            yield Segment(text[begin:place], plain)
            yield Segment(text[place:end], self._style("found"))
            begin = end
        yield Segment(text[begin:], plain)

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self.rich_style
            if name:
                style += self.get_component_rich_style(f"log-text--{name}", partial=True)
            self._styles[name] = style
        return style


def _parts(line: str, width: int) -> list[str]:
    """A line in parts that are no wider."""
    if not line.isascii():
        return chop_cells(line, width)
    return [line[begin : begin + width] for begin in range(0, len(line), width)] or [""]
