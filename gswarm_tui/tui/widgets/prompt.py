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
from gswarm_tui.tui.widgets.markup import content

COMMAND = ":"
FILTER = "/"


class Completer(Suggester):
    """Completes the last word of a command from the words that can stand there."""

    def __init__(self, words: Callable[[str], Sequence[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._words = words

    async def get_suggestion(self, value: str) -> str | None:
        start, _, last = value.rpartition(" ")
        for word in self._words(start):
            if word.startswith(last) and word != last:
                return f"{start} {word}" if start else word
        return None


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


class Prompt(Input):
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
        Binding("escape", "leave", "Leave", show=False),
        Binding("tab", "complete", "Complete", show=False, priority=True),
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

    def __init__(self, words: Callable[[str], Sequence[str]]) -> None:
        super().__init__(suggester=Completer(words), select_on_focus=False)
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

    def refuse(self, text: str, why: str) -> None:
        """Ask once more for a command that cannot be obeyed."""
        self.open(COMMAND, text)
        self._refused = text
        self.screen.query_one(Refusal).say(why)

    def give_back_to(self, widget: Widget, *others: Widget) -> None:
        """Give the focus to this one when it is left, if it came from one of the others."""
        if self._focused in others:
            self._focused = widget

    def action_complete(self) -> None:
        self.action_cursor_right()
        self.cursor_position = len(self.value)

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
