"""Pictures of small fleets, and of the simulated one at a fixed moment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gswarm_tui.watch.attention import needs_a_look
from gswarm_tui.watch.rings import History
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.snapshot import (
    FleetSnapshot,
    Gpu,
    GpuProcess,
    GpuState,
    Host,
    Node,
    NodeState,
)

NOW = 1_800_000_000.0
GB = 10**9
OK, LOST, MISSING, SILENT = GpuState.OK, GpuState.LOST, GpuState.MISSING, GpuState.SILENT


def process(user: str = "ana", pid: int = 4242, **fields: Any) -> GpuProcess:
    known = {"memory_bytes": 60 * GB, "util_percent": 90.0, "unit": None, "since": NOW - 3600}
    return GpuProcess(pid=pid, user=user, **{"command": "python train.py", **known, **fields})


def gpu(node: str, index: int, util: float | None = 50.0, **fields: Any) -> Gpu:
    known: dict[str, Any] = {
        "uuid": f"GPU-{node}-{index}",
        "name": "NVIDIA H100 80GB HBM3",
        "util_percent": util,
        "memory_used_bytes": 61 * GB,
        "memory_total_bytes": 80 * GB,
        "temperature_c": 60.0,
        "power_w": 400.0,
        "power_limit_w": 700.0,
        "processes": (process(),),
    }
    return Gpu(node=node, index=index, **{"state": OK, **known, **fields})


def lost(node: str, index: int, state: GpuState = LOST) -> Gpu:
    return Gpu(node, index, state)


def node(name: str, *gpus: Gpu, **fields: Any) -> Node:
    known: dict[str, Any] = {
        "address": "10.0.0.1",
        "state": NodeState.UP,
        "since": NOW - 7200,
        "host": Host(cpu_percent=12.0, cpu_count=64, memory_used_bytes=100 * GB),
    }
    return Node(name=name, gpus=gpus, **{**known, **fields})


def fleet(*nodes: Node, time: float = NOW, **fields: Any) -> FleetSnapshot:
    """A picture, with what needs a look."""
    return FleetSnapshot(time, nodes=nodes, attention=needs_a_look(nodes, time), **fields)


def racks() -> FleetSnapshot:
    """Three nodes in two racks, with 24 GPUs of two users."""
    return fleet(
        node(
            "alpha",
            *(gpu("alpha", index, 10.0) for index in range(8)),
            labels=(("rack", "r1"),),
        ),
        node(
            "beta",
            *(gpu("beta", i, 90.0, processes=(process("eve"),)) for i in range(8)),
            labels=(("rack", "r2"),),
        ),
        node(
            "gamma",
            *(gpu("gamma", i, 50.0, power_w=600.0, models=("llama",)) for i in range(8)),
            labels=(("rack", "r1"),),
        ),
    )


def troubled() -> FleetSnapshot:
    """Everything that can be wrong with nodes and GPUs."""
    held = process(util_percent=0.0)
    return fleet(
        node(
            "ill",
            lost("ill", 0),
            lost("ill", 1, MISSING),
            lost("ill", 2, SILENT),
            gpu("ill", 3, xid=((79, NOW - 60),)),
            gpu("ill", 4, throttle=("hardware thermal slowdown",)),
            gpu("ill", 5, 0.0, processes=(held,), idle_since=NOW - 7200),
            gpu("ill", 6, 0.0, processes=(), memory_used_bytes=0, idle_since=NOW - 7200),
            gpu("ill", 7, 100.0),
        ),
        node("deaf", *(lost("deaf", i, SILENT) for i in range(8)), silent_s=130.0),
        node("gone", state=NodeState.UNREACHABLE, error="no route to host"),
        node("new", state=NodeState.CONNECTING),
    )


def simulated(nodes: int = 32, *, hostile: bool = False) -> tuple[FleetSnapshot, History]:
    """The demo fleet at a fixed moment, and what was before."""
    source = SimulatedSource(nodes=nodes, clock=lambda: NOW, hostile=hostile)
    source.fill(NOW)
    return source.picture(NOW), source.history


def later(snapshot: FleetSnapshot, seconds: float = 1.0) -> FleetSnapshot:
    return replace(snapshot, time=snapshot.time + seconds)
