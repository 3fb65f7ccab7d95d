"""A picture of the fleet as Prometheus reads it.

Where dcgm-exporter has a metric that means the same, it has that name here, and that unit. Source:
etc/default-counters.csv of NVIDIA/dcgm-exporter. Its labels differ: a fleet's GPUs need the node's
name in the inventory. docs/watching.md has the table.

The text format is written here, and not by prometheus_client: that keeps values in a registry of
its own, while here every value comes from one picture and is gone with the next.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Literal

from gswarm_tui.state.states import State
from gswarm_tui.watch.snapshot import (
    Concern,
    FleetSnapshot,
    Gpu,
    GpuState,
    Node,
    NodeState,
    Service,
    Transfer,
)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_MIB: Final = 1024**2

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Args:
        help: what it is, with its unit.
        samples: its values in a picture; those that are None are left out.
    """

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: Callable[[FleetSnapshot], Iterable[Sample]]


def text(picture: FleetSnapshot) -> str:
    """All metrics of a picture."""
    lines: list[str] = []
    for metric in METRICS:
        known = _lines(metric.name, metric.samples(picture))
        if known:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
            lines += known
    return "\n".join([*lines, ""])


def _lines(name: str, samples: Iterable[Sample]) -> list[str]:
    """A line for each value. Labels that come twice have the last one: Prometheus would take
    nothing at all of the fleet for the sake of one node that tells of something twice."""
    values: dict[str, float] = {}
    for labels, value in samples:
        if value is not None and math.isfinite(value):
            inside = ",".join([f'{key}="{_escaped(text)}"' for key, text in labels])
            values[f"{name}{{{inside}}}" if inside else name] = value
    return [
        f"{series} {int(value) if value == int(value) else value}"
        for series, value in values.items()
    ]


def _escaped(value: str) -> str:
    plain = value.encode("utf-8", "replace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# What is told of a GPU, a node, a service


def _gpus(picture: FleetSnapshot) -> Iterator[Gpu]:
    for node in picture.nodes:
        yield from node.gpus


def _labels(gpu: Gpu) -> Labels:
    return (
        ("node", gpu.node),
        ("gpu", str(gpu.index)),
        ("uuid", gpu.uuid or ""),
        ("model", gpu.name or ""),
        ("user", ",".join(gpu.users)),
    )


def _of_gpu(value: Callable[[Gpu], float | None]) -> Callable[[FleetSnapshot], Iterator[Sample]]:
    def samples(picture: FleetSnapshot) -> Iterator[Sample]:
        for gpu in _gpus(picture):
            yield _labels(gpu), value(gpu)

    return samples


def _of_node(value: Callable[[Node], float | None]) -> Callable[[FleetSnapshot], Iterator[Sample]]:
    """Of nodes that answer: of another one nothing is known."""

    def samples(picture: FleetSnapshot) -> Iterator[Sample]:
        for node in picture.nodes:
            if node.state is NodeState.UP:
                yield (("node", node.name),), value(node)

    return samples


def _of_service(
    value: Callable[[Service], float | None],
) -> Callable[[FleetSnapshot], Iterator[Sample]]:
    def samples(picture: FleetSnapshot) -> Iterator[Sample]:
        for each in picture.services:
            labels = (
                ("node", each.node),
                ("service", each.service),
                ("model", each.model),
                ("engine", each.engine),
            )
            yield labels, value(each)

    return samples


def _mib(count: int | None) -> float | None:
    return None if count is None else count / _MIB


def _last_xid(gpu: Gpu) -> float | None:
    if gpu.xid:
        return max(gpu.xid, key=lambda error: error[1])[0]
    return 0 if gpu.state is GpuState.OK else None


def _up(picture: FleetSnapshot) -> Iterator[Sample]:
    for node in picture.nodes:
        yield (("node", node.name),), float(node.state is NodeState.UP)


def _throttled(picture: FleetSnapshot) -> Iterator[Sample]:
    for gpu in _gpus(picture):
        for reason in gpu.throttle or ():
            yield (*_labels(gpu), ("reason", reason)), 1.0


def _idle(picture: FleetSnapshot) -> Iterator[Sample]:
    for gpu in _gpus(picture):
        if gpu.state is GpuState.OK:
            since = gpu.idle_since
            yield _labels(gpu), 0.0 if since is None else max(0.0, picture.time - since)


def _memory_of_users(picture: FleetSnapshot) -> Iterator[Sample]:
    for gpu in _gpus(picture):
        held: dict[str, int] = {}
        for process in gpu.processes or ():
            if process.memory_bytes is not None:
                user = process.user or ""
                held[user] = held.get(user, 0) + process.memory_bytes
        for user, amount in held.items():
            yield (*_labels(gpu)[:-1], ("user", user)), amount


def _transfer_rates(picture: FleetSnapshot) -> Iterator[Sample]:
    """Equal labels may not come twice: what goes the same way is added up."""
    rates: dict[tuple[str, str], float] = {}
    for each in picture.transfers:
        key = (each.model, each.target)
        rates[key] = rates.get(key, 0.0) + _rate(each)
    for (model, target), rate in rates.items():
        yield (("model", model), ("target", target)), rate


def _rate(transfer: Transfer) -> float:
    return transfer.rate_bytes_per_s or 0.0


def _jobs(picture: FleetSnapshot) -> Iterator[Sample]:
    counts = Counter(job.state for job in picture.jobs)
    for state in (State.PENDING, State.RUNNING):
        yield (("state", state.value),), counts[state]


def _attention(picture: FleetSnapshot) -> Iterator[Sample]:
    counts = Counter(each.concern for each in picture.attention)
    for concern in Concern:
        yield (("concern", concern.value),), counts[concern]


_OF_GPUS: Final = (
    ("DCGM_FI_DEV_GPU_UTIL", "util_percent", "GPU utilization (in %)."),
    ("DCGM_FI_DEV_MEM_COPY_UTIL", "memory_util_percent", "Memory utilization (in %)."),
    ("DCGM_FI_DEV_GPU_TEMP", "temperature_c", "GPU temperature (in C)."),
    ("DCGM_FI_DEV_POWER_USAGE", "power_w", "Power draw (in W)."),
    ("DCGM_FI_DEV_SM_CLOCK", "sm_clock_mhz", "SM clock frequency (in MHz)."),
    ("DCGM_FI_DEV_MEM_CLOCK", "memory_clock_mhz", "Memory clock frequency (in MHz)."),
    ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "ecc_corrected", "Corrected errors since the driver loaded."),
    ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "ecc_uncorrected", "Other errors since the driver loaded."),
    ("gswarm_gpu_memory_total_bytes", "memory_total_bytes", "Memory of the GPU."),
    ("gswarm_gpu_power_limit_watts", "power_limit_w", "Power limit that is in force."),
    ("gswarm_gpu_remapped_rows", "remapped_rows", "Remapped rows, for whatever errors."),
    ("gswarm_gpu_pcie_receive_bytes_per_second", "pcie_rx_bytes_per_s", "What comes over PCIe."),
    ("gswarm_gpu_pcie_transmit_bytes_per_second", "pcie_tx_bytes_per_s", "What goes over PCIe."),
    ("gswarm_gpu_nvlink_receive_bytes_per_second", "nvlink_rx_bytes_per_s", "Over NVLink, in."),
    ("gswarm_gpu_nvlink_transmit_bytes_per_second", "nvlink_tx_bytes_per_s", "Over NVLink, out."),
)
_OF_HOSTS: Final = (
    ("gswarm_node_cpu_percent", "cpu_percent", "CPU in use, of all cores."),
    ("gswarm_node_load1", "load1", "Load average of a minute."),
    ("gswarm_node_memory_used_bytes", "memory_used_bytes", "Memory in use."),
    ("gswarm_node_memory_total_bytes", "memory_total_bytes", "Memory."),
    ("gswarm_node_disk_free_bytes", "disk_free_bytes", "Free on the disk of the models."),
    ("gswarm_node_disk_total_bytes", "disk_total_bytes", "Size of the disk of the models."),
    ("gswarm_node_receive_bytes_per_second", "net_rx_bytes_per_s", "What the node receives."),
    ("gswarm_node_transmit_bytes_per_second", "net_tx_bytes_per_s", "What the node sends."),
)
_OF_SERVICES: Final = (
    ("gswarm_service_requests_total", "requests", "Requests that were passed on to the engine."),
    ("gswarm_service_requests_running", "running", "Requests that the engine works on."),
    ("gswarm_service_requests_waiting", "waiting", "Requests that wait in the engine."),
    ("gswarm_service_kv_cache_percent", "kv_cache_percent", "KV cache in use."),
    ("gswarm_service_prompt_tokens_per_second", "prompt_tokens_per_s", "Tokens read."),
    ("gswarm_service_generation_tokens_per_second", "generation_tokens_per_s", "Tokens written."),
    (
        "gswarm_service_time_to_first_token_seconds",
        "time_to_first_token_s",
        "Mean time to the first token, of the last seconds.",
    ),
)
_COUNTERS: Final = frozenset(
    {
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        "gswarm_service_requests_total",
    }
)


def _plain(
    name: str, explanation: str, samples: Callable[[FleetSnapshot], Iterable[Sample]]
) -> Metric:
    return Metric(name, "counter" if name in _COUNTERS else "gauge", explanation, samples)


METRICS: Final[tuple[Metric, ...]] = (
    *(_plain(name, said, _of_gpu(attrgetter(field))) for name, field, said in _OF_GPUS),
    _plain(
        "DCGM_FI_DEV_FB_USED",
        "Framebuffer memory used (in MiB).",
        _of_gpu(lambda gpu: _mib(gpu.memory_used_bytes)),
    ),
    _plain("DCGM_FI_DEV_XID_ERRORS", "The last recent XID error; 0: none.", _of_gpu(_last_xid)),
    _plain(
        "gswarm_gpu_up",
        "1 where the GPU can be used; 0: lost, missing, or its driver is silent.",
        _of_gpu(lambda gpu: float(gpu.state is GpuState.OK)),
    ),
    _plain("gswarm_gpu_throttled", "1 for each reason that holds the clocks down.", _throttled),
    _plain("gswarm_gpu_idle_seconds", "For how long it was seen to compute nothing.", _idle),
    _plain(
        "gswarm_gpu_user_memory_bytes", "Memory that a user's processes hold.", _memory_of_users
    ),
    _plain("gswarm_node_up", "1 where the node answers.", _up),
    _plain(
        "gswarm_node_driver_silent_seconds",
        "For how long the GPU driver has not answered; 0 where it does.",
        _of_node(lambda node: node.silent_s),
    ),
    *(_plain(name, said, _of_node(attrgetter(f"host.{field}"))) for name, field, said in _OF_HOSTS),
    _plain(
        "gswarm_service_up",
        "1 where the service answers.",
        _of_service(lambda service: float(service.state == "ready")),
    ),
    *(_plain(name, said, _of_service(attrgetter(field))) for name, field, said in _OF_SERVICES),
    _plain("gswarm_transfer_bytes_per_second", "A model on its way to a device.", _transfer_rates),
    _plain("gswarm_jobs", "Jobs of this data directory that wait or run.", _jobs),
    _plain(
        "gswarm_queue_paused",
        "1 while the queue of jobs is paused.",
        lambda picture: [((), float(picture.queue_paused))],
    ),
    _plain("gswarm_attention", "What needs a look, by what it is.", _attention),
)
