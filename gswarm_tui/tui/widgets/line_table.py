"""A table of thousands of lines that is drawn a line at a time, and again only where it changed.

Textual's own DataTable costs a quarter of a second of CPU a tick with 2,048 lines that all change;
this one draws the lines that are on the screen, and sends the parts of them that are different.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, fit, pieces
from gswarm_tui.tui.widgets.column import GAP, Row, cells, in_order, in_room
from gswarm_tui.tui.widgets.column import Column as Column
from gswarm_tui.tui.widgets.differences import changed_spans
from gswarm_tui.tui.widgets.marks import Marks
from gswarm_tui.tui.widgets.place import Place

_MARK = "▌"


@dataclass
class OfARow(Message):
    """Something about a row of a table."""

    table: LineTable[Any]
    row: Any

    @property
    def control(self) -> LineTable[Any]:
        return self.table


class LineTable(ScrollView, Generic[Row], can_focus=True, inherit_bindings=False):
    """Rows with a cursor and marks. The cursor stays on its row when the rows are sorted anew.

    When that row goes, the cursor is on its neighbour until it comes back; see `place`.

    Args:
        columns: from left to right.
        key: what a row is known by from one picture to the next.
        empty: what is shown where there is no row; it can be set anew before `show`.
        heading: for rows that head others: what stands across the whole line; None for all others.
            Rows are sorted between their headings.
        marks: whether something can be done to several rows at once.
        subject: what is marked of a row: rows of the same one are marked together; None where it
            has none. Without it, its key.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"line-table--{tone}" for tone in Tone),
        "line-table--head",
        "line-table--cursor",
        "line-table--mark",
    }

    DEFAULT_CSS = """
    LineTable {
        background: $surface;
        color: $foreground;
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
    }
    LineTable .line-table--head { color: $text-muted; text-style: bold; }
    LineTable .line-table--cursor { background: $primary-muted; }
    LineTable:focus .line-table--cursor { background: $primary; color: $text; text-style: bold; }
    LineTable .line-table--mark { color: $accent; text-style: bold; }
    LineTable .line-table--title { text-style: bold; }
    LineTable .line-table--dim { color: $text-muted; }
    LineTable .line-table--good { color: $text-success; }
    LineTable .line-table--busy { color: $text-primary; }
    LineTable .line-table--warn { color: $text-warning; }
    LineTable .line-table--bad { color: $text-error; text-style: bold; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("home,g", "jump(0)", "First", show=False),
        Binding("end,G", "jump(-1)", "Last", show=False),
        Binding("enter,right", "choose", "Open"),
        Binding("space", "mark", "Mark", show=False),
        # A terminal sends NUL for it, which Textual calls ctrl+@.
        Binding("ctrl+space,ctrl+@", "mark_all", "Mark all", show=False, key_display="^space"),
    ]

    cursor: reactive[int] = reactive(0, repaint=False)

    class Chosen(OfARow):
        """Enter, or a second click on a row."""

    class Moved(OfARow):
        """The cursor is on another row; None where there is none."""

    class Marked(Message):
        """Other rows are marked than before."""

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        key: Callable[[Row], Hashable],
        *,
        empty: str = "nothing here",
        heading: Callable[[Row], Cell | None] | None = None,
        marks: bool = True,
        subject: Callable[[Row], Hashable] | None = None,
        id: str | None = None,  # noqa: A002 - Textual's word
    ) -> None:
        super().__init__(id=id)
        self._has_marks = marks
        self._columns = tuple(columns)
        self._key = key
        self._subject = subject or key
        self.empty = empty
        self.instead = ""
        """What is shown instead of `empty`: that a filter leaves no row."""
        self._heading = heading
        self._rows: tuple[Row, ...] = ()
        self.marks = Marks()
        self.hides = False
        """Whether a filter or a fold hides rows that are there: these stay marked."""
        self._keys: list[Hashable] = []
        """Of the rows."""
        self.place = Place()
        self._had_room = 0
        """For how many rows there was room before the last change of its size."""
        self._clicked: tuple[Hashable, ...] = ()
        """The key of the row to which a click moved the cursor; another one goes in."""
        self._sorted_by: int | None = None
        self._reverse = False
        self._drawn: dict[int, tuple[Any, ...]] = {}
        """What each line of the screen was drawn from."""
        self._strips: dict[int, Strip] = {}
        """How each line of the screen was drawn."""
        self._styles: dict[tuple[str, bool, bool], Style] = {}

    # What is shown

    @property
    def rows(self) -> tuple[Row, ...]:
        """In the order in which they are shown."""
        return self._rows

    @property
    def current(self) -> Row | None:
        """The row that the cursor is on."""
        return self._rows[self.cursor] if self._rows else None

    @property
    def marked(self) -> list[Row]:
        """The marked rows that are shown, one of each subject; else that under the cursor."""
        marked = {self._subject(row): row for row in self._rows if self._subject(row) in self.marks}
        if not marked and self.current is not None:
            return [self.current]
        return list(marked.values())

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; lines that are the same as before are not drawn again."""
        before = self.current
        was_seen = 0 <= self.cursor - self.scroll_y < self._room
        self._rows = self._in_order(rows)
        old, self._keys = self._keys, [self._key(row) for row in self._rows]
        places = {key: place for place, key in enumerate(self._keys)}
        place = self._place(places, old)
        if self.marks.show(map(self._subject, self._rows), hides=self.hides):
            self.place.lose_marks()
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        self.set_reactive(LineTable.cursor, place)
        if was_seen:
            self._bring_in_sight()
        self._refresh_changed()
        if self.current is not before:
            self.post_message(self.Moved(self, self.current))

    def _place(self, places: Mapping[Hashable, int], old: Sequence[Hashable]) -> int:
        """Where the cursor is among the rows that are shown next."""
        return self.place.among(places, old, self.cursor)

    def set_columns(self, columns: Sequence[Column[Row]]) -> None:
        """Show other columns, of the same titles, from the next `show` on."""
        rooms = [(column.width, column.least, column.most) for column in self._columns]
        if [(column.width, column.least, column.most) for column in columns] != rooms:
            self._columns = tuple(columns)
            self._forget()
            self.refresh()

    def sort_by(self, title: str) -> None:
        """Sort by a column; the same one again turns the order round."""
        index = next(i for i, column in enumerate(self._columns) if column.title == title)
        self._reverse = self._sorted_by == index and not self._reverse
        self._sorted_by = index
        self.show(self._rows)

    def sortable(self) -> list[str]:
        """The titles of the columns that can be sorted by."""
        return [column.title for column in self._columns if column.order is not None]

    @property
    def sorted_by(self) -> str | None:
        """The title of the column that the rows are sorted by."""
        return None if self._sorted_by is None else self._columns[self._sorted_by].title

    def unsort(self) -> None:
        """Show rows in the order in which they are given, from the next `show` on."""
        self._sorted_by, self._reverse = None, False

    def _in_order(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        if self._sorted_by is None:
            return tuple(rows)
        return in_order(rows, self._columns[self._sorted_by], self._reverse, self._heading)

    # Moving

    def action_move(self, by: int) -> None:
        self._go_to(self.cursor + by)

    def action_page(self, by: int) -> None:
        self._go_to(self.cursor + by * max(1, self.size.height - 2))

    def action_jump(self, to: int) -> None:
        self._go_to(to if to >= 0 else len(self._rows) - 1)

    def action_choose(self) -> None:
        if self.current is not None:
            self.place.choose()
            self.post_message(self.Chosen(self, self.current))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("mark", "mark_all"):
            return self._has_marks
        return super().check_action(action, parameters)

    def action_mark(self) -> None:
        """Mark the row, or not any more, and go to the next one."""
        self.place.choose()
        if self.current is not None:
            self.marks.turn(self._subject(self.current))
            self._refresh_changed()
            self.post_message(self.Marked())
            self.action_move(1)

    def action_mark_all(self) -> None:
        self.place.choose()
        self.marks.turn_all()
        self._refresh_changed()
        self.post_message(self.Marked())

    def on_click(self, event: events.Click) -> None:
        line = event.y - 1 + round(self.scroll_y)
        if event.y > 0 and line < len(self._rows):
            clicked = (self._keys[line],)
            again = self._clicked == clicked
            self._go_to(line)
            self._clicked = () if again else clicked
            if again:
                self.action_choose()

    def _go_to(self, place: int) -> None:
        self._clicked = ()
        self.place.choose()
        place = max(0, min(place, len(self._rows) - 1))
        if not self._rows or place == self.cursor:
            return
        self.set_reactive(LineTable.cursor, place)
        self._bring_in_sight()
        self._refresh_changed()
        self.post_message(self.Moved(self, self.current))

    def _bring_in_sight(self) -> None:
        """Scroll no further than it needs for the cursor to be seen."""
        top = max(min(self.scroll_y, self.cursor), self.cursor + 1 - self._room)
        if top != self.scroll_y:
            self.scroll_to(y=top, animate=False)

    @property
    def _room(self) -> int:
        """For how many rows there is room."""
        return max(1, self.size.height - 1)

    # Drawing

    def _refresh_changed(self) -> None:
        """Have those parts of lines drawn that are not as they are on the screen."""
        top, width = round(self.scroll_y), self.size.width
        changed: list[Region] = []
        for y in range(self.size.height):
            if self._drawn.get(y) != self._line_state(y, top):
                before = self._strips.get(y)
                after = self._make(y, top)
                spans = [(0, width)] if before is None else changed_spans(before, after)
                changed += [Region(start, y, end - start, 1) for start, end in spans]
        if changed:
            self.refresh(*changed)

    def _line_state(self, y: int, top: int) -> tuple[Any, ...]:
        """All that a line is drawn from."""
        if y == 0:
            return ("head", self.size.width, self._sorted_by, self._reverse, bool(self._rows))
        index = top + y - 1
        if index >= len(self._rows):
            return ("blank", self.size.width, bool(self._rows), self.instead or self.empty)
        row = self._rows[index]
        marked = self._subject(row) in self.marks
        return (row, self.size.width, index == self.cursor, marked, self.has_focus)

    def render_line(self, y: int) -> Strip:
        top = round(self.scroll_y)
        known = self._strips.get(y)
        if known is not None and self._drawn.get(y) == self._line_state(y, top):
            return known
        return self._make(y, top)

    def _make(self, y: int, top: int) -> Strip:
        """Draw a line, and remember from what."""
        self._drawn[y] = self._line_state(y, top)
        strip = self._strips[y] = self._draw(y, top + y - 1, self.size.width)
        return strip

    def _draw(self, y: int, index: int, width: int) -> Strip:
        if y == 0:
            return self._head(width)
        if index < len(self._rows):
            return self._line(index, width)
        if not self._rows and y == 1:
            (text,) = fit((Piece(f"  {self.instead or self.empty}"),), width)[:1]
            style = self._style(Tone.DIM)
            return Strip([Segment(text.text, style)]).adjust_cell_length(width, style)
        return Strip.blank(width, self._style(Tone.PLAIN))

    def on_focus(self) -> None:
        self._refresh_changed()

    def on_blur(self) -> None:
        self._refresh_changed()

    def on_resize(self) -> None:
        was_seen = self.cursor - self.scroll_y < self._had_room
        self._had_room = self._room
        self._forget()
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        if was_seen and self.cursor >= self.scroll_y:
            self._bring_in_sight()

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        self._forget()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._forget()

    def _forget(self) -> None:
        """What is on the screen is drawn anew."""
        self._drawn.clear()
        self._strips.clear()

    def _head(self, width: int) -> Strip:
        style = self.get_component_rich_style("line-table--head")
        segments = [Segment(" ", style)]
        for index, column, room in in_room(self._columns, width):
            arrow = ("▼" if self._reverse else "▲") if index == self._sorted_by else ""
            title = fit((Piece(column.heading + arrow),), room, right=column.right)
            segments += [Segment(piece.text, style) for piece in title]
            segments.append(Segment(" " * GAP, style))
        return Strip(segments).adjust_cell_length(width, style)

    def _line(self, index: int, width: int) -> Strip:
        row, under = self._rows[index], index == self.cursor
        marked = self._subject(row) in self.marks
        segments = [Segment(_MARK if marked else " ", self._style("mark", under=under))]
        for piece in self._pieces(row, width):
            segments.append(Segment(piece.text, self._style(piece.tone, under=under)))
        return Strip(segments).adjust_cell_length(width, self._style(Tone.PLAIN, under=under))

    def _pieces(self, row: Row, width: int) -> list[Piece]:
        """What stands in the line of a row."""
        heading = None if self._heading is None else self._heading(row)
        if heading is not None:
            return fit(pieces(heading), max(0, width - 1))
        return cells(self._columns, row, width)

    def _style(self, name: str, *, under: bool = False) -> Style:
        """The style of a tone, below the cursor or not."""
        key = (name, under, self.has_focus)
        style = self._styles.get(key)
        if style is None:
            # Not the partial one: a colour that is see-through is mixed with the background.
            style = self.get_component_rich_style(f"line-table--{name}")
            if under:
                style += self.get_component_rich_style("line-table--cursor")
            self._styles[key] = style
        return style
