"""One of a few words, chosen from a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from gswarm_tui.tui.widgets.cells import Piece
from gswarm_tui.tui.widgets.keys import Keys
from gswarm_tui.tui.widgets.markup import content

_LEAST: Final = 30
_BORDER: Final = 6
"""What stands around a title, in columns."""


class ChoiceScreen(ModalScreen[str | None]):
    """Gives the word that was chosen; None where it was left.

    Args:
        title: what is chosen.
        now: the word that counts at present.
    """

    DEFAULT_CSS = """
    ChoiceScreen { align: center middle; }
    ChoiceScreen OptionList {
        width: auto; max-width: 60; height: auto; max-height: 80%;
        border: round $primary; background: $panel;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Leave", show=False),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def __init__(self, title: str, words: Sequence[str], now: str | None = None) -> None:
        super().__init__()
        self._heading, self._words, self._now = title, list(words), now

    def compose(self) -> ComposeResult:
        options = OptionList(*(Option(content([Piece(word)])) for word in self._words))
        options.border_title = content([Piece(self._heading)])
        options.styles.min_width = max(_LEAST, cell_len(self._heading) + _BORDER)
        if self._now in self._words:
            options.highlighted = self._words.index(self._now)
        yield options
        yield Keys(lambda active: active.binding.action in ("select", "dismiss"))

    def action_down(self) -> None:
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        self.query_one(OptionList).action_cursor_up()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._words[event.option_index])
