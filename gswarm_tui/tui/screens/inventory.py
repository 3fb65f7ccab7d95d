"""The inventory as it was read: what each node is said to be, and what is not as it is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from gswarm_tui import wording
from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.tui.screens.machine import leave_to_shell
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.attention_table import in_words
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.fleet_table import STATES
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.watch.fields import HUNG
from gswarm_tui.watch.snapshot import Concern, FleetSnapshot, GpuState, Node, NodeState

_WHOLE: Final = (Concern.UNREACHABLE, Concern.HUNG, Concern.SILENT)
"""What needs a look that is wrong with a whole node."""


@dataclass(frozen=True, slots=True)
class InventoryRow:
    """A node as the inventory has it.

    Args:
        expected: the GPUs that it should have; None where the inventory does not say.
        missing: of these, those that the node does not have.
        found: the GPUs that the node has; None before it has answered.
        unreachable: why it does not answer.
        state: whether it answers.
        concern: what of the whole node needs a look, as `gswarm_tui.watch.attention` has it.
        where: ``file:line:column``.
    """

    name: str
    host: str
    user: str | None
    port: int | None
    jump: str | None
    connection: str
    root: str
    groups: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    engines: tuple[str, ...]
    expected: tuple[int, ...] | None
    found: tuple[int, ...] | None
    missing: tuple[int, ...]
    unreachable: str | None
    state: NodeState
    concern: Concern | None
    where: str | None

    @property
    def unexpected(self) -> tuple[int, ...]:
        """GPUs that the node has and the inventory does not name."""
        if self.expected is None or self.found is None:
            return ()
        return tuple([index for index in self.found if index not in self.expected])


class InventoryView(View):
    """The nodes of the inventory."""

    WORD = "inventory"
    TITLE = "Inventory"
    SUMMARY = "The inventory as it was read, where each node stands in it, and what is missing."
    ENTER = "the node"
    AUTO_FOCUS = "LineTable"
    CHANGES = frozenset({"shell"})

    DEFAULT_CSS = """
    InventoryView #about { padding: 0 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "shell", "Shell"),
        Binding("o", "sort", "Sort"),
        Binding("d", "describe", "Describe"),
    ]

    COLUMNS: ClassVar = (
        Column[InventoryRow]("node", lambda r: r.name, 10, share=1, order=lambda r: r.name),
        Column[InventoryRow]("state", lambda r: _state(r), 15, order=lambda r: _state(r).text),
        Column[InventoryRow]("reached at", lambda r: _address(r), 18, share=2),
        Column[InventoryRow]("groups", lambda r: ", ".join(r.groups), 10, share=1, least=130),
        Column[InventoryRow]("labels", lambda r: wording.labels(r.labels), 10, share=2, least=170),
        Column[InventoryRow]("root", lambda r: r.root, 12, share=1, least=130),
        Column[InventoryRow]("engines", lambda r: ", ".join(r.engines), 10, share=1, least=150),
        Column[InventoryRow]("GPUs", lambda r: _gpus(r), 16, share=2),
        Column[InventoryRow](
            "where", lambda r: Piece(r.where or "", Tone.DIM), 14, share=2, least=100
        ),
    )

    def body(self) -> Iterable[Widget]:
        yield Lines(id="about")
        yield LineTable(self.COLUMNS, lambda row: row.name, empty="the inventory names no node")

    def show(self, snapshot: FleetSnapshot) -> None:
        inventory = self.gswarm.inventory or Inventory({})
        seen = {node.name: node for node in snapshot.nodes}
        wrong = {each.node: each.concern for each in snapshot.attention if each.concern in _WHOLE}
        rows = [
            _row(spec, seen.get(name), wrong.get(name)) for name, spec in inventory.nodes.items()
        ]
        self.query_one("#about", Lines).show(list(_about(inventory, rows)))
        self.query_one(LineTable).show(self.fitting(rows, _texts))

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        if self.gswarm.snapshot.node(event.row.name) is not None:
            self.gswarm.open_view("node", event.row.name)

    def action_describe(self) -> None:
        """Everything that is known of the marked ones, or of that under the cursor."""
        self.describe({row.name: row for row in self.query_one(LineTable).marked})

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "shell":
            return self.has_shell()
        return super().check_action(action, parameters)

    def action_shell(self) -> None:
        row = self.query_one(LineTable).current
        if row is not None:
            leave_to_shell(self, row.name)


def _row(spec: NodeSpec, node: Node | None, concern: Concern | None) -> InventoryRow:
    gpus = () if node is None else node.gpus
    missing = tuple([gpu.index for gpu in gpus if gpu.state is GpuState.MISSING])
    down = node is not None and node.state is NodeState.UNREACHABLE
    known = node is not None and node.sampled_at is not None and not down
    found = tuple([gpu.index for gpu in gpus if gpu.index not in missing]) if known else None
    return InventoryRow(
        name=spec.name,
        host=spec.host,
        user=spec.user,
        port=spec.port,
        jump=spec.jump,
        connection=spec.connection,
        root=spec.root,
        groups=spec.groups,
        labels=tuple(spec.labels.items()),
        engines=tuple(spec.engines),
        expected=spec.capabilities.gpus,
        found=found,
        missing=missing,
        unreachable=(node.error or "it does not answer") if node is not None and down else None,
        state=NodeState.CONNECTING if node is None else node.state,
        concern=concern,
        where=spec.where,
    )


def _state(row: InventoryRow) -> Piece:
    """What needs a look of it, else whether it answers."""
    return STATES[row.state] if row.concern is None else in_words(row.concern)


def _address(row: InventoryRow) -> Cell:
    if row.connection == "local":
        return Piece("this machine, no ssh", Tone.DIM)
    user = f"{row.user}@" if row.user else ""
    port = f":{row.port}" if row.port else ""
    said = [Piece(f"{user}{row.host}{port}")]
    if row.jump:
        said.append(Piece(f" through {row.jump}", Tone.DIM))
    return said


def _gpus(row: InventoryRow) -> Cell:
    """How many there should be, and which are not there."""
    expected = "any" if row.expected is None else str(len(row.expected))
    if row.missing:
        return [Piece(f"{expected}  "), Piece(f"✖ missing: {_named(row.missing)}", Tone.BAD)]
    if row.unexpected:
        return [Piece(f"{expected}  "), Piece(f"! also has {_named(row.unexpected)}", Tone.WARN)]
    if row.found is None:
        unknown = "not known" if row.unreachable else "not known yet"
        return [Piece(expected), Piece(f"  {unknown}", Tone.DIM)]
    return [Piece(expected), Piece(f"  ✔ has {len(row.found)}", Tone.DIM)]


def _named(indices: Iterable[int]) -> str:
    return ", ".join(f"gpu{index}" for index in indices)


def _about(inventory: Inventory, rows: list[InventoryRow]) -> Iterator[Cell]:
    """The file, its groups, and its problems in numbers."""
    count = wording.number_of(len(rows), "node")
    if inventory.is_this_machine:
        yield Piece("no inventory found: this machine is the only node", Tone.TITLE)
        yield "write inventory.yaml here or in gswarm's data directory, and start again;"
        yield "`gswarm example` writes inventory.example.yaml, which shows what it can say"
        return
    elif inventory.path is None:
        yield [Piece("a simulated fleet", Tone.TITLE), Piece(f"   {count}, of no file", Tone.DIM)]
    else:
        read = f"   {count}, as it was read at the start"
        yield [Piece(str(inventory.path), Tone.TITLE), Piece(read, Tone.DIM)]
    if inventory.groups:
        groups = [f"{name} ({len(nodes)})" for name, nodes in inventory.groups.items()]
        yield Piece(f"groups: {', '.join(groups)}")
    problems = [
        (sum(bool(row.unreachable) for row in rows), "unreachable"),
        (sum(row.concern is Concern.HUNG for row in rows), "whose driver hangs"),
        (sum(row.concern is Concern.SILENT for row in rows), "without metrics or models"),
        (sum(bool(row.missing) for row in rows), "with a GPU missing"),
        (sum(bool(row.unexpected) for row in rows), "with a GPU that is not in it"),
    ]
    said = [f"{count} {what}" for count, what in problems if count]
    if said:
        yield Piece(f"✖ not as it says: {', '.join(said)}", Tone.BAD)
    else:
        yield Piece("✔ what has answered is as it says", Tone.GOOD)


def _texts(row: InventoryRow) -> Iterable[str | None]:
    """What the filter looks at."""
    words = [
        "missing" if row.missing else None,
        "unreachable" if row.unreachable else None,
        "unexpected" if row.unexpected else None,
        HUNG if row.concern is Concern.HUNG else None,
        row.concern,
    ]
    return (
        row.name,
        row.host,
        row.root,
        *row.groups,
        wording.labels(row.labels),
        *row.engines,
        *words,
    )
