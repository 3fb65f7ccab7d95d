"""Which numbers of a picture are remembered, and under which keys of the history."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from gswarm_tui.watch.rings import History
from gswarm_tui.watch.snapshot import FleetSnapshot, Node, NodeState, Service

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

_OF_GPU: Final = attrgetter(*GPU_SERIES)
OF_HOST: Final = attrgetter(*HOST_SERIES)
"""The values of `HOST_SERIES`, of a `Host`."""
_OF_SERVICE: Final = attrgetter(*SERVICE_SERIES)


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
    """Remember what a picture says, of nodes that answer."""
    columns: list[int] = []
    values: list[float | None] = []
    for node in snapshot.nodes:
        if node.state is NodeState.UP:
            columns += _columns_of_node(history, node)
            values += OF_HOST(node.host)
            for gpu in node.gpus:
                values += _OF_GPU(gpu)
    for service in snapshot.services:
        columns += _columns_of_service(history, service)
        values += _OF_SERVICE(service)
    history.put(snapshot.time, columns, values)


def _columns_of_node(history: History, node: Node) -> list[int]:
    indices = tuple([gpu.index for gpu in node.gpus])

    def keys() -> list[Key]:
        own = [host_key(node.name, name) for name in HOST_SERIES]
        return own + [gpu_key(node.name, index, name) for index in indices for name in GPU_SERIES]

    return history.block((node.name, indices), keys)


def _columns_of_service(history: History, service: Service) -> list[int]:
    place = (service.node, service.service)
    return history.block(place, lambda: [service_key(*place, name) for name in SERVICE_SERIES])
