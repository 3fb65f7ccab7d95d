"""A node a line: its GPUs as heat, what they use, and who uses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gswarm_tui import wording
from gswarm_tui.tui.fleet_rows import FleetRow
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, level
from gswarm_tui.tui.widgets.heat import Heat
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.watch.snapshot import Node, NodeState

_STATES: Final = {
    NodeState.UP: Piece("● up", Tone.GOOD),
    NodeState.CONNECTING: Piece("◌ connecting", Tone.DIM),
    NodeState.UNREACHABLE: Piece("✗ unreachable", Tone.BAD),
}
HOT_C: Final = 85.0
"""From here on most cards slow down soon."""


class FleetTable(LineTable[FleetRow]):
    """The nodes, with headings where they are in groups."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        self._heat = Heat()
        super().__init__(
            self._columns_of(8),
            lambda row: row.key,
            empty="no node fits",
            heading=_heading,
            id=id,
        )

    def show(self, rows: Sequence[FleetRow]) -> None:
        """Show these rows, with room for the GPUs of the node that has most."""
        most = max((len(row.node.gpus) for row in rows if row.node), default=0)
        self.set_columns(self._columns_of(8 if most <= 8 else 16))
        super().show(rows)

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
            Column("models", _models, 12, 4, order=lambda r: r.models or None, least=96),
            Column("card", _card, 16, 1, order=lambda r: _card(r) or None, least=128),
            Column(
                "cpu", _cpu, 5, right=True, order=lambda r: _node(r).host.cpu_percent, least=144
            ),
            Column("ram", _ram, 5, right=True, order=_ram_percent, least=152),
            Column("disk free", _disk, 9, right=True, order=_disk_free, least=170),
            Column("net in", _net_in, 9, right=True, order=_net_in_rate, least=190),
            Column("net out", _net_out, 9, right=True, order=_net_out_rate, least=190),
            Column("labels", _labels, 12, 1, order=_labels, least=210),
            Column("address", lambda r: _node(r).address, 15, order=_address, least=230),
            Column("driver", lambda r: _node(r).driver or "", 11, least=250),
            Column("wrong", _wrong, 20, 2, least=200),
        )

    def _gpus(self, row: FleetRow) -> Cell:
        concerns = {gpu: concern for gpu, concern in row.concerns if gpu is not None}
        return self._heat.pieces(_node(row).gpus, row.gpus, concerns)


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
        facts.append(f"{row.power_w / 1000:.1f} kW")
    sign = "▸" if row.folded else "▾"
    return [Piece(f"{sign} {row.group}  ", Tone.TITLE), Piece("  ".join(facts), Tone.DIM)]


def state(row: FleetRow) -> Piece:
    """A node's state, by a sign and a word; a driver that hangs is one."""
    return node_state(_node(row))


def node_state(node: Node) -> Piece:
    """A node's state, by a sign and a word; a driver that hangs is one."""
    if node.state is NodeState.UP and node.silent_s > 0:
        return Piece("‖ hung", Tone.BAD)
    return _STATES[node.state]


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
    return wording.NOTHING if row.power_w is None else f"{row.power_w / 1000:.1f} kW"


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
    return " ".join(f"{name}={value}" if value else name for name, value in _node(row).labels)


def _address(row: FleetRow) -> str:
    return _node(row).address


def _wrong(row: FleetRow) -> Cell:
    node = _node(row)
    if node.error:
        return Piece(node.error, Tone.BAD)
    said = [str(what) if gpu is None else f"gpu{gpu} {what}" for gpu, what in row.concerns]
    return Piece(", ".join(said), Tone.WARN)
