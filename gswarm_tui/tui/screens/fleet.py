"""Every GPU of every node, and what needs a look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget

from gswarm_tui import wording
from gswarm_tui.errors import UsageError
from gswarm_tui.tui.fleet_rows import FleetRow, fleet_rows, groupings
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.attention_table import AttentionTable
from gswarm_tui.tui.widgets.fleet_table import FleetTable
from gswarm_tui.tui.widgets.gpu_card import HEIGHT, WIDTH
from gswarm_tui.tui.widgets.gpu_cards import GpuCards
from gswarm_tui.tui.widgets.heat import LEGEND
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.place import Place
from gswarm_tui.tui.widgets.prompt import Prompt
from gswarm_tui.watch.fields import NOBODY
from gswarm_tui.watch.filters import Filter, parse
from gswarm_tui.watch.snapshot import Attention, Concern, FleetSnapshot, Node

_FEW = 16
"""Up to so many GPUs are shown as cards where nothing else was asked for."""
_NO_GPU = frozenset({"cards"})
"""What could only show nothing where there is no GPU."""
_LOW = 12
"""With fewer lines, all of them are for the nodes; the header counts what needs a look."""
_FOR_LINES = 150
"""What needs a look stands beside the nodes where these keep so many columns."""
_AROUND = 6
"""What stands above and below the nodes, in lines, when nothing needs a look."""


class FleetView(View):
    """Home: nodes as lines of heat, or GPUs as cards."""

    WORD = "fleet"
    TITLE = "Fleet"
    SUMMARY = f"Every GPU of every node. {LEGEND}."
    ENTER = "the node or the GPU; fold or unfold a group"
    AUTO_FOCUS = "FleetTable"
    KEYED = (LineTable, GpuCards)
    CHANGES = frozenset({"shell"})

    DEFAULT_CSS = """
    FleetView #fleet { layout: vertical; height: 1fr; background: $surface; }
    FleetView #attention { display: none; }
    FleetView.-attention #attention { display: block; }
    FleetView.-wide #fleet { layout: horizontal; }
    FleetView.-wide #attention { height: 100%; margin: 0 0 0 1; }
    FleetView GpuCards { display: none; }
    FleetView.-cards GpuCards { display: block; }
    FleetView.-cards FleetTable { display: none; }
    FleetView.-cards.-others FleetTable { display: block; max-height: 50%; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "cards", "Cards"),
        Binding("v", "lines", "Lines"),
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
            yield AttentionTable()
            with Vertical():
                yield GpuCards()
                yield FleetTable()

    # Drawing

    def show(self, snapshot: FleetSnapshot) -> None:
        wanted = self._wanted()
        rows = fleet_rows(snapshot, wanted, "node")
        shows_cards = self._shows_cards(snapshot, rows)
        lines = self._lines_of_cards(snapshot) if shows_cards else len(snapshot.nodes)
        self._show_attention(
            _of(snapshot.attention, rows) if wanted.tests else snapshot.attention, lines
        )
        self.query_one(FleetTable).hides = bool(self.filter or self._folded or shows_cards)
        self.fit = _fit(snapshot, rows)
        vain = frozenset[str]() if any(node.gpus for node in snapshot.nodes) else _NO_GPU
        if vain != self.vain:
            self.vain = vain
            self.refresh_bindings()
        if shows_cards:
            gpus = [gpu for row in rows for gpu in row.gpus]
            concerns: dict[tuple[str, int | None], Concern] = {}
            for each in snapshot.attention:
                concerns.setdefault((each.node, each.gpu), each.concern)
            cards = self.query_one(GpuCards)
            text = wanted.text
            cards.instead = f"no GPU fits the filter `{text}`; Esc takes it away" if text else ""
            cards.show_gpus(gpus, concerns, self.gswarm.source.history, snapshot.time)
            self._show_others([row for row in rows if not row.gpus])
        else:
            if self._group_by != "node":
                rows = fleet_rows(snapshot, wanted, self._group_by, self._folded)
            table = self.query_one(FleetTable)
            table.styles.height = "1fr"
            is_beside = self.has_class("-wide") and self.has_class("-attention")
            table.show(rows, says_wrong=not is_beside)

    def _show_others(self, rows: Sequence[FleetRow]) -> None:
        """The nodes without a card stand as lines below the cards."""
        table = self.query_one(FleetTable)
        if not rows and table.has_focus:
            self.set_focus(self.query_one(GpuCards))
        self.set_class(bool(rows), "-others")
        table.styles.height = 1 + len(rows)
        table.show(rows)

    def note(self) -> str:
        self.fit = "" if self._mistake else self.fit
        said = super().note()
        if self._mistake:
            said += f"   ✗ {self._mistake}"
        inventory = self.gswarm.inventory
        if inventory is not None and inventory.is_this_machine and not self.filter:
            said += "   no inventory found: this machine is the only node; see :inventory"
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

    def why_no_filter(self, text: str) -> str | None:
        try:
            parse(text)
        except UsageError as error:
            return "\n".join(filter(None, (error.message, error.hint)))
        return None

    def _show_attention(self, attention: Sequence[Attention], below: int) -> None:
        """Show what needs a look; above what takes so many lines, or beside it."""
        table = self.query_one(AttentionTable)
        has_room = bool(attention) and self.size.height >= _LOW
        if has_room != self.has_class("-attention"):
            self.set_class(has_room, "-attention")
            self.refresh_bindings()
        wide = self.size.width - table.room_for(attention) >= _FOR_LINES
        self.set_class(wide, "-wide")
        if wide:
            table.styles.width = table.room_for(attention)
        else:
            table.styles.width = "100%"
            spare = self.size.height - _AROUND - below
            most = max(2, self.size.height // 6, spare)
            table.styles.height = 1 + min(len(attention), most)
        table.show(attention)

    def _shows_cards(self, snapshot: FleetSnapshot, rows: Sequence[FleetRow]) -> bool:
        cards = self._cards
        if cards is None:
            count = sum(len(node.gpus) for node in snapshot.nodes)
            has_room = self._lines_of_cards(snapshot) <= self.size.height - _AROUND
            cards = 0 < count <= _FEW and has_room
        cards = cards and (not rows or any(row.gpus for row in rows))
        if cards != self.has_class("-cards"):
            tables = self.query_one(FleetTable), self.query_one(GpuCards)
            had_focus = self.focused in (None, *tables)
            self.set_class(cards, "-cards")
            self.refresh_bindings()
            self.query_one(Prompt).give_back_to(tables[cards], *tables)
            if had_focus:
                self.set_focus(tables[cards])
        return cards

    def _lines_of_cards(self, snapshot: FleetSnapshot) -> int:
        """How many lines the cards take, with the nodes that have none."""
        count = sum(len(node.gpus) for node in snapshot.nodes)
        others = sum(not node.gpus for node in snapshot.nodes)
        rows = -(-count // max(1, self.size.width // WIDTH))
        return rows * HEIGHT + (1 + others if others else 0)

    def on_resize(self, event: events.Resize) -> None:
        self.redraw()

    # Keys

    def action_cards(self) -> None:
        self._cards = True
        self.redraw()

    def action_lines(self) -> None:
        self._cards = False
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
        if self._is_on_cards:
            nodes = [self.node]
        else:
            nodes = [row.node for row in self.query_one(FleetTable).marked]
        self.describe({node.name: node for node in nodes if node is not None})

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "shell":
            return self.has_shell()
        if action == "attention":
            return self.has_class("-attention")
        if action in ("cards", "lines"):
            return (action == "lines") == self.has_class("-cards")
        if action == "group":
            return not self.has_class("-cards")
        return super().check_action(action, parameters)

    def action_shell(self) -> None:
        if self.node is not None:
            from gswarm_tui.tui.screens.machine import leave_to_shell

            leave_to_shell(self, self.node.name)

    @property
    def _is_on_cards(self) -> bool:
        """Whether keys are for the card under the cursor, not for a line."""
        return self.has_class("-cards") and not self.query_one(FleetTable).has_focus

    def places(self) -> list[Place]:
        return [*super().places(), self.query_one(GpuCards).place]

    @property
    def node(self) -> Node | None:
        """The node that the cursor is on."""
        if self._is_on_cards:
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


def _of(attention: Iterable[Attention], rows: Iterable[FleetRow]) -> list[Attention]:
    """What needs a look of the nodes and GPUs that are shown."""
    nodes = {row.node.name for row in rows if row.node is not None}
    gpus = {(gpu.node, gpu.index) for row in rows for gpu in row.gpus}
    return [
        each
        for each in attention
        if (each.node in nodes if each.gpu is None else (each.node, each.gpu) in gpus)
    ]


def _fit(snapshot: FleetSnapshot, rows: Sequence[FleetRow]) -> str:
    """How many GPUs the filter lets through, and how busy they are."""
    gpus = [gpu for row in rows for gpu in row.gpus]
    loads = [gpu.util_percent for gpu in gpus if gpu.util_percent is not None]
    busy = f", {sum(loads) / len(loads):.0f} % busy" if loads else ""
    of = wording.number_of(sum(map(_count, snapshot.nodes)), "GPU")
    untold = sum(_count(row.node) for row in rows if row.node is not None and not row.gpus)
    return f"{len(gpus) + untold} of {of} fit{busy}"


def _count(node: Node) -> int:
    """How many GPUs a node has; while it tells of none, as many as were known last."""
    return len(node.gpus) or node.gpu_count
