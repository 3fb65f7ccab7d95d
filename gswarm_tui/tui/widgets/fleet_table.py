"""A node a line: its GPUs as heat, what they use, and who uses them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from typing import Final

from gswarm_tui import wording
from gswarm_tui.tui.fleet_rows import FleetRow
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, fit, level, pieces
from gswarm_tui.tui.widgets.column import GAP, as_wide_as, in_room
from gswarm_tui.tui.widgets.heat import Heat
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.tui.widgets.place import Place
from gswarm_tui.watch.fields import HUNG, NO_GPU, hangs, has_no_gpu
from gswarm_tui.watch.snapshot import Node, NodeState

STATES: Final = {
    NodeState.UP: Piece("● up", Tone.GOOD),
    NodeState.CONNECTING: Piece("◌ connecting", Tone.DIM),
    NodeState.UNREACHABLE: Piece("✗ unreachable", Tone.BAD),
}
HOT_C: Final = 85.0
"""From here on most cards slow down soon."""

_FIRST: Final = ("node", "state", "gpus", "util", "mem", "temp", "power", "users")
"""The columns that are there however narrow the terminal is, if a node has something for them."""
_WISHED: Final = {"models": 6, "card": 2, "net in": 11, "net out": -11, "labels": 2, "wrong": 2}
"""So much more than their width is there to be before these columns are shown. What goes out is not
shown without what comes in, nor the other way round."""
_SPARED: Final = 30
"""So much of the room of a column that is not wanted goes to those before it."""
_LOOKED_AT: Final = 128
"""So many nodes, evenly spread, say how wide the columns of a wide terminal are to be."""
_NEVER: Final = 1_000_000
"""No terminal is so wide."""


class FleetTable(LineTable[FleetRow]):
    """The nodes, with headings where they are in groups."""

    def __init__(self) -> None:
        self._heat = Heat()
        super().__init__(
            self._columns_of(8),
            lambda row: row.key,
            empty="the inventory names no node",
            heading=_heading,
            subject=lambda row: row.node.name if row.node else None,
        )
        self.place = Place(from_top=True)

    def show(self, rows: Sequence[FleetRow], *, says_wrong: bool = True) -> None:
        """Show these rows, with room for the GPUs of the node that has most.

        Args:
            says_wrong: whether what is wrong has a column; it needs none where it stands beside.
        """
        nodes = [row for row in rows if row.node is not None]
        most = max((len(_node(row).gpus) for row in nodes), default=0)
        columns: Sequence[Column[FleetRow]] = self._columns_of(8 if most <= 8 else 16)
        if not says_wrong:  # there is so much room that it is worth its while to share it well
            columns = as_wide_as(columns, self._sample(nodes))
        self.set_columns(_placed(columns, nodes, () if says_wrong else ("wrong",)))
        super().show(rows)

    def _sample(self, nodes: Sequence[FleetRow]) -> Sequence[FleetRow]:
        """Those of the nodes whose texts say how wide a column is to be: to look at thousands each
        second would cost more than all else."""
        return nodes[:: max(1, len(nodes) // _LOOKED_AT)]

    def _columns_of(self, gpus: int) -> tuple[Column[FleetRow], ...]:
        return (
            Column("node", lambda r: _node(r).name, 9, 1, order=lambda r: _node(r).name),
            Column("state", state, 13, order=lambda r: _node(r).state),
            Column("gpus", self._gpus, gpus),
            Column("util", _util, 5, right=True, order=lambda r: r.util_percent),
            Column("mem", _memory, 5, right=True, order=lambda r: r.memory_percent),
            Column("temp", _temperature, 5, right=True, order=lambda r: r.temperature_c),
            Column("power", _power, 7, right=True, order=lambda r: r.power_w),
            Column("users", lambda r: ", ".join(r.users), 7, 2, order=lambda r: r.users or None),
            Column("models", _models, 12, 4, order=lambda r: r.models or None),
            Column("card", _card, 18, 1, order=lambda r: _card(r) or None),
            Column("cpu", _cpu, 5, right=True, order=lambda r: _node(r).host.cpu_percent),
            Column("ram", _ram, 5, right=True, order=_ram_percent),
            Column("disk free", _disk, 9, right=True, order=_disk_free),
            Column("net in", _net_in, 9, right=True, order=_net_in_rate),
            Column("net out", _net_out, 9, right=True, order=_net_out_rate),
            Column("labels", _labels, 12, 4, order=lambda r: _labels(r) or None),
            Column("wrong", _wrong, 20, 2, order=lambda r: _wrong(r).text or None),
            Column("address", lambda r: _node(r).address, 15, order=_address),
            Column("driver", lambda r: _node(r).driver or "", 11, order=lambda r: _node(r).driver),
        )

    def _pieces(self, row: FleetRow, width: int) -> list[Piece]:
        """What stands in a line; a node that has nothing for most columns says what it has."""
        shown = in_room(self._columns, width)
        said = _instead(row, {column.title for _, column, _ in shown})
        if not said:
            return super()._pieces(row, width)
        found: list[Piece] = []
        for _, column, room in shown[:2]:
            found += [*fit(pieces(column.cell(row)), room), Piece(" " * GAP)]
        left = width - 1 - sum(room + GAP for _, _, room in shown[:2])
        return [*found, *fit(said, max(0, left))]

    def _gpus(self, row: FleetRow) -> Cell:
        concerns = {gpu: concern for gpu, concern in row.concerns if gpu is not None}
        if has_no_gpu(_node(row)):
            return Piece(NO_GPU, Tone.DIM)
        return self._heat.pieces(_node(row).gpus, row.gpus, concerns)


def _tells(node: Node) -> bool:
    """Whether it is known what it has."""
    return node.state is NodeState.UP and (node.sampled_at is not None or bool(node.gpus))


def _placed(
    columns: Iterable[Column[FleetRow]], nodes: Sequence[FleetRow], unwanted: Container[str]
) -> list[Column[FleetRow]]:
    """The columns, each from the width on at which there is room for it and for all before it.

    One that has nothing for any node has none, once it is known what a node has.
    """
    known = any(_tells(_node(row)) for row in nodes)
    taken, found = 1, []
    for column in columns:
        if column.title in unwanted:
            taken += _SPARED
        if column.title in unwanted or (known and not _has_some(column, nodes)):
            found.append(replace(column, least=_NEVER))
            continue
        taken += column.width + GAP + _WISHED.get(column.title, 0)
        found.append(replace(column, least=0 if column.title in _FIRST else taken))
    return found


def _has_some(column: Column[FleetRow], nodes: Iterable[FleetRow]) -> bool:
    if column.title == "users":  # somebody will come
        return any(_node(row).gpus for row in nodes)
    order = column.order
    return order is None or any(order(row) is not None for row in nodes)


def _instead(row: FleetRow, shown: Container[str]) -> list[Piece]:
    """What is said of a node across the columns of GPUs that it does not have."""
    node = row.node
    if node is None or node.gpus:
        return []
    if node.state is NodeState.UNREACHABLE and "wrong" not in shown:
        return list(pieces(Piece(node.error or "", Tone.BAD)))
    if not has_no_gpu(node) or "disk free" in shown:
        return []
    return [
        Piece(f"{NO_GPU}  ", Tone.DIM),
        *(Piece("cpu ", Tone.DIM), *pieces(_cpu(row))),
        *(Piece("  ram ", Tone.DIM), *pieces(_ram(row))),
        *(Piece("  disk ", Tone.DIM), *pieces(_disk(row)), Piece(" free", Tone.DIM)),
    ]


def _node(row: FleetRow) -> Node:
    assert row.node is not None  # headings are drawn across the line
    return row.node


def _heading(row: FleetRow) -> Cell | None:
    if row.node is not None:
        return None
    used, total = row.memory
    nodes, gpus = wording.number_of(row.count, "node"), wording.number_of(len(row.gpus), "GPU")
    facts = [nodes, gpus, f"{_percent(row.util_percent)} busy"]
    if total:
        facts.append(f"{wording.size(used)} of {wording.size(total)}")
    if row.power_w:
        facts.append(wording.power(row.power_w))
    sign = "▸" if row.folded else "▾"
    return [Piece(f"{sign} {row.group}  ", Tone.TITLE), Piece("  ".join(facts), Tone.DIM)]


def state(row: FleetRow) -> Piece:
    """A node's state, by a sign and a word; a driver that hangs is one."""
    return node_state(_node(row))


def node_state(node: Node) -> Piece:
    """A node's state, by a sign and a word; a driver that hangs is one."""
    if hangs(node):
        return Piece(f"‖ {HUNG}", Tone.BAD)
    return STATES[node.state]


def _percent(value: float | None) -> str:
    return wording.NOTHING if value is None else f"{value:.0f} %"


def _util(row: FleetRow) -> Cell:
    return _percent(row.util_percent)


def _memory(row: FleetRow) -> Cell:
    return Piece(_percent(row.memory_percent), level(row.memory_percent))


def _temperature(row: FleetRow) -> Cell:
    degrees = row.temperature_c
    if degrees is None:
        return wording.NOTHING
    return Piece(f"{degrees:.0f} °C", Tone.WARN if degrees >= HOT_C else Tone.PLAIN)


def _power(row: FleetRow) -> Cell:
    return wording.NOTHING if row.power_w is None else wording.power(row.power_w)


def _models(row: FleetRow) -> str:
    return ", ".join(row.models)


def _card(row: FleetRow) -> str:
    """``8 × H100 80GB HBM3``, or as many kinds as there are."""
    names: dict[str, int] = {}
    for gpu in _node(row).gpus:
        if gpu.name is not None:
            short = gpu.name.removeprefix("NVIDIA ").removeprefix("GeForce ")
            names[short] = names.get(short, 0) + 1
    return ", ".join(f"{count} × {name}" for name, count in names.items())


def _cpu(row: FleetRow) -> Cell:
    return _percent(_node(row).host.cpu_percent)


def _ram_percent(row: FleetRow) -> float | None:
    host = _node(row).host
    if host.memory_used_bytes is None or not host.memory_total_bytes:
        return None
    return 100 * host.memory_used_bytes / host.memory_total_bytes


def _ram(row: FleetRow) -> Cell:
    return Piece(_percent(_ram_percent(row)), level(_ram_percent(row)))


def _disk_free(row: FleetRow) -> int | None:
    return _node(row).host.disk_free_bytes


def _disk(row: FleetRow) -> Cell:
    return wording.size(_disk_free(row))


def _net_in_rate(row: FleetRow) -> float | None:
    return _node(row).host.net_rx_bytes_per_s


def _net_out_rate(row: FleetRow) -> float | None:
    return _node(row).host.net_tx_bytes_per_s


def _net_in(row: FleetRow) -> Cell:
    return rate(_net_in_rate(row))


def _net_out(row: FleetRow) -> Cell:
    return rate(_net_out_rate(row))


def rate(count: float | None) -> str:
    """Bytes a second."""
    return wording.NOTHING if count is None else f"{wording.size(count)}/s"


def _labels(row: FleetRow) -> str:
    return wording.labels(_node(row).labels)


def _address(row: FleetRow) -> str:
    return _node(row).address


def _wrong(row: FleetRow) -> Piece:
    node = _node(row)
    if node.error:
        return Piece(node.error, Tone.BAD)
    said = [str(what) if gpu is None else f"gpu{gpu} {what}" for gpu, what in row.concerns]
    return Piece(", ".join(said), Tone.WARN)
