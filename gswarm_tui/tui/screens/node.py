"""One node: its load now and before, its GPUs, who uses them, and what of models is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from textual import on
from textual.containers import Container, VerticalScroll
from textual.widget import Widget

from gswarm_tui.tui.facts import node_facts, topology
from gswarm_tui.tui.screens.machine import MachineView, fill
from gswarm_tui.tui.widgets.gpu_table import GpuTable
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.tui.widgets.node_models import CopyTable, ServiceTable, copies_on
from gswarm_tui.tui.widgets.plot import Series, percent, rate
from gswarm_tui.tui.widgets.plots import Plots
from gswarm_tui.tui.widgets.process_table import ProcessRow, ProcessTable, nothing_on, processes_of
from gswarm_tui.watch.fields import has_no_gpu
from gswarm_tui.watch.series import gpu_key, host_key
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Gpu, Node, NodeState, Service
from gswarm_tui.wording import power, size

_NOTHING: Final[Mapping[type[LineTable[Any]], str]] = {
    GpuTable: "this node has no GPU",
    CopyTable: "no model is here",
    ServiceTable: "nothing is served here",
}
"""What is said where a node that answers has nothing."""


def _unknown(node: Node) -> str | None:
    """Why it is not known what a node has; None where it answers."""
    if node.state is NodeState.UNREACHABLE:
        return "not known: the node does not answer"
    known = node.state is NodeState.UP and (node.sampled_at is not None or node.error is not None)
    return None if known or node.gpus else "not known yet"


class NodeView(MachineView):
    """A node of the inventory."""

    WORD = "node"
    TITLE = "Node"
    SUMMARY = "A node's load now and before, its GPUs, their processes, its models and services."
    ENTER = "the GPU or the model; all that is known of a process or a service"
    FIRST = GpuTable

    DEFAULT_CSS = """
    NodeView #columns { height: auto; layout: vertical; }
    NodeView #columns > Container { height: auto; }
    NodeView.-wide #columns { layout: horizontal; }
    NodeView.-wide #columns > Container { width: 1fr; }
    """

    def body(self) -> Iterable[Widget]:
        with VerticalScroll(id="page", can_focus=False):
            yield Lines(id="facts")
            with Container(id="columns"):
                with Container():
                    yield GpuTable()
                    yield ProcessTable()
                    yield CopyTable()
                    yield ServiceTable()
                with Container():
                    yield Plots()
                    yield Lines(id="topology")

    @property
    def machine(self) -> str:
        return self.subject or ""

    def show(self, snapshot: FleetSnapshot) -> None:
        node = snapshot.node(self.machine)
        facts = self.query_one("#facts", Lines)
        if node is None:
            self.blank(facts, f"{self.machine} is not in the inventory any more")
            return
        facts.show(node_facts(node, snapshot.attention, snapshot.time, self.size.width - 4))
        for kind, nothing in _NOTHING.items():
            self.query_one(kind).empty = _unknown(node) or nothing
        if _unknown(node) is None and not has_no_gpu(node):
            self.query_one(GpuTable).empty = "no GPU is known of this node"
        fill(self.query_one(GpuTable), node.gpus)
        processes = self.query_one(ProcessTable)
        processes.empty = _unknown(node) or nothing_on(*node.gpus)
        fill(processes, processes_of(*node.gpus))
        self.query_one(Plots).show_series(
            node_series(node), self.gswarm.source.history, self.span, snapshot.time
        )
        fill(self.query_one(CopyTable), copies_on(snapshot, node.name))
        services = (*snapshot.starting, *snapshot.services)
        fill(self.query_one(ServiceTable), [each for each in services if each.node == node.name])
        self.query_one("#topology", Lines).show(topology(node))

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        row = event.row
        if isinstance(row, Gpu):
            self.gswarm.open_view("gpu", f"{self.machine}:gpu{row.index}")
        elif isinstance(row, Copy):
            self.gswarm.open_view("model", row.model)
        elif isinstance(row, Service):
            self.describe({f"{row.model} on {row.node}": row})
        else:
            self.describe_process(row)

    def to_signal(self) -> tuple[list[ProcessRow], str]:
        """With the cursor on a GPU, and no process marked, those on that GPU."""
        table, gpus = self.query_one(ProcessTable), self.query_one(GpuTable)
        gpu = gpus.current
        if gpu is None or not gpus.has_focus or table.marks.count:
            return super().to_signal()
        unknown = gpu.processes is None
        return processes_of(gpu), nothing_on(gpu) if unknown else f"no process is on gpu{gpu.index}"

    def action_describe(self) -> None:
        node = self.gswarm.snapshot.node(self.machine)
        if node is not None:
            self.describe({node.name: node})


def node_series(node: Node) -> list[Series]:
    """What is plotted of a node."""
    host, name = node.host, node.name
    gpus = [gpu.index for gpu in node.gpus]
    used = tuple(gpu_key(name, index, "util_percent") for index in gpus)
    watts = tuple(gpu_key(name, index, "power_w") for index in gpus)
    memory = tuple(gpu_key(name, index, "memory_used_bytes") for index in gpus)
    limit = sum(gpu.power_limit_w or 0.0 for gpu in node.gpus)
    total = sum(gpu.memory_total_bytes or 0 for gpu in node.gpus)
    of_gpus = [
        Series("GPUs", used, percent, 100.0),
        Series("GPU memory", memory, size, total or None, summed=True),
        Series("GPU power", watts, power, limit or None, summed=True),
    ]
    return [
        *(of_gpus if gpus else []),
        Series("CPU", (host_key(name, "cpu_percent"),), percent, 100.0),
        Series("memory", (host_key(name, "memory_used_bytes"),), size, host.memory_total_bytes),
        Series("network in", (host_key(name, "net_rx_bytes_per_s"),), rate),
        Series("network out", (host_key(name, "net_tx_bytes_per_s"),), rate),
        Series("disk reads", (host_key(name, "disk_read_bytes_per_s"),), rate),
        Series("disk writes", (host_key(name, "disk_write_bytes_per_s"),), rate),
    ]
