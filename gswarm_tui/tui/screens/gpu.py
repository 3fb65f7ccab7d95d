"""One GPU: what it was like, every number that it tells, and who uses it."""

from __future__ import annotations

from collections.abc import Iterable

from textual import on
from textual.containers import VerticalScroll
from textual.widget import Widget

from gswarm_tui.tui.facts import (
    errors_of,
    gpu_facts,
    gpu_fields,
    in_columns,
    instances_of,
    links_of,
)
from gswarm_tui.tui.screens.machine import MachineView, fill
from gswarm_tui.tui.widgets.cells import Cell
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.tui.widgets.plot import Series, degrees, percent
from gswarm_tui.tui.widgets.plots import Plots
from gswarm_tui.tui.widgets.process_table import ProcessTable, nothing_on, processes_of
from gswarm_tui.watch.series import gpu_key
from gswarm_tui.watch.snapshot import FleetSnapshot, Gpu
from gswarm_tui.wording import power, size


class GpuView(MachineView):
    """A GPU of a node; its subject is ``node1:gpu0``."""

    WORD = "gpu"
    TITLE = "GPU"
    SUMMARY = "What a GPU was like, every number that it tells, its processes and its errors."
    ENTER = "all that is known of the process"
    FIRST = ProcessTable

    DEFAULT_CSS = """
    GpuView #numbers { margin: 1 1 0 1; }
    """

    def body(self) -> Iterable[Widget]:
        with VerticalScroll(id="page", can_focus=False):
            yield Lines(id="facts")
            yield Plots(height=5)
            yield ProcessTable()
            yield Lines(id="numbers")

    @property
    def machine(self) -> str:
        return (self.subject or "").rpartition(":")[0]

    def gpu(self, snapshot: FleetSnapshot) -> Gpu | None:
        """The GPU in a picture."""
        node = snapshot.node(self.machine)
        wanted = (self.subject or "").rpartition(":gpu")[2]
        gpus = () if node is None else node.gpus
        return next((gpu for gpu in gpus if str(gpu.index) == wanted), None)

    def show(self, snapshot: FleetSnapshot) -> None:
        gpu = self.gpu(snapshot)
        facts = self.query_one("#facts", Lines)
        if gpu is None:
            self.blank(facts, _absent(snapshot, self.machine))
            return
        facts.show(gpu_facts(gpu, snapshot.attention, snapshot.time))
        self.query_one(Plots).show_series(
            gpu_series(gpu), self.gswarm.source.history, self.span, snapshot.time
        )
        processes = self.query_one(ProcessTable)
        processes.empty = nothing_on(gpu)
        fill(processes, processes_of(gpu))
        self.query_one("#numbers", Lines).show(_numbers(gpu, self.size.width - 4))

    def action_describe(self) -> None:
        gpu = self.gpu(self.gswarm.snapshot)
        if gpu is not None:
            self.describe({self.subject or "": gpu})

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.describe_process(event.row)


def gpu_series(gpu: Gpu) -> list[Series]:
    """What is plotted of a GPU."""
    node, index = gpu.node, gpu.index
    memory = gpu_key(node, index, "memory_used_bytes")
    return [
        Series("utilisation", (gpu_key(node, index, "util_percent"),), percent, 100.0),
        Series("memory", (memory,), size, gpu.memory_total_bytes),
        Series("temperature", (gpu_key(node, index, "temperature_c"),), degrees, 100.0),
        Series("power", (gpu_key(node, index, "power_w"),), power, gpu.power_limit_w),
    ]


def _numbers(gpu: Gpu, width: int) -> list[Cell]:
    lines = in_columns(gpu_fields(gpu), width)
    for more in (links_of(gpu), instances_of(gpu), errors_of(gpu)):
        if more:
            lines += ["", *more]
    return lines


def _absent(snapshot: FleetSnapshot, machine: str) -> str:
    node = snapshot.node(machine)
    if node is None:
        return f"{machine} is not in the inventory any more"
    return f"{machine} has not told of it: {node.error or node.state}"
