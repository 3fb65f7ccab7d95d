"""What is said of a node or a GPU in lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gswarm_tui import wording
from gswarm_tui.tui.moments import day_and_time
from gswarm_tui.tui.widgets.attention_table import in_words, what
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, fit, pieces
from gswarm_tui.tui.widgets.fleet_table import node_state, rate
from gswarm_tui.tui.widgets.gpu_table import STATES
from gswarm_tui.watch import xids
from gswarm_tui.watch.attention import spell
from gswarm_tui.watch.fields import hangs, memory_percent
from gswarm_tui.watch.snapshot import Attention, Concern, Gpu, GpuState, Host, Node, NodeState

Fact = tuple[str, Cell]
"""A name and a value."""


def node_facts(node: Node, attention: Iterable[Attention], now: float, width: int) -> list[Cell]:
    """State, what is wrong, and the machine's load."""
    host = node.host
    state = node_state(node)
    lines: list[Cell] = [
        [
            Piece(f"{state.text}{_since(node, now)}", state.tone),
            *_said(node.address, node.system, node.driver and f"driver {node.driver}"),
            *_said(", ".join(node.groups), wording.labels(node.labels), tone=Tone.DIM),
        ]
    ]
    concerns = [each for each in attention if each.node == node.name]
    if node.state is NodeState.UNREACHABLE:  # its first line has the words, and the address
        concerns = [each for each in concerns if each.concern is not Concern.UNREACHABLE]
        if node.error:
            lines.append(Piece(node.error.removeprefix(f"{node.address}: "), Tone.BAD))
    elif node.error and not hangs(node) and not any(node.error in each.text for each in concerns):
        lines.append(Piece(node.error, Tone.BAD))
    lines += [_concern(each) for each in concerns]
    return [*lines, *in_columns(_host_facts(host), width, 38, 8)]


def _since(node: Node, now: float) -> str:
    """Since when that is known here: how long the machine has been up is another thing."""
    length = spell(max(0.0, now - node.since))
    if node.state is NodeState.UP:
        return f", answers for {length}"
    return f" for {length}"


def _host_facts(host: Host) -> list[Fact]:
    load = [value for value in (host.load1, host.load5, host.load15) if value is not None]
    return [
        ("cpu", _percent(host.cpu_percent) + (f" of {host.cpu_count}" * bool(host.cpu_count))),
        ("load", " ".join(f"{value:.1f}" for value in load) or wording.NOTHING),
        ("memory", _of(host.memory_used_bytes, host.memory_total_bytes)),
        ("swap", _of(host.swap_used_bytes, host.swap_total_bytes)),
        ("disk", _free(host.disk_free_bytes, host.disk_total_bytes)),
        ("tmpfs", _free(host.tmpfs_free_bytes, host.tmpfs_total_bytes)),
        ("network", _both(host.net_rx_bytes_per_s, host.net_tx_bytes_per_s, "in", "out")),
        ("disk I/O", _both(host.disk_read_bytes_per_s, host.disk_write_bytes_per_s, "rd", "wr")),
    ]


def topology(node: Node) -> list[Cell]:
    """How the GPUs of a node reach each other; nothing where that is not known."""
    gpus = [gpu for gpu in node.gpus if gpu.hardware is not None and gpu.hardware.links]
    if not gpus:
        return []
    names = [gpu.index for gpu in gpus]
    head = "".join(f"{f'gpu{index}':>8}" for index in names)
    lines: list[Cell] = [Piece("how they reach each other", Tone.TITLE)]
    lines.append(Piece(f"{'':6}{head}    numa  pci", Tone.DIM))
    for gpu in gpus:
        hardware = gpu.hardware
        assert hardware is not None
        paths = {
            link.gpu: _path(link.path, link.nvlink, hardware.nvlinks) for link in hardware.links
        }
        cells = "".join(f"{'·' if n == gpu.index else paths.get(n, '-'):>8}" for n in names)
        numa = wording.NOTHING if hardware.numa_node is None else str(hardware.numa_node)
        tail = f"{numa:>8}  {hardware.pci_bus_id or wording.NOTHING}"
        lines.append([Piece(f"{f'gpu{gpu.index}':6}", Tone.DIM), Piece(cells + tail)])
    return lines


def gpu_facts(gpu: Gpu, attention: Iterable[Attention], now: float) -> list[Cell]:
    """What it is, how it is, and what is wrong with it."""
    about = [each for each in attention if each.node == gpu.node and _is_about(each, gpu)]
    own = [each.concern for each in about if each.gpu is not None]
    is_well = all(in_words(concern).tone is Tone.WARN for concern in own)
    lines: list[Cell] = [
        [
            # What is wrong is below; that the driver tells of it is no news then.
            *([STATES[gpu.state]] if is_well or gpu.state is not GpuState.OK else []),
            *_said(gpu.name, gpu.uuid),
            *_said(", ".join(gpu.models), tone=Tone.BUSY),
            *_said(", ".join(gpu.users)),
        ]
    ]
    lines += [[in_words(each.concern), Piece(f"  {each.text}")] for each in about]
    if gpu.idle_since is not None and Concern.IDLE not in own:
        held = "held, and " if gpu.processes else ""
        least = "at least " if gpu.idle_at_least else ""
        lines.append(f"{held}idle for {least}{spell(max(0.0, now - gpu.idle_since))}")
    return lines


def _is_about(each: Attention, gpu: Gpu) -> bool:
    """Whether what needs a look of its node is about this GPU, too."""
    if each.gpu is None:
        return each.concern is not Concern.MISSING or gpu.state is GpuState.MISSING
    return each.gpu == gpu.index


def gpu_fields(gpu: Gpu) -> list[Fact]:
    """Every number, with its unit; ``-`` where the card or the driver does not tell."""
    hardware = gpu.hardware
    return [
        ("utilisation", _percent(gpu.util_percent)),
        ("memory utilisation", _percent(gpu.memory_util_percent)),
        ("memory", _of(gpu.memory_used_bytes, gpu.memory_total_bytes)),
        ("memory used", _percent(memory_percent(gpu))),
        ("temperature", _unit(gpu.temperature_c, "°C")),
        ("power", _power(gpu)),
        ("SM clock", _unit(gpu.sm_clock_mhz, "MHz")),
        ("memory clock", _unit(gpu.memory_clock_mhz, "MHz")),
        ("fan", _percent(gpu.fan_percent)),
        ("performance state", wording.NOTHING if gpu.pstate is None else f"P{gpu.pstate}"),
        ("slowed by", _slowed(gpu)),
        ("ECC corrected", _unit(gpu.ecc_corrected, "")),
        ("ECC uncorrected", _bad_count(gpu.ecc_uncorrected)),
        ("remapped rows", _unit(gpu.remapped_rows, "")),
        ("PCIe", _both(gpu.pcie_rx_bytes_per_s, gpu.pcie_tx_bytes_per_s, "in", "out")),
        ("NVLink", _both(gpu.nvlink_rx_bytes_per_s, gpu.nvlink_tx_bytes_per_s, "in", "out")),
        ("PCI address", (hardware and hardware.pci_bus_id) or wording.NOTHING),
        ("NUMA node", _unit(hardware.numa_node if hardware else None, "")),
        ("compute capability", (hardware and hardware.cuda_compute) or wording.NOTHING),
        ("NVLinks", _unit(hardware.nvlinks if hardware else None, "")),
    ]


def in_columns(
    facts: Sequence[Fact], width: int, least: int = 48, name_width: int = 19
) -> list[Cell]:
    """Names and values, in as many columns of at least `least` as there is room for."""
    many = max(1, width // least)
    each = max(least, width // many)
    rows = -(-len(facts) // many)
    lines: list[Cell] = []
    for row in range(rows):
        found: list[Piece] = []
        for name, value in facts[row::rows]:
            found += fit([Piece(f"{name:>{name_width}}  ", Tone.DIM), *pieces(value)], each)
        lines.append(tuple(found))
    return lines


def errors_of(gpu: Gpu) -> list[Cell]:
    """The XID errors that its driver told of, the newest first."""
    newest = sorted(gpu.xid, key=lambda error: -error[1])
    return [Piece(f"{xids.say(code)}  at {day_and_time(time)}", Tone.BAD) for code, time in newest]


def instances_of(gpu: Gpu) -> list[Cell]:
    """The parts that it is divided into."""
    parts = gpu.hardware.mig if gpu.hardware else ()
    return [
        f"MIG {part.index}  {part.name or ''}  {wording.size(part.memory_total_bytes)}  "
        f"{part.uuid or ''}"
        for part in parts
    ]


def links_of(gpu: Gpu) -> list[Cell]:
    """How it reaches the others of its node."""
    hardware = gpu.hardware
    if hardware is None or not hardware.links:
        return []
    said = [
        f"gpu{link.gpu} {_path(link.path, link.nvlink, hardware.nvlinks)}"
        for link in hardware.links
    ]
    return [[Piece("reaches  ", Tone.DIM), Piece("   ".join(said))]]


def _path(path: str | None, nvlink: bool, count: int | None) -> str:
    return f"NV{count or ''}" if nvlink else path or wording.NOTHING


def _concern(each: Attention) -> Cell:
    place = "" if each.gpu is None else f"gpu{each.gpu}: "
    return [*pieces(what(each)), Piece(f"  {place}{each.text}")]


def _said(*texts: str | None, tone: Tone = Tone.PLAIN) -> list[Piece]:
    return [Piece(f"   {text}", tone) for text in texts if text]


def _of(part: float | None, whole: float | None) -> str:
    if part is None:
        return wording.NOTHING
    return wording.size(part) if whole is None else f"{wording.size(part)} of {wording.size(whole)}"


def _free(free: float | None, whole: float | None) -> str:
    return wording.NOTHING if free is None else f"{_of(free, whole)} free"


def _both(first: float | None, second: float | None, into: str, out: str) -> str:
    if first is None and second is None:
        return wording.NOTHING
    return f"{into} {rate(first)} {out} {rate(second)}"


def _percent(value: float | None) -> str:
    return wording.NOTHING if value is None else f"{value:.0f} %"


def _unit(value: float | None, unit: str) -> str:
    return wording.NOTHING if value is None else f"{value:.0f} {unit}".rstrip()


def _power(gpu: Gpu) -> str:
    if gpu.power_w is None and gpu.power_limit_w is None:
        return wording.NOTHING
    return f"{_unit(gpu.power_w, 'W')} of {_unit(gpu.power_limit_w, 'W')}"


def _slowed(gpu: Gpu) -> Cell:
    if gpu.throttle is None:
        return wording.NOTHING
    return Piece(", ".join(gpu.throttle), Tone.WARN) if gpu.throttle else "nothing"


def _bad_count(value: int | None) -> Cell:
    return Piece(_unit(value, ""), Tone.BAD if value else Tone.PLAIN)
