"""Pictures of small fleets, and of the simulated one at a fixed moment."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

from gswarm_tui.watch.attention import needs_a_look
from gswarm_tui.watch.rings import History
from gswarm_tui.watch.series import gpu_key
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.snapshot import (
    Copy,
    FleetSnapshot,
    Gpu,
    GpuProcess,
    GpuState,
    Hardware,
    Host,
    Link,
    Model,
    Node,
    NodeState,
    Service,
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
        "throttle": (),
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


def showcase() -> tuple[FleetSnapshot, History]:
    """Twelve nodes with something of everything, and what was before: for pictures of screens.

    Nothing of it is computed by the simulated fleet, which may look different one day.
    """
    history = History()
    for second in range(600):
        time = NOW - 599 + second
        for gpu_number in range(8):
            load = 50 + 45 * math.sin(second / 60 + gpu_number)
            for name, value in (
                ("util_percent", load),
                ("memory_used_bytes", 61e9),
                ("temperature_c", 40 + load / 3),
                ("power_w", 100 + 5 * load),
            ):
                history.add(gpu_key("node-01", gpu_number, name), time, value)
    nodes = [_exhibit(number) for number in range(1, 10)]
    picture = fleet(*nodes, *troubled().nodes[:3])
    service = Service(
        "llama-3.3-70b", "node-01", ("node-01:gpu0", "node-01:gpu1"), "vllm", "ready",
        "127.0.0.1", 8000, None, "llama-8000", "llama-0", running=12, waiting=3,
        generation_tokens_per_s=1480.0, kv_cache_percent=61.0,
    )  # fmt: skip
    copies = (
        Copy("llama-3.3-70b", "abcdef0123", "node-01:disk", "ready", 141 * GB, verified=True),
        Copy("llama-3.3-70b", "abcdef0123", "node-01:gpu0", "ready", None),
    )
    model = Model("llama-3.3-70b", "hf://meta-llama/Llama-3.3-70B", "llm", 141 * GB, copies, True)
    return replace(picture, services=(service,), models=(model,)), history


def _exhibit(number: int) -> Node:
    name = f"node-{number:02}"
    host = Host(
        55.0, 128, 66.6, 61.1, 55.5, 627 * GB, 2164 * GB, 0, 8 * GB, 13_200 * GB, 15_360 * GB,
        271e6, 150e6, 632e6, 798e6, 1082 * GB, 1082 * GB,
    )  # fmt: skip
    users = ("ana", "eve", "kim")
    gpus = [
        gpu(
            name,
            index,
            float((number * 37 + index * 17) % 101),
            power_w=100.0 + 5 * ((number * 37 + index * 17) % 101),
            processes=(process(users[number % 3], pid=4000 + 10 * number + index),),
            models=("llama-3.3-70b",) if number % 3 == 1 else (),
            hardware=Hardware(f"{index}B:00.0", index // 4, "9.0", 18, _links(index)),
        )
        for index in range(8)
    ]
    labels = (("rack", f"r{number % 2}"), ("zone", "a"))
    return node(name, *gpus, host=host, labels=labels, system="Debian 13", driver="580.95.05")


def _links(index: int) -> tuple[Link, ...]:
    others = (other for other in range(8) if other != index)
    return tuple(
        Link(other, "NODE" if other // 4 == index // 4 else "SYS", True) for other in others
    )


def simulated(nodes: int = 32, *, hostile: bool = False) -> tuple[FleetSnapshot, History]:
    """The demo fleet at a fixed moment, and what was before."""
    snapshot, history = _simulated(nodes, hostile)
    return snapshot, deepcopy(history)  # more is remembered in it


@cache
def _simulated(nodes: int, hostile: bool) -> tuple[FleetSnapshot, History]:
    source = SimulatedSource(nodes=nodes, clock=lambda: NOW, hostile=hostile)
    source.fill(NOW)
    return source.picture(NOW), source.history


def later(snapshot: FleetSnapshot, seconds: float = 1.0) -> FleetSnapshot:
    return replace(snapshot, time=snapshot.time + seconds)
