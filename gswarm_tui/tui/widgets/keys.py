"""The line with the keys of the screen."""

from __future__ import annotations

from typing import final

from textual.app import ComposeResult
from textual.widgets import Footer


@final
class Keys(Footer):
    """Textual's footer, which lets go of the keys that it showed before.

    Each time other keys count, it makes widgets for them that watch its ``compact``; those of
    before are only forgotten when that changes (Textual 8.2), so a home screen that is open all day
    would keep some for each way back to it.
    """

    def compose(self) -> ComposeResult:
        self.mutate_reactive(Keys.compact)
        yield from super().compose()
