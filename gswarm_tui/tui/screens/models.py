"""Which model is where: models by nodes, with the keys that place them."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events, on
from textual.widget import Widget

from gswarm_tui.tui.model_forms import BY_HAND
from gswarm_tui.tui.residency import LEGEND, details, model_rows
from gswarm_tui.tui.screens.placing_view import PlacingView
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.tui.widgets.model_table import ModelTable
from gswarm_tui.watch.snapshot import FleetSnapshot, Model


class ModelsView(PlacingView):
    """The residency matrix; on a narrow terminal, counts."""

    WORD = "models"
    TITLE = "Models"
    SUMMARY = (
        "Which model is on which node, on disk, in memory, on a GPU, served or on its way there."
        " < and > show other nodes."
    )
    ENTER = "the model"
    AUTO_FOCUS = "ModelTable"
    KEYED = (ModelTable,)

    DEFAULT_CSS = """
    ModelsView #free { height: 1; display: none; }
    ModelsView.-matrix #free { display: block; }
    ModelsView #details { margin: 1 1 0 1; }
    ModelsView #legend { height: 1; margin: 0 1; }
    """

    def body(self) -> Iterable[Widget]:
        yield Lines(id="free")
        yield ModelTable()
        yield Lines(id="details")
        yield Lines(id="legend")

    def show(self, snapshot: FleetSnapshot) -> None:
        rows = self.fitting(
            model_rows(snapshot), lambda row: (row.name, row.model.source, row.model.type)
        )
        table = self.query_one(ModelTable)
        table.show_models(rows, snapshot.nodes)
        self._show_around()

    @on(LineTable.Moved)
    def _show_around(self) -> None:
        """What stands above and below the table."""
        table = self.query_one(ModelTable)
        self.set_class(table.is_matrix, "-matrix")
        self.query_one("#free", Lines).show([table.free_line()])
        lines = max(3, self.size.height // 4)
        snapshot = self.gswarm.snapshot
        found = details(table.current, snapshot.nodes, lines, snapshot.time)
        if not snapshot.models:
            found = [Piece(f"  the same by hand: {BY_HAND}", Tone.DIM)]
        self.query_one("#details", Lines).show([*found, *([""] * (lines - len(found)))])
        self.query_one("#legend", Lines).show([LEGEND])

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.redraw)

    def models_chosen(self) -> list[Model]:
        return [row.model for row in self.query_one(ModelTable).marked]

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.gswarm.open_view("model", event.row.name)

    def action_describe(self) -> None:
        """Everything that is known of the marked ones, or of that under the cursor."""
        models = self.models_chosen()
        if models:
            self.describe({model.name: model for model in models})
        else:
            self.say_there_is_none()
