"""A graph of tasks: a table whose cursor goes from task to task, however many lines each has."""

from __future__ import annotations

from gswarm_tui.tui.job_graph import GraphRow
from gswarm_tui.tui.widgets.line_table import Column, LineTable


class Graph(LineTable[GraphRow]):
    """The lines of `job_graph.rows`."""

    DEFAULT_CSS = """
    Graph { height: 1fr; }
    """

    def __init__(self, *, empty: str) -> None:
        column = Column[GraphRow]("tasks", lambda row: row.pieces, 10, share=1)
        super().__init__((column,), lambda row: (row.step, row.number), empty=empty)

    @property
    def step(self) -> str | None:
        """The id of the task under the cursor."""
        return None if self.current is None else self.current.step

    def action_move(self, by: int) -> None:
        """To the next task, or the one before."""
        place = self.cursor + by
        while 0 <= place < len(self.rows) and self.rows[place].number:
            place += by
        self._go_to(place)

    def _go_to(self, place: int) -> None:
        """To the first line of the task that has this line."""
        place = max(0, min(place, len(self.rows) - 1))
        while self.rows and place and self.rows[place].number:
            place -= 1
        super()._go_to(place)
