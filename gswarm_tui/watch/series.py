"""Which numbers of a picture are remembered, and under which keys of the history."""

from __future__ import annotations

from typing import Final

from gswarm_tui.watch.rings import History
from gswarm_tui.watch.snapshot import FleetSnapshot, NodeState

GPU_SERIES: Final = ("util_percent", "memory_used_bytes", "temperature_c", "power_w")
HOST_SERIES: Final = (
    "cpu_percent",
    "memory_used_bytes",
    "net_rx_bytes_per_s",
    "net_tx_bytes_per_s",
    "disk_read_bytes_per_s",
    "disk_write_bytes_per_s",
)
SERVICE_SERIES: Final = (
    "generation_tokens_per_s",
    "running",
    "waiting",
    "kv_cache_percent",
    "time_to_first_token_s",
)

Key = tuple[str, int | str | None, str]


def gpu_key(node: str, index: int, name: str) -> Key:
    """The history's key of one of `GPU_SERIES`."""
    return (node, index, name)


def host_key(node: str, name: str) -> Key:
    """The history's key of one of `HOST_SERIES`."""
    return (node, None, name)


def service_key(node: str, service: str, name: str) -> Key:
    """The history's key of one of `SERVICE_SERIES`."""
    return (node, service, name)


def record(history: History, snapshot: FleetSnapshot) -> None:
    """Remember what a picture says of nodes that answer."""
    time = snapshot.time
    for node in snapshot.nodes:
        if node.state is not NodeState.UP:
            continue
        for name in HOST_SERIES:
            history.add((node.name, None, name), time, getattr(node.host, name))
        for gpu in node.gpus:
            for name in GPU_SERIES:
                history.add((node.name, gpu.index, name), time, getattr(gpu, name))
    for service in snapshot.services:
        for name in SERVICE_SERIES:
            history.add((service.node, service.service, name), time, getattr(service, name))
