"""A line of a form that is on or off."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from gswarm_tui.tui.widgets.cells import Piece
from gswarm_tui.tui.widgets.markup import content


class Tick(Widget, can_focus=True):
    """``[x]`` or ``[ ]``, and what it is about: Textual's own differs by colour only."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Tick { height: 1; width: 1fr; pointer: pointer; }
    Tick:focus { background: $primary-muted; text-style: bold; }
    Tick:ansi:focus, Tick:nocolor:focus { background: ansi_default; text-style: bold underline; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "turn", "On or off", show=False),
    ]

    value: reactive[bool] = reactive(False)

    class Changed(Message):
        """It was turned on or off."""

    def __init__(self, label: str, value: bool = False, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._label = label
        self.set_reactive(Tick.value, value)

    def render(self) -> Content:
        return content([Piece(f"[{'x' if self.value else ' '}] {self._label}")])

    def action_turn(self) -> None:
        self.value = not self.value
        self.post_message(self.Changed())

    def on_click(self) -> None:
        self.action_turn()
