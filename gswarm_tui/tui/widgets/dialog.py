"""What asks before something is changed: a form, a plan to confirm, and a notice to be read.

Each is a box over the screen. Esc goes one step back, Enter goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from gswarm_tui.errors import GswarmError
from gswarm_tui.tui.acting import Actor, Deed, Proposal
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.line_input import LineInput
from gswarm_tui.tui.widgets.markup import content
from gswarm_tui.tui.widgets.tick import Tick

_IN_SIGHT: Final = 200
"""A command of so many characters stays in sight below its plan, unless there are few lines; a
longer one scrolls with it."""


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form.

    Args:
        words: what completes the last word of it.
        hint: what stands there while it is empty.
    """

    name: str
    label: str
    value: str = ""
    words: Sequence[str] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """A line of a form that is on or off."""

    name: str
    label: str
    value: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """What is asked.

    Args:
        make: the deed that the answers mean; raises `GswarmError` where they are wrong.
        start: the line in which one begins; the first empty one where none is named.
    """

    title: str
    fields: tuple[Field | Flag, ...]
    make: Callable[[Mapping[str, str]], Deed]
    about: str = ""
    start: str = ""

    def filled(self, answers: Mapping[str, str], start: str) -> Form:
        """The same with these answers in its lines."""
        fields = tuple(
            replace(each, value=answers[each.name])
            if isinstance(each, Field)
            else replace(each, value=bool(answers[each.name]))
            for each in self.fields
        )
        return replace(self, fields=fields, start=start)


@dataclass(frozen=True, slots=True)
class Answer:
    """The deed that a form comes to, and the form as it was filled."""

    deed: Deed
    form: Form


class Box(ModalScreen[object]):
    """The looks of all of them."""

    DEFAULT_CSS = """
    Box { align: center middle; }
    Box > VerticalScroll {
        width: 90; max-width: 96%; height: auto; max-height: 100%; margin: 2 0 1 0;
        border: round $primary; background: $panel; padding: 0 1; scrollbar-size-vertical: 1;
    }
    Box.-low > VerticalScroll { margin: 0; }
    Box.-danger > VerticalScroll { border: heavy $error; }
    Box Static { height: auto; }
    Box Horizontal { height: 1; margin: 1 0 0 0; }
    Box Horizontal Label { width: 18; color: $text-muted; }
    Box Input { width: 1fr; border: none; height: 1; padding: 0 1; background: $surface; }
    Box Input:focus { border: none; background: $primary-muted; }
    Box Tick { margin: 1 1 0 18; }
    Box .foot { dock: bottom; height: auto; background: $panel; }
    Box .keys { margin: 1 0 0 0; color: $text-muted; }
    Box.-low .keys { margin: 0; max-height: 2; }
    Box .scrolls, Box.-low .stays, Box.-long .stays { display: none; }
    Box.-low .scrolls, Box.-long .scrolls { display: block; }
    Box .error { color: $text-error; }
    """


class FormScreen(Box):
    """Gives an `Answer`; None where it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", show=False, priority=True),
        Binding("enter", "submit", "Go on", show=False, priority=True),
        Binding("tab", "next", "Complete, or the next line", show=False, priority=True),
        # Before those of what scrolls where there are more lines than have room.
        Binding("down", "app.focus_next", "Next line", show=False, priority=True),
        Binding("up", "app.focus_previous", "Line before", show=False, priority=True),
    ]

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._form = form

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield _text([Piece(self._form.title, Tone.TITLE), Piece(_line(self._form.about))])
            for each in self._form.fields:
                if isinstance(each, Flag):
                    yield Tick(each.label, each.value, id=each.name)
                    continue
                with Horizontal():
                    yield Label(content([Piece(each.label)]), markup=False)
                    yield LineInput(each.value, hint=each.hint, words=each.words, id=each.name)
            yield Static("", classes="error", id="error", markup=False)
            ticks = any(isinstance(each, Flag) for each in self._form.fields)
            keys = ["Enter shows the plan", "Esc leaves", "Tab completes, or goes on"]
            yield from _foot("   ".join([*keys, *["Space: on or off"] * ticks]))

    def on_mount(self) -> None:
        boxes = list(self.query(Input))
        empty = next((box for box in boxes if not box.value), boxes[0])
        start = self._form.start
        self.set_focus(self.query_one(f"#{start}") if start else empty)

    @on(Input.Changed)
    @on(Tick.Changed)
    def _mended(self) -> None:
        """What was wrong is being put right."""
        self.query_one("#error", Static).update("")
        self._show_focused()

    @on(events.DescendantFocus)
    def _show_focused(self) -> None:
        """Bring the line in which one types in sight; to Textual, one below the keys is."""
        if self.focused is not None:
            self.focused.scroll_visible(animate=False)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_next(self) -> None:
        """Complete the word, else go to the next line."""
        box = self.focused
        if isinstance(box, Input):
            before = box.value
            box.cursor_position = len(before)
            box.action_cursor_right()
            if box.value != before:
                return
        self.focus_next()

    def action_submit(self) -> None:
        answers = self.answers()
        try:
            deed = self._form.make(answers)
        except GswarmError as error:
            said = self.query_one("#error", Static)
            said.update(content(_error(error)))
            said.call_after_refresh(said.scroll_visible, animate=False)
        else:
            start = self.focused.id if self.focused is not None else None
            self.dismiss(Answer(deed, self._form.filled(answers, start or "")))

    def answers(self) -> dict[str, str]:
        """What is in each line; of a flag ``yes``, or nothing."""
        found = {str(box.id): box.value.strip() for box in self.query(Input)}
        return {**found, **{str(b.id): "yes" if b.value else "" for b in self.query(Tick)}}


class PlanScreen(Box):
    """Shows what a deed would come to; gives the `Proposal` when it is confirmed.

    Of a long plan the keys stay in sight, and the command too; the rest scrolls.

    Args:
        form: where the deed comes from; it is what is given when one goes back.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", show=False),
        Binding("q", "leave", "Leave", show=False),
        Binding("enter", "confirm", "Do it", show=False),
        Binding("y", "copy", "Copy the command", show=False),
    ]

    def __init__(self, deed: Deed, actor: Actor, form: Form | None = None) -> None:
        super().__init__(classes="-danger" if deed.losses else None)
        self._deed, self._actor, self._form = deed, actor, form
        self._ways_out = "Esc: back to the form   q leaves" if form else "Esc leaves"
        self._proposal: Proposal | None = None

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield _text([Piece(self._deed.title, Tone.BAD if self._deed.losses else Tone.TITLE)])
            lost = [Piece("\nwill be lost:", Tone.BAD)]
            lost += [Piece(f"\n  ✗ {each}", Tone.BAD) for each in self._deed.losses]
            yield _text(lost if self._deed.losses else [])
            yield Static("\nasking the fleet …", id="plan", markup=False)
            yield Static(classes="command scrolls", markup=False)
            yield from _foot(self._ways_out, Static(classes="command stays", markup=False))

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.run_worker(self._propose(), name="propose")

    async def _propose(self) -> None:
        try:
            proposal = await self._actor.propose(self._deed)
        except GswarmError as error:
            self.query_one("#plan", Static).update(content([Piece("\n"), *_error(error)]))
            return
        self._proposal = proposal
        self.set_class(len(proposal.command) > _IN_SIGHT, "-long")
        self.query_one("#plan", Static).update(content(_plan(proposal)))
        for each in self.query(".command").results(Static):
            each.update(content(_command(proposal)))
        does = "Enter pretends to do it" if proposal.is_pretended else "Enter does it"
        if proposal.problems:
            does += " all the same"
        keys = f"{does}   y copies the command   {self._ways_out}"
        self.query_one(".keys", Static).update(keys)

    def action_back(self) -> None:
        self.dismiss(self._form)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_confirm(self) -> None:
        """Not before it has been seen what would be done, nor by a key typed before that."""
        from gswarm_tui.tui.app import GswarmApp

        was_ahead = isinstance(self.app, GswarmApp) and self.app.turns.was_ahead
        if self._proposal is not None and not was_ahead:
            self.dismiss(self._proposal)

    def action_copy(self) -> None:
        if self._proposal is not None and self._proposal.command:
            self.app.copy_to_clipboard(self._proposal.command)
            self.notify(f"copied: {self._proposal.command}", markup=False)


class NoticeScreen(Box):
    """Says something until it was read."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "leave", "Close", show=False)
    ]

    def __init__(self, title: str, text: str, *, is_error: bool = True) -> None:
        super().__init__(classes="-danger" if is_error else None)
        self._heading, self._said = title, text

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield _text([Piece(self._heading, Tone.TITLE), Piece(f"\n\n{self._said}")])
            yield from _foot("Enter closes this")

    def action_leave(self) -> None:
        self.dismiss(None)


def told(error: GswarmError) -> str:
    """An error and what to do about it."""
    return f"{error}\n{error.hint}" if error.hint else str(error)


def _plan(proposal: Proposal) -> Iterable[Piece]:
    for line in proposal.plan:
        yield Piece(f"\n{line}")
    for line in proposal.problems:
        yield Piece(f"\n✗ would fail: {line}", Tone.WARN)


def _command(proposal: Proposal) -> Iterable[Piece]:
    if proposal.command:
        yield Piece("\nthe same by hand:", Tone.DIM)
        yield Piece(f"\n{proposal.command}", Tone.BUSY)


def _error(error: GswarmError) -> list[Piece]:
    return [Piece(f"✗ {error}", Tone.BAD), Piece(_line(error.hint or ""))]


def _line(text: str) -> str:
    return f"\n{text}" if text else ""


def _foot(keys: str, *above: Widget) -> Iterable[Widget]:
    """What stays in sight below all that scrolls: the keys."""
    yield Vertical(*above, Static(keys, classes="keys", markup=False), classes="foot")


def _text(pieces: Iterable[Piece]) -> Static:
    return Static(content(pieces), markup=False)
