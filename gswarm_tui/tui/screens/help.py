"""The keys of the screen that one came from, made from its bindings and those of what has focus.

Its own come first, then those of what has the focus, then those of all screens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from textual.app import App, ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.keys import Keys
from gswarm_tui.tui.widgets.markup import content

_OWN: Final = "here"
_FOCUSED: Final = "in the table or the text"
_COMMON: Final = "everywhere"
_PARTS: Final = (_OWN, _FOCUSED, _COMMON)
_OURS: Final = "gswarm_tui."


class HelpScreen(ModalScreen[None]):
    """A box over the screen; any key of leaving closes it.

    Args:
        title: the screen's name.
        summary: what it shows.
        bindings: its keys, as they are in force.
        words: what can be typed after ``:``.
        enter: what Enter opens.
    """

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen VerticalScroll {
        width: 76; max-width: 100%; height: auto; max-height: 90%;
        border: round $primary; background: $panel; padding: 1 2;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "Close")
    ]

    def __init__(
        self,
        title: str,
        summary: str,
        bindings: Iterable[ActiveBinding],
        words: Iterable[str],
        enter: str = "",
    ) -> None:
        super().__init__()
        self._heading, self._summary, self._enter = title, summary, enter
        self._bindings_shown = list(bindings)
        self._words = list(words)

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static(content(self._text()), markup=False)
        yield Keys()

    def _text(self) -> Iterable[Piece]:
        yield Piece(f"{self._heading}\n", Tone.TITLE)
        yield Piece(f"{self._summary}\n")
        for heading, lines in self._parts().items():
            if lines:
                yield Piece(f"\n{heading}\n", Tone.TITLE)
            for keys, description in lines:
                yield Piece(f"{keys:>18}  ", Tone.BUSY)
                yield Piece(f"{description}\n")
        yield Piece("\nafter :  ", Tone.TITLE)
        yield Piece(", ".join(self._words))

    def _parts(self) -> dict[str, list[tuple[str, str]]]:
        """The lines of each part: each action once, with all of its keys."""
        found: dict[str, dict[str, tuple[list[str], str]]] = {part: {} for part in _PARTS}
        of_all_screens_first = sorted(self._bindings_shown, key=_is_of_application)
        for active in of_all_screens_first:
            part = _part(active)
            if part is not None:
                said = self._said(active)
                keys, _ = found[part].setdefault(active.binding.action, ([], said))
                keys.append(self.app.get_key_display(active.binding))
        return {
            part: [(" ".join(dict.fromkeys(keys)), said) for keys, said in lines.values()]
            for part, lines in found.items()
        }

    def _said(self, active: ActiveBinding) -> str:
        said = active.tooltip or active.binding.description
        if active.binding.action == "choose" and self._enter:
            return f"{said} {self._enter}"
        return said


def _is_of_application(active: ActiveBinding) -> bool:
    return isinstance(active.node, App)


def _part(active: ActiveBinding) -> str | None:
    """In which part a key stands; None for those that Textual gives everything.

    Keys of the user's own are other ones, so it goes by what they do.
    """
    for owner in type(active.node).__mro__:
        some = vars(owner).get("BINDINGS", ()) if owner.__module__.startswith(_OURS) else ()
        does = [each.action for each in some if isinstance(each, Binding)]
        if active.binding.description and active.binding.action in does:
            if owner is View or issubclass(owner, App):
                return _COMMON
            return _OWN if issubclass(owner, View) else _FOCUSED
    return None
