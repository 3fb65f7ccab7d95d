"""What every screen of the fleet has: totals, a trail, keys, a filter, a way in and a way back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from gswarm_tui.tui import keymap
from gswarm_tui.tui.narrow import NarrowCompositor
from gswarm_tui.tui.widgets.header import Header
from gswarm_tui.tui.widgets.keys import Keys
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.prompt import COMMAND, FILTER, Prompt
from gswarm_tui.watch.snapshot import FleetSnapshot

if TYPE_CHECKING:
    from gswarm_tui.tui.app import GswarmApp


class View(Screen[None]):
    """A screen that draws `FleetSnapshot`; it never asks anybody for anything.

    A subclass has `body`, its widgets, and `show`, which draws a picture. `show` is called for each
    new picture while the screen is on top, when it comes to the top, and when its filter changes.

    Args:
        subject: what it is about, where it is about one thing: a node's name.
    """

    WORD: ClassVar[str]
    """How it is called after ``:``."""

    TITLE: ClassVar[str | None]
    """Its name in the trail and in the help."""

    SUMMARY: ClassVar[str] = ""
    """What it shows, in a sentence, for the help."""

    FILTERS: ClassVar[bool] = True
    """Whether ``/`` makes sense on it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Before all others: what is typed right after them, in one piece over a slow ssh, is no
        # longer for the widget that had the focus.
        Binding("colon", "command", "Go to", key_display=":", priority=True),
        Binding("slash", "filter", "Filter", key_display="/", priority=True),
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("escape,h,left", "back", "Back", key_display="esc"),
        Binding("y", "app.copy_command", "Copy the command", show=False),
    ]

    def __init__(self, subject: str | None = None) -> None:
        super().__init__()
        self._compositor = NarrowCompositor()
        self.subject = subject
        self.filter = ""

    @property
    def gswarm(self) -> GswarmApp:
        from gswarm_tui.tui.app import GswarmApp

        app = self.app
        assert isinstance(app, GswarmApp)
        return app

    @property
    def crumb(self) -> str:
        """Its part of the trail."""
        title = self.TITLE or self.WORD
        return f"{title} {self.subject}" if self.subject else title

    @property
    def job_in_focus(self) -> int | None:
        """The job whose tasks it shows."""
        return None

    def body(self) -> Iterable[Widget]:
        """The widgets between the header and the keys."""
        raise NotImplementedError

    def show(self, snapshot: FleetSnapshot) -> None:
        """Draw a picture."""
        raise NotImplementedError

    def note(self) -> str:
        """What is said beside the trail: what the filter leaves out."""
        return f"   filter: {self.filter}" if self.filter else ""

    def compose(self) -> ComposeResult:
        yield Header()
        yield from self.body()
        yield Prompt(self._words)
        yield Keys()

    def on_mount(self) -> None:
        for each in (self, *self.query("LineTable, LogText")):
            keymap.apply(self.gswarm.keys, each)
        self.redraw()

    def on_screen_resume(self) -> None:
        self.redraw()

    def redraw(self) -> None:
        """Draw the newest picture."""
        if not self.is_mounted:
            return
        snapshot = self.gswarm.snapshot
        self.show(snapshot)
        header = self.query_one(Header)
        header.trail = self.gswarm.trail()
        header.show_totals(snapshot, self.note())

    # Keys

    def action_command(self) -> None:
        self._leave_typing_alone()
        self.query_one(Prompt).open(COMMAND)

    def action_filter(self) -> None:
        self._leave_typing_alone()
        if self.FILTERS:
            self.query_one(Prompt).open(FILTER, self.filter)

    def _leave_typing_alone(self) -> None:
        """Let the key be a character for the one that is typing."""
        if isinstance(self.focused, Input):
            raise SkipAction

    def action_back(self) -> None:
        """Take the filter away, else go back to where one came from."""
        if self.filter:
            self.filter = ""
            self.redraw()
        else:
            self.gswarm.go_back()

    @on(Prompt.Typed)
    def _filter_while_typing(self, event: Prompt.Typed) -> None:
        self.filter = event.text
        self.redraw()

    @on(Prompt.Left)
    def _filter_as_before(self, event: Prompt.Left) -> None:
        if event.kind == FILTER:
            self.filter = event.text
            self.redraw()

    @on(Prompt.Entered)
    def _entered(self, event: Prompt.Entered) -> None:
        if event.kind == FILTER:
            self.filter = event.text
            self.redraw()
        else:
            self.gswarm.obey(event.text)

    def _words(self, before: str) -> Sequence[str]:
        return self.gswarm.words_after(before)


def table_of(view: View) -> LineTable[Any]:
    """The first table of a screen."""
    return view.query(LineTable).first()
