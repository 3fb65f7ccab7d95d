"""The fleet at one moment: what every screen, `gswarm top` and the exporter are drawn from.

All of it is frozen, so that a picture can be compared with the one before, and nothing that shows
it has to ask anybody. What a machine does not tell is None, never zero. Names carry units: bytes,
per cent, degrees Celsius, watts, seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gswarm_tui.state.states import State
from gswarm_tui.watch.details import JobDetails


class NodeState(StrEnum):
    """Whether a node answers."""

    CONNECTING = "connecting"
    UP = "up"
    UNREACHABLE = "unreachable"


class GpuState(StrEnum):
    """Whether a GPU can be used, as far as its driver says."""

    OK = "ok"
    LOST = "lost"  # the driver has no contact to it any more
    MISSING = "missing"  # the inventory expects it, and the node has none of that number
    SILENT = "silent"  # the driver does not answer


class Concern(StrEnum):
    """What needs a look, the most urgent first."""

    UNREACHABLE = "unreachable"
    HUNG = "driver hangs"
    SILENT = "tells nothing"
    LOST = "GPU lost"
    MISSING = "GPU missing"
    XID = "XID error"
    ECC = "uncorrected memory errors"
    THROTTLED = "throttled"
    IDLE = "held but idle"


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that needs a look.

    Args:
        text: a sentence: ``ana holds 61 GB and has not computed for 3 h``.
        since: when it began, where that is known.
    """

    concern: Concern
    node: str
    gpu: int | None
    text: str
    since: float | None


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process on a GPU.

    Args:
        unit: its container or systemd unit.
        verified: whether `pid` is its number on the node; else it may be another process's there.
    """

    pid: int
    user: str | None
    command: str
    memory_bytes: int | None
    util_percent: float | None
    unit: str | None
    since: float | None
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Link:
    """How a GPU reaches another one.

    Args:
        gpu: the other one's index.
        path: over PCIe, in the words of ``nvidia-smi topo``: PIX, PXB, PHB, NODE, SYS.
        nvlink: whether also by NVLink.
    """

    gpu: int
    path: str | None
    nvlink: bool


@dataclass(frozen=True, slots=True)
class MigInstance:
    """A part of a GPU that is used as one of its own."""

    index: int
    uuid: str | None
    name: str | None
    memory_total_bytes: int | None


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a GPU is, beside its name and memory; the same object as long as it stays so."""

    pci_bus_id: str | None = None
    numa_node: int | None = None
    cuda_compute: str | None = None
    nvlinks: int | None = None
    links: tuple[Link, ...] = ()
    mig: tuple[MigInstance, ...] = ()


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU.

    Args:
        throttle: why its clocks are held down, in words; empty where they are not, None where that
            is not told.
        xid: the driver's recent errors, ``(code, time)``; those that it told of before it fell
            silent are among them.
        processes: None where it is not known which there are.
        models: names of the models that are loaded on it by gswarm.
        idle_since: since when it has not computed; None while it does.
        idle_at_least: whether it may be so for longer: nobody looked when that began.
    """

    node: str
    index: int
    state: GpuState
    uuid: str | None = None
    name: str | None = None
    util_percent: float | None = None
    memory_util_percent: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    sm_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    fan_percent: float | None = None
    pstate: int | None = None
    throttle: tuple[str, ...] | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    remapped_rows: int | None = None
    xid: tuple[tuple[int, float], ...] = ()
    pcie_rx_bytes_per_s: float | None = None
    pcie_tx_bytes_per_s: float | None = None
    nvlink_rx_bytes_per_s: float | None = None
    nvlink_tx_bytes_per_s: float | None = None
    processes: tuple[GpuProcess, ...] | None = None
    models: tuple[str, ...] = ()
    idle_since: float | None = None
    idle_at_least: bool = False
    hardware: Hardware | None = None

    @property
    def users(self) -> tuple[str, ...]:
        """Whose processes are known to be on it, each once."""
        return tuple(dict.fromkeys(p.user for p in self.processes or () if p.user))


@dataclass(frozen=True, slots=True)
class Host:
    """A node's own load."""

    cpu_percent: float | None = None
    cpu_count: int | None = None
    load1: float | None = None
    load5: float | None = None
    load15: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    swap_total_bytes: int | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    disk_read_bytes_per_s: float | None = None
    disk_write_bytes_per_s: float | None = None
    net_rx_bytes_per_s: float | None = None
    net_tx_bytes_per_s: float | None = None
    tmpfs_free_bytes: int | None = None
    tmpfs_total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the inventory.

    Args:
        error: why it does not answer, or why its GPUs do not.
        since: since when it is in this state.
        sampled_at: the time of its newest metrics; None before the first.
        silent_s: for how long the GPU driver has not answered; 0 where it does.
        gpu_count: how many GPUs it has, or told of last; before that, how many the inventory says.
    """

    name: str
    address: str
    state: NodeState
    since: float
    groups: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    sampled_at: float | None = None
    silent_s: float = 0.0
    host: Host = Host()
    gpus: tuple[Gpu, ...] = ()
    system: str | None = None
    driver: str | None = None
    gpu_count: int = 0


@dataclass(frozen=True, slots=True)
class Copy:
    """A model on a device, or on its way there.

    Args:
        device: ``node1:disk``.
        state: ``ready``, ``partial``, ``in flight``, ``damaged`` (it has bad files), ``changed``
            (by their owner since they were adopted) or an engine's (``starting``, ``ready``…).
        verified: whether its files had their hashes when they were read last; None where it has no
            files, or not all.
        verified_at: when that was, in seconds since the epoch; None where it is not known.
        bad_files: how many were found bad.
        done_bytes: of one that is not whole.
        engine: the state of the engine that computes on it where its files are, which a CPU does on
            ``dram``; None where none does. On a GPU the copy itself is the engine's.
        phase: what the engine that is being started does: ``load``, ``check`` (it is asked for a
            first token), ``publish``; None before it is there, or where it does not tell.
        started_at: since when an engine is being started on it, in seconds since the epoch.
    """

    model: str
    revision: str
    device: str
    state: str
    size_bytes: int | None
    done_bytes: int | None = None
    hash: str | None = None
    verified: bool | None = None
    waiting: str | None = None
    verified_at: float | None = None
    bad_files: int = 0
    engine: str | None = None
    phase: str | None = None
    started_at: float | None = None

    @property
    def is_loading(self) -> bool:
        """Whether an engine is being started on it."""
        return "starting" in (self.state, self.engine)


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is registered or that a node has."""

    name: str
    source: str | None
    type: str | None
    size_bytes: int | None
    copies: tuple[Copy, ...]
    registered: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A published model, or one that is being loaded to be; rates are those of the last seconds.

    Args:
        url: what answers from where the user sits; None where a tunnel is needed first.
        tunnel: the ``ssh -L`` line that is one.
        job: the one that begins it, as long as it does.
    """

    model: str
    node: str
    devices: tuple[str, ...]
    engine: str
    state: str
    address: str
    port: int | None
    url: str | None
    service: str
    replica: str
    started_at: float | None = None
    requests: int | None = None
    requests_per_s: float | None = None
    running: int | None = None
    waiting: int | None = None
    kv_cache_percent: float | None = None
    prompt_tokens_per_s: float | None = None
    generation_tokens_per_s: float | None = None
    time_to_first_token_s: float | None = None
    error: str | None = None
    tunnel: str | None = None
    job: int | None = None

    @property
    def endpoint(self) -> str | None:
        """Where it answers from here, else where only its node can ask it."""
        return self.url or (f"{self.address}:{self.port} there" if self.port is not None else None)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Bytes on their way to a device.

    Args:
        source: a device, or where it comes from (``hf://…``).
        limit: what it waits for most, in words; None where that is not clear.
    """

    model: str
    source: str
    target: str
    phase: str
    done_bytes: int | None
    total_bytes: int | None
    rate_bytes_per_s: float | None
    started_at: float | None
    job: int | None = None
    limit: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job of this data directory, whoever began it.

    Args:
        counts: how many of its tasks are in each state.
        tolerated: how many of those that failed did not keep it from going on.
        running: ids of the tasks that run.
        timed_out: whether its time limit has ended it: it can go on with another one.
    """

    id: int
    name: str
    state: State
    created_at: float
    started_at: float | None
    finished_at: float | None
    counts: tuple[tuple[State, int], ...]
    running: tuple[str, ...] = ()
    waiting: str | None = None
    error: str | None = None
    user: str | None = None
    tolerated: int = 0
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Args:
        level: ``info``, ``warning`` or ``error``.
        about: a node, a model, ``job 17``.
        command: the command line that does the same, where a user did it here.
    """

    time: float
    level: str
    about: str
    text: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """Everything, at `time`. Nodes are in the order of the inventory, events the newest last."""

    time: float
    nodes: tuple[Node, ...] = ()
    models: tuple[Model, ...] = ()
    services: tuple[Service, ...] = ()
    starting: tuple[Service, ...] = ()
    """Those that are being loaded, and are not published yet."""
    transfers: tuple[Transfer, ...] = ()
    jobs: tuple[Job, ...] = ()
    attention: tuple[Attention, ...] = ()
    events: tuple[Event, ...] = ()
    queue_paused: bool = False
    job_details: JobDetails | None = None
    """Of the job in focus, see `Source.focus`."""

    def node(self, name: str) -> Node | None:
        return next((node for node in self.nodes if node.name == name), None)

    def job(self, job_id: int) -> Job | None:
        return next((job for job in self.jobs if job.id == job_id), None)
