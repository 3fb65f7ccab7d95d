"""A graph of tasks: a table whose cursor goes from task to task, however many lines each has."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import cast

from gswarm_tui.tui.job_graph import GraphRow
from gswarm_tui.tui.widgets.line_table import Column, LineTable


class Graph(LineTable[GraphRow]):
    """The lines of `job_graph.rows`."""

    DEFAULT_CSS = """
    Graph { height: 1fr; }
    """

    def __init__(self, *, empty: str) -> None:
        column = Column[GraphRow]("tasks", lambda row: row.pieces, 10, share=1)
        super().__init__((column,), lambda row: (row.step, row.number), empty=empty, marks=False)

    @property
    def step(self) -> str | None:
        """The id of the task under the cursor."""
        return None if self.current is None else self.current.step

    def turn_to(self, step: str) -> None:
        """Go to a task."""
        for place, row in enumerate(self.rows):
            if row.step == step:
                self._go_to(place)
                return

    def _place(self, places: Mapping[Hashable, int], old: Sequence[Hashable]) -> int:
        """Unfolded, it is on the first of the tasks that it was on; folded, on all of them."""
        if old and old[self.cursor] not in places:
            step, _ = cast("tuple[str, int]", old[self.cursor])
            for place, row in enumerate(self.rows):
                if _stem(row.step) == _stem(step):
                    return place
        return self._first_line(super()._place(places, old))

    def action_move(self, by: int) -> None:
        """To the next task, or the one before."""
        place = self.cursor + by
        while 0 <= place < len(self.rows) and self.rows[place].number:
            place += by
        self._go_to(place)

    def _go_to(self, place: int) -> None:
        super()._go_to(self._first_line(max(0, min(place, len(self.rows) - 1))))

    def _first_line(self, place: int) -> int:
        """That of the task that has this line."""
        while self.rows and place and self.rows[place].number:
            place -= 1
        return place


def _stem(step: str) -> str:
    """What the tasks of a ``for_each`` have in common."""
    return step.partition("[")[0]
