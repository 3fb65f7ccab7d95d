"""The line at the bottom in which one types: ``:`` to go anywhere, ``/`` to filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input, Static

from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.line_input import LineInput
from gswarm_tui.tui.widgets.markup import content

COMMAND = ":"
FILTER = "/"


Words = Callable[[str], Sequence[str]]
"""What can follow the words that are there already."""


def completions(words: Words, value: str) -> list[str]:
    """What a command can become by completing its last word.

    What is typed whole already comes first, then what can be entered as it is, then what needs a
    name; that ends with a blank.
    """
    start, _, last = value.rpartition(" ")
    fit = [f"{start} {word}" if start else word for word in words(start) if word.startswith(last)]
    found = [f"{each} " if words(each) else each for each in fit]
    found.sort(key=lambda each: (each.rstrip() != value, each.endswith(" ")))
    return [each for each in found if each != value]


class Completer(Suggester):
    """Shows how the last word of a command could go on."""

    def __init__(self, complete: Callable[[str], Sequence[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        return next(iter(self._complete(value)), None)


class Refusal(Static):
    """Why what was typed cannot be done, above the line until that is mended."""

    DEFAULT_CSS = """
    Refusal { display: none; height: auto; padding: 0 1; background: $panel; color: $text-error; }
    Refusal.-said { display: block; }
    """

    def say(self, text: str) -> None:
        """Show why; nothing takes it away."""
        self.set_class(bool(text), "-said")
        self.update(content([Piece(f"✗ {text}", Tone.BAD)] if text else []))


class Prompt(LineInput):
    """Hidden until it is asked for; gives the focus back when it is left.

    Args:
        words: what can follow the words that are there already.
    """

    DEFAULT_CSS = """
    Prompt { display: none; border: none; height: 1; padding: 0 1; background: $panel; }
    Prompt.-open { display: block; }
    Prompt:focus { border: none; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Go"),
        Binding("enter", "keep", "Keep"),
        Binding("tab", "complete(1)", "Complete", priority=True),
        Binding("shift+tab", "complete(-1)", "The one before", show=False, priority=True),
        Binding("escape", "leave", "Leave"),
    ]

    @dataclass
    class Typed(Message):
        """The filter as it is being typed."""

        text: str

    @dataclass
    class Entered(Message):
        """What was entered: a command or a filter, as `kind` says."""

        kind: str
        text: str

    @dataclass
    class Left(Message):
        """It was left without an answer; the filter as it was before."""

        kind: str
        text: str

    def __init__(self, words: Words) -> None:
        super().__init__()
        self.suggester = Completer(self._completions)
        self._words = words
        self._offered: list[str] = []
        """What Tab goes through, and where it is; as long as nothing else is typed."""
        self._at = 0
        self._kind = COMMAND
        self._before = ""
        self._refused: str | None = None
        """The text above which it says why it cannot be obeyed."""
        self._focused: Widget | None = None
        self.can_focus = False

    def open(self, kind: str, text: str = "") -> None:
        """Ask for a command or a filter."""
        self._kind, self._before = kind, text
        self.placeholder = {
            COMMAND: "go to: fleet, models, jobs, node NAME …   (Tab completes, Esc leaves)",
            FILTER: "filter: text, util<5 mem>50% user=ana temp>80, !text for all others",
        }[kind]
        self.value = text
        self.cursor_position = len(text)
        self._focused = self.screen.focused
        self.can_focus = True
        self.add_class("-open")
        # At once, not when it is the turn of `focus`: the next key may have come already.
        self.screen.set_focus(self)

    def refuse(self, text: str, why: str, kind: str = COMMAND) -> None:
        """Ask once more for a command that cannot be obeyed, or a filter that is none."""
        before = self._before
        self.open(kind, text)
        self._before, self._refused = before, text
        self.screen.query_one(Refusal).say(why)

    def give_back_to(self, widget: Widget, *others: Widget) -> None:
        """Give the focus to this one when it is left, if it came from one of the others."""
        if self._focused in others:
            self._focused = widget

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("submit", "keep"):
            return (action == "submit") == (self._kind == COMMAND)
        return super().check_action(action, parameters)

    def counts(self, action: str) -> bool:
        """Whether an action of its own does something while this is asked."""
        return self._kind == COMMAND or not action.startswith("complete")

    def _completions(self, value: str) -> list[str]:
        return completions(self._words, value) if self._kind == COMMAND else []

    def action_complete(self, by: int) -> None:
        """Complete the last word; again, take the next that fits, or the one before.

        After a word that needs a name, the names are next.
        """
        goes_round = self._offered[self._at : self._at + 1] == [self.value]
        if goes_round and not (by > 0 and self.value.endswith(" ")):
            self._at = (self._at + by) % len(self._offered)
        else:
            self._offered = self._completions(self.value)
            self._at = 0 if by > 0 else len(self._offered) - 1
        if self._offered:
            self.value = self._offered[self._at]
            self.cursor_position = len(self.value)

    async def action_keep(self) -> None:
        """Leave the filter as it is typed."""
        await self.action_submit()

    def action_leave(self) -> None:
        self._close()
        self.post_message(self.Left(self._kind, self._before))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != self._refused:
            self._take_back()
        if self._kind == FILTER and self.has_class("-open"):
            self.post_message(self.Typed(event.value))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._close()
        self.post_message(self.Entered(self._kind, event.value.strip()))

    def _take_back(self) -> None:
        """What was wrong is being put right, or given up."""
        self._refused = None
        self.screen.query_one(Refusal).say("")

    def _close(self) -> None:
        self._take_back()
        self.remove_class("-open")
        self.can_focus = False
        if self._focused is not None and self._focused.display:
            self.screen.set_focus(self._focused, scroll_visible=False)
        else:
            self.screen.focus_next()
