"""The keys of the screen that one came from, made from its bindings and those of what has focus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.markup import content


class HelpScreen(ModalScreen[None]):
    """A box over the screen; any key of leaving closes it.

    Args:
        title: the screen's name.
        summary: what it shows.
        bindings: its keys, as they are in force.
        words: what can be typed after ``:``.
    """

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen VerticalScroll {
        width: 76; max-width: 100%; height: auto; max-height: 90%;
        border: round $primary; background: $panel; padding: 1 2;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "Close", show=False)
    ]

    def __init__(
        self,
        title: str,
        summary: str,
        bindings: Iterable[ActiveBinding],
        words: Iterable[str],
    ) -> None:
        super().__init__()
        self._heading, self._summary = title, summary
        self._bindings_shown = list(bindings)
        self._words = list(words)

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static(content(self._text()), markup=False)

    def _text(self) -> Iterable[Piece]:
        yield Piece(f"{self._heading}\n", Tone.TITLE)
        yield Piece(f"{self._summary}\n\n")
        for keys, description in self._keys():
            yield Piece(f"{keys:>18}  ", Tone.BUSY)
            yield Piece(f"{description}\n")
        yield Piece("\nafter :  ", Tone.TITLE)
        yield Piece(", ".join(self._words))

    def _keys(self) -> list[tuple[str, str]]:
        """Each action once, with all of its keys."""
        found: dict[str, tuple[list[str], str]] = {}
        for active in self._bindings_shown:
            binding = active.binding
            if binding.system or not binding.description:
                continue
            keys, _ = found.setdefault(binding.action, ([], active.tooltip or binding.description))
            keys.append(self.app.get_key_display(binding))
        return [(" ".join(dict.fromkeys(keys)), said) for keys, said in found.values()]
