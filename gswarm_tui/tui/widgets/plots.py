"""Several plots, beside and below each other as there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gswarm_tui.tui.widgets.cells import Cell
from gswarm_tui.tui.widgets.lines import Lines, beside
from gswarm_tui.tui.widgets.plot import TEN_MINUTES, Series, Span, plot
from gswarm_tui.watch.rings import History

_BESIDE: Final = 90
"""From so many columns on, two plots are beside each other."""
_GAP: Final = 2


class Plots(Lines):
    """Draws what was before; `height` is that of each area, in lines."""

    def __init__(self, *, height: int = 4) -> None:
        super().__init__()
        self._height = height
        self._series: tuple[Series, ...] = ()
        self._history = History()
        self._span, self._now = TEN_MINUTES, 0.0

    def show_series(
        self, series: Sequence[Series], history: History, span: Span, now: float
    ) -> None:
        """Draw these, as they were in the `span` up to `now`."""
        self._series, self._history = tuple(series), history
        self._span, self._now = span, now
        self._lay_out()

    def on_resize(self) -> None:
        super().on_resize()
        self._lay_out()

    def _lay_out(self) -> None:
        width = self.size.width
        if width == 0:
            return
        many = 2 if width >= _BESIDE else 1
        each = (width - _GAP * (many - 1)) // many
        blocks = [
            plot(self._history, series, self._span, self._now, each, self._height)
            for series in self._series
        ]
        lines: list[Cell] = []
        for start in range(0, len(blocks), many):
            row = blocks[start : start + many]
            lines += row[0] if len(row) == 1 else beside(row[0], row[1], each, _GAP)
        self.show(lines)
