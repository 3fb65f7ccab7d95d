"""A line of a form or of a talk in which one types."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.geometry import Region
from textual.suggester import Suggester
from textual.widgets import Input

from gswarm_tui import wording


class Words(Suggester):
    """Completes the last of several words with commas between them."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._words = words

    async def get_suggestion(self, value: str) -> str | None:
        cut = max(value.rfind(","), value.rfind(" ")) + 1
        before, last = value[:cut], value[cut:]
        given = value[:cut].replace(",", " ").split()
        found = (w for w in self._words if w.startswith(last) and w != last and w not in given)
        word = next(found, None) if last else None
        return None if word is None else f"{before}{word}"


class LineInput(Input):
    """One line; of several that are pasted nothing is lost, where Textual's own has the first.

    Args:
        hint: what stands there while it is empty.
        words: what completes the last word of it.
    """

    def __init__(
        self,
        value: str = "",
        *,
        hint: str = "",
        words: Sequence[str] = (),
        id: str | None = None,  # noqa: A002 - Textual's word
    ) -> None:
        super().__init__(
            wording.clean(value),
            placeholder=wording.clean(hint),
            suggester=Words([wording.clean(word) for word in words]),
            select_on_focus=False,
            id=id,
        )

    def joined(self, lines: Sequence[str]) -> str:
        """Several lines as one; none of them is empty, or has blanks around it."""
        return " ".join(lines)

    def on_resize(self) -> None:
        self._show_cursor()

    def _show_cursor(self) -> None:
        """Bring the cursor in sight: Textual does not for the first text that stands there."""
        x = self.cursor_screen_offset.x - self.content_region.x + self.scroll_offset.x
        self.scroll_to_region(Region(x, 0, 1, 1), force=True, animate=False)

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()  # Textual calls the handlers of every class
        event.stop()
        self._put(event.text)

    def action_paste(self) -> None:
        """What was copied here last, as what the terminal pastes."""
        self._put(self.app.clipboard)

    def _put(self, text: str) -> None:
        lines = text.expandtabs(1).splitlines()
        full = [line.strip() for line in lines if line.strip()]
        line = self.joined(full) if len(full) > 1 else "".join(full if len(lines) > 1 else lines)
        self.replace(wording.clean(line), *self.selection)
        self._show_cursor()
