"""Every GPU of every node, and what needs a look."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget

from gswarm_tui.errors import UsageError
from gswarm_tui.tui.fleet_rows import FleetRow, fleet_rows, groupings
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.shell import has_shell
from gswarm_tui.tui.widgets.attention_table import AttentionTable
from gswarm_tui.tui.widgets.fleet_table import FleetTable
from gswarm_tui.tui.widgets.gpu_card import HEIGHT, WIDTH
from gswarm_tui.tui.widgets.gpu_cards import GpuCards
from gswarm_tui.tui.widgets.heat import LEGEND
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.watch.fields import NOBODY
from gswarm_tui.watch.filters import Filter, parse
from gswarm_tui.watch.snapshot import Concern, FleetSnapshot, Node

_FEW = 16
"""Up to so many GPUs are shown as cards where nothing else was asked for."""
_LOW = 12
"""With fewer lines, all of them are for the nodes; the header counts what needs a look."""
_WIDE = 200
"""From so many columns on, what needs a look stands beside the nodes."""


class FleetView(View):
    """Home: nodes as lines of heat, or GPUs as cards."""

    WORD = "fleet"
    TITLE = "Fleet"
    SUMMARY = f"Every GPU of every node. {LEGEND}."
    ENTER = "the node or the GPU; fold or unfold a group"
    AUTO_FOCUS = "FleetTable"
    CHANGES = frozenset({"shell"})

    DEFAULT_CSS = """
    FleetView #fleet { layout: vertical; height: 1fr; }
    FleetView #attention { display: none; }
    FleetView.-attention #attention { display: block; }
    FleetView.-wide #fleet { layout: horizontal; }
    FleetView.-wide #attention { width: 84; height: 100%; margin: 0 0 0 1; }
    FleetView GpuCards { display: none; }
    FleetView.-cards GpuCards { display: block; }
    FleetView.-cards FleetTable { display: none; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "lines_or_cards", "Cards"),
        Binding("o", "sort", "Sort"),
        Binding("n", "group", "Group"),
        Binding("a", "attention", "Look at", tooltip="What needs a look"),
        Binding("s", "shell", "Shell", show=False),
        Binding("d", "describe", "Describe", show=False),
    ]

    def __init__(self, subject: str | None = None) -> None:
        super().__init__(subject)
        self._group_by = "node"
        self._folded: set[str] = set()
        self._cards: bool | None = None
        """What was asked for; None leaves it to the number of GPUs and the width."""
        self._understood: tuple[str, Filter] = ("", Filter(""))
        self._mistake = ""

    def body(self) -> Iterable[Widget]:
        with Container(id="fleet"):
            yield AttentionTable(id="attention")
            with Vertical():
                yield FleetTable()
                yield GpuCards()

    # Drawing

    def show(self, snapshot: FleetSnapshot) -> None:
        wanted = self._wanted()
        self._show_attention(snapshot)
        if self._shows_cards(snapshot):
            gpus = [gpu for row in fleet_rows(snapshot, wanted, "node") for gpu in row.gpus]
            concerns: dict[tuple[str, int | None], Concern] = {}
            for each in snapshot.attention:
                concerns.setdefault((each.node, each.gpu), each.concern)
            cards = self.query_one(GpuCards)
            cards.show_gpus(gpus, concerns, self.gswarm.source.history, snapshot.time)
        else:
            rows = fleet_rows(snapshot, wanted, self._group_by, self._folded)
            self.query_one(FleetTable).show(rows)

    def note(self) -> str:
        said = super().note()
        if self._mistake:
            said += f"   ✗ {self._mistake}"
        if self._group_by != "node" and not self.has_class("-cards"):
            said += f"   by {self._group_by}"
        return said

    def _wanted(self) -> Filter:
        """The filter as far as it is understood; while it is typed, the last one that was."""
        self._mistake = ""
        if self.filter != self._understood[0]:
            try:
                self._understood = (self.filter, parse(self.filter))
            except UsageError as error:
                self._mistake = error.message
        return self._understood[1]

    def _show_attention(self, snapshot: FleetSnapshot) -> None:
        table = self.query_one(AttentionTable)
        has_room = bool(snapshot.attention) and self.size.height >= _LOW
        if has_room != self.has_class("-attention"):
            self.set_class(has_room, "-attention")
            self.refresh_bindings()
        wide = self.size.width >= _WIDE
        self.set_class(wide, "-wide")
        if not wide:
            table.styles.height = 1 + min(len(snapshot.attention), max(2, self.size.height // 6))
        table.show(snapshot.attention)

    def _shows_cards(self, snapshot: FleetSnapshot) -> bool:
        cards = self._cards
        if cards is None:
            count = sum(len(node.gpus) for node in snapshot.nodes)
            rows = -(-count // max(1, self.size.width // WIDTH))
            cards = 0 < count <= _FEW and rows * HEIGHT <= self.size.height - 6
        if cards != self.has_class("-cards"):
            had_focus = isinstance(self.focused, FleetTable | GpuCards | None)
            self.set_class(cards, "-cards")
            self.refresh_bindings()
            if had_focus:
                self.set_focus(self.query_one(GpuCards if cards else FleetTable))
        return cards

    def on_resize(self, event: events.Resize) -> None:
        self.redraw()

    # Keys

    def action_lines_or_cards(self) -> None:
        self._cards = not self.has_class("-cards")
        self.redraw()

    def action_group(self) -> None:
        from gswarm_tui.tui.screens.choice import ChoiceScreen

        def group(word: str | None) -> None:
            if word is not None:
                self._group_by, self._folded = word, set()
                self.redraw()

        words = groupings(self.gswarm.snapshot)
        self.app.push_screen(ChoiceScreen("Group by", words, self._group_by), group)

    def action_attention(self) -> None:
        """Go to what needs a look, or back to the nodes."""
        table = self.query_one(AttentionTable)
        if table.has_focus:
            self.set_focus(self.query_one(GpuCards if self.has_class("-cards") else FleetTable))
        else:
            self.set_focus(table)

    def action_describe(self) -> None:
        """Everything that is known of the marked nodes, or of that under the cursor."""
        if self.has_class("-cards"):
            nodes = [self.node]
        else:
            nodes = [row.node for row in self.query_one(FleetTable).marked]
        self.describe({node.name: node for node in nodes if node is not None})

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "shell":
            return has_shell(self)
        if action == "attention":
            return self.has_class("-attention")
        if action == "group":
            return not self.has_class("-cards")
        return super().check_action(action, parameters)

    def action_shell(self) -> None:
        if self.node is not None:
            from gswarm_tui.tui.screens.machine import leave_to_shell

            leave_to_shell(self, self.node.name)

    @property
    def node(self) -> Node | None:
        """The node that the cursor is on."""
        if self.has_class("-cards"):
            gpu = self.query_one(GpuCards).current
            return None if gpu is None else self.gswarm.snapshot.node(gpu.node)
        row = self.query_one(FleetTable).current
        return None if row is None else row.node

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        if isinstance(event.row, FleetRow):
            self._enter(event.row)
        else:
            self._open(event.row.node, event.row.gpu)

    @on(GpuCards.Chosen)
    def _card_chosen(self, event: GpuCards.Chosen) -> None:
        self._open(event.gpu.node, event.gpu.index)

    def _enter(self, row: FleetRow) -> None:
        if row.node is not None:
            self._open(row.node.name, None)
            return
        self._folded ^= {row.group or NOBODY}
        self.redraw()

    def _open(self, node: str, gpu: int | None) -> None:
        if gpu is None:
            self.gswarm.open_view("node", node)
        else:
            self.gswarm.open_view("gpu", f"{node}:gpu{gpu}")
