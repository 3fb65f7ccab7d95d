"""What every screen of the fleet has: totals, a trail, keys, a filter, a way in and a way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from textual import on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from gswarm_tui.tui import keymap
from gswarm_tui.tui.narrow import NarrowCompositor
from gswarm_tui.tui.widgets.header import Header
from gswarm_tui.tui.widgets.keys import Keys
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.place import Place
from gswarm_tui.tui.widgets.prompt import COMMAND, FILTER, Prompt, Refusal
from gswarm_tui.watch.filters import plain
from gswarm_tui.watch.snapshot import FleetSnapshot

if TYPE_CHECKING:
    from gswarm_tui.tui.app import GswarmApp

Thing = TypeVar("Thing")

_AS_IT_COMES = "as it comes"

NOTHING_FITS: Final = "nothing fits the filter; Esc takes it away"


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

    ENTER: ClassVar[str] = ""
    """What Enter opens, for the help."""

    FILTERS: ClassVar[bool] = True
    """Whether ``/`` makes sense on it."""

    CHANGES: ClassVar[frozenset[str]] = frozenset()
    """Its actions that change or send something; where nothing can be changed, they are not shown,
    and refused in a sentence when their key is pressed."""

    KEYED: ClassVar[tuple[type[Widget], ...]] = (LineTable,)
    """Its widgets that have keys of their own; the user can give them others."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Before all others: what is typed right after them, in one piece over a slow ssh, is no
        # longer for the widget that had the focus.
        Binding("colon", "command", "Go to", key_display=":", priority=True),
        Binding("slash", "filter", "Filter", key_display="/", priority=True),
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("escape", "clear_filter", "Clear filter", key_display="esc"),
        Binding("escape", "back", "Back", key_display="esc"),
        Binding("h,left", "back", "Back", show=False),
        Binding("tab", "next_table", "The next table", show=False),
        Binding("o", "sort", "Sort", show=False),
        Binding("l", "go_in", "Open", show=False),
        Binding("y", "app.copy_command", "Copy the command", show=False),
    ]

    def __init__(self, subject: str | None = None) -> None:
        super().__init__()
        self._compositor = NarrowCompositor()
        self.subject = subject
        self.filter = ""
        self.fit = ""
        """How many the filter lets through, of how many, in words."""
        self.vain: frozenset[str] = frozenset()
        """Its actions that could only say why not, as things are: the footer is without them."""
        self._is_filtered = False
        """What the footer was made for."""

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
        """What is said beside the trail: what the filter leaves out, and what is marked."""
        marks = [table.marks for table in self.query(LineTable)]
        marked, hidden = sum(each.count for each in marks), sum(each.hidden for each in marks)
        said = [f"{marked} marked" + f", {hidden} hidden" * bool(hidden)] if marked else []
        if self.filter:
            said += [f"filter: {self.filter}", *([self.fit] if self.fit else [])]
        return "".join(f"   {each}" for each in said)

    def fitting(
        self, things: Iterable[Thing], texts: Callable[[Thing], Iterable[str | None]]
    ) -> list[Thing]:
        """What the filter lets through; how many these are is said beside the trail.

        Args:
            texts: what the filter looks at.
        """
        every, fits = list(things), plain(self.filter)
        found = [each for each in every if fits(texts(each))]
        self.fit = f"{len(found)} of {len(every)} fit"
        return found

    def why_no_filter(self, text: str) -> str | None:
        """Why a filter cannot be understood; None where it can."""
        return None

    def compose(self) -> ComposeResult:
        width = self.app.size.width
        # Textual does so after the first layout, which would be seen and sent for nothing.
        fit = [name for least, name in self.HORIZONTAL_BREAKPOINTS or () if width >= least]
        self.add_class(*fit[-1:])
        yield Header()
        yield from self.body()
        yield Refusal()
        yield Prompt(self._words)
        yield Keys(self._fills_the_keys, lambda active: active.binding.action in self.vain)

    def on_mount(self) -> None:
        classes = (type(self), *self.KEYED, type(self.gswarm))
        for each in (self, *(widget for kind in self.KEYED for widget in self.query(kind))):
            keymap.apply(self.gswarm.keys, each, classes)
        self.redraw()

    def on_screen_suspend(self) -> None:
        self.query_one(Keys).look_again()

    def on_screen_resume(self) -> None:
        self.query_one(Keys).look_again()
        self.draw()

    def draw(self) -> None:
        """Draw the newest picture."""
        # As the application ends, the parts of its screens go first.
        if not (self.is_mounted and self.is_attached and self.app.is_running):
            return
        snapshot = self.gswarm.snapshot
        for table in self.query(LineTable):
            table.instead = NOTHING_FITS if self.filter else ""
            table.hides = bool(self.filter)
        self.show(snapshot)
        self._show_totals()

    @on(LineTable.Marked)
    def _show_totals(self) -> None:
        header, app, snapshot = self.query_one(Header), self.gswarm, self.gswarm.snapshot
        header.trail = app.trail()
        header.show_totals(snapshot, self.note(), app.unread_errors, read_only=app.read_only)

    def redraw(self) -> None:
        """Draw the newest picture as the user wants it now: where cursors are then is meant."""
        self.draw()
        for place in self.places():
            if self.filter:
                place.choose()
            else:
                place.settle()
        if bool(self.filter) != self._is_filtered:
            self._is_filtered = not self._is_filtered
            self.refresh_bindings()

    def places(self) -> list[Place]:
        """Where its cursors are."""
        return [table.place for table in self.query(LineTable)]

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "filter":
            return self.FILTERS
        if action == "clear_filter":
            return bool(self.filter)
        if action == "back":
            return bool(self.filter) or len(self.gswarm.views) > 1
        if action == "sort":
            return self.sorting is not None
        if action == "go_in":
            return isinstance(self.focused, LineTable)
        if action == "next_table":
            return len(self.focus_chain) > 1
        return super().check_action(action, parameters)

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys for the footer and the help: without those that would be refused or typed."""
        found = super().active_bindings
        typing = self.focused
        without = self.CHANGES if self.gswarm.deeds.refusal is not None else frozenset[str]()
        if isinstance(typing, Prompt):
            return {
                key: each
                for key, each in found.items()
                if each.node is typing and typing.counts(each.binding.action)
            }
        if isinstance(typing, Input):
            without |= {"command", "filter"}
        return {key: each for key, each in found.items() if each.binding.action not in without}

    @staticmethod
    @cache
    def _actions() -> frozenset[str]:
        """What all screens have."""
        bindings = View._merged_bindings.key_to_bindings if View._merged_bindings else {}
        return frozenset(each.action for some in bindings.values() for each in some)

    def _fills_the_keys(self, active: ActiveBinding) -> bool:
        """Whether a key is shown where there is room: the screen's own, and the one of marks."""
        action = active.binding.action
        if isinstance(self.focused, Input):
            return False
        is_its_own = active.node is self and action not in View._actions()
        return is_its_own or action in ("mark", "sort")

    def holds_back(self, action: str) -> bool:
        """Whether an action is not done now; then it was said why.

        Nothing is changed where that is not allowed, nor by a key that was meant for something that
        has just gone.
        """
        if action not in self.CHANGES:
            return False
        refusal = self.gswarm.deeds.refusal
        if refusal is None and action == "shell" and not self.has_shell():
            refusal = self.gswarm.no_shell
        if refusal is not None:
            self.gswarm.deeds.tell(self._name_of(action), refusal)
            return True
        astray = [place for place in self.places() if place.is_astray]
        for place in astray:
            place.settle()
        if astray:
            said = "what it was meant for has gone; the cursor is on another line now"
            self.notify(f"{self._name_of(action)}: {said}", severity="warning", markup=False)
        return bool(astray)

    def _name_of(self, action: str) -> str:
        bindings = (each for some in self._bindings.key_to_bindings.values() for each in some)
        return next((each.description for each in bindings if each.action == action), action)

    def action_command(self) -> None:
        self._leave_typing_alone()
        self.query_one(Prompt).open(COMMAND)

    def action_filter(self) -> None:
        self._leave_typing_alone()
        self.query_one(Prompt).open(FILTER, self.filter)

    def _leave_typing_alone(self) -> None:
        """Let the key be a character for the one that is typing."""
        if isinstance(self.focused, Input):
            raise SkipAction

    def action_clear_filter(self) -> None:
        self.filter = ""
        self.redraw()

    def action_back(self) -> None:
        """Take the filter away, else go back to where one came from."""
        if self.filter:
            self.action_clear_filter()
        else:
            self.gswarm.go_back()

    @property
    def sorting(self) -> LineTable[Any] | None:
        """The table that is sorted: the one with the focus, else the first."""
        tables = [table for table in self.query(LineTable) if table.display and table.sortable()]
        return next((table for table in tables if table.has_focus), next(iter(tables), None))

    def action_sort(self) -> None:
        """Choose a column to sort by; the one that counts already turns the order round."""
        from gswarm_tui.tui.screens.choice import ChoiceScreen

        table = self.sorting
        if table is None:
            return

        def sort(word: str | None) -> None:
            if word == _AS_IT_COMES:
                table.unsort()
                self.redraw()
            elif word is not None:
                table.sort_by(word)

        words = [_AS_IT_COMES, *table.sortable()]
        now = table.sorted_by or _AS_IT_COMES
        self.app.push_screen(ChoiceScreen("Sort by (again turns it round)", words, now), sort)

    def action_next_table(self) -> None:
        self.focus_next()

    def action_go_in(self) -> None:
        if isinstance(self.focused, LineTable):
            self.focused.action_choose()

    def describe(self, named: Mapping[str, object]) -> None:
        """Show everything that is known of some things, each by its name."""
        from gswarm_tui.tui.screens.describe import DescribeScreen

        if named:
            self.app.push_screen(DescribeScreen(", ".join(named), *named.values()))

    @on(Prompt.Typed)
    def _filter_while_typing(self, event: Prompt.Typed) -> None:
        self.filter = event.text
        self.redraw()

    @on(Prompt.Left)
    def _filter_as_before(self, event: Prompt.Left) -> None:
        if event.kind == FILTER:
            self.filter = event.text
            self.redraw()

    def has_shell(self) -> bool:
        """Whether there is a terminal that a shell on a node could have, and a way to one."""
        return self.gswarm.shell is not None and not self.app.is_web

    @on(Prompt.Entered)
    def _entered(self, event: Prompt.Entered) -> None:
        if event.kind == FILTER:
            self.filter = event.text
            self.redraw()
            why = self.why_no_filter(event.text)
            if why is not None:
                self.query_one(Prompt).refuse(event.text, why, FILTER)
        else:
            why = self.gswarm.obey(event.text)
            if why is not None:
                self.query_one(Prompt).refuse(event.text, why)

    def _words(self, before: str) -> Sequence[str]:
        return self.gswarm.words_after(before)
