"""How `gswarm top` shows a picture of the fleet: rows of a table, sentences, or JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from gswarm_tui.cli import output
from gswarm_tui.watch.fields import Row, memory_percent
from gswarm_tui.watch.snapshot import Attention, FleetSnapshot, Gpu, GpuState, Node, NodeState
from gswarm_tui.wording import NOTHING, clean, number_of, size

COLUMNS: Final = ("node", "gpu", "card", "util", "memory", "temp", "power", "user", "uses it")

PCIE: Final = ("pcie in", "pcie out")
NVLINK: Final = ("nvlink in", "nvlink out")
"""Columns that are there when they are asked for."""

_NOTHING_TOLD: Final = Gpu("", 0, GpuState.SILENT)
_MAKERS: Final = ("NVIDIA GeForce ", "NVIDIA ", "Tesla ")
_LONGEST: Final = 40


def cells(row: Row) -> list[str]:
    """One line of the table; a node without GPUs has why in its last column."""
    node, gpu = row
    if gpu is None:
        return [node.name, *[NOTHING] * 7, _why(node)]
    if gpu.state is not GpuState.OK:
        card = _card(gpu)
        return [node.name, str(gpu.index), card, *[NOTHING] * 5, gpu.state.value]
    return [
        node.name,
        str(gpu.index),
        _card(gpu),
        _number(gpu.util_percent, "%"),
        _memory(gpu),
        _number(gpu.temperature_c, "°C"),
        _number(gpu.power_w, "W"),
        ", ".join(gpu.users) or NOTHING,
        _uses(gpu),
    ]


def rates(row: Row, *, pcie: bool, nvlink: bool) -> list[str]:
    """The cells below `PCIE` and `NVLINK`, of those that are wanted."""
    gpu = row[1] or _NOTHING_TOLD
    found: list[float | None] = []
    if pcie:
        found += [gpu.pcie_rx_bytes_per_s, gpu.pcie_tx_bytes_per_s]
    if nvlink:
        found += [gpu.nvlink_rx_bytes_per_s, gpu.nvlink_tx_bytes_per_s]
    return [NOTHING if rate is None else f"{size(rate)}/s" for rate in found]


def totals(rows: Sequence[Row]) -> str:
    """``16 GPUs, 61 % busy, 812 GB of 1.4 TB memory, 8.1 kW``; of those that are shown."""
    gpus = [gpu for _, gpu in rows if gpu is not None and gpu.state is GpuState.OK]
    facts = [number_of(len(gpus), "GPU")]
    busy = [gpu.util_percent for gpu in gpus if gpu.util_percent is not None]
    if busy:
        facts.append(f"{sum(busy) / len(busy):.0f} % busy")
    used = [gpu for gpu in gpus if gpu.memory_used_bytes is not None and gpu.memory_total_bytes]
    if used:
        taken = size(sum(gpu.memory_used_bytes or 0 for gpu in used))
        whole = size(sum(gpu.memory_total_bytes or 0 for gpu in used))
        facts.append(f"{taken} of {whole} memory")
    power = [gpu.power_w for gpu in gpus if gpu.power_w is not None]
    if power:
        facts.append(f"{sum(power):.0f} W" if sum(power) < 1000 else f"{sum(power) / 1000:.1f} kW")
    return ", ".join(facts)


def concern(attention: Attention) -> str:
    """``gpu-03 gpu5: throttled: clocks are held down``."""
    place = attention.node if attention.gpu is None else f"{attention.node} gpu{attention.gpu}"
    return clean(f"{place}: {attention.concern.value}: {attention.text}")


def sentence(row: Row, *, pcie: bool = False, nvlink: bool = False) -> str:
    """A row for those who listen to it."""
    node, gpu = row
    if gpu is None:
        return clean(f"{node.name}: {_why(node)}.")
    begin = f"{node.name}, GPU {gpu.index}, {_card(gpu)}:"
    if gpu.state is not GpuState.OK:
        return clean(f"{node.name}, GPU {gpu.index}: {gpu.state.value}.")
    percent = memory_percent(gpu)
    facts = [
        None if gpu.util_percent is None else f"{gpu.util_percent:.0f} % busy",
        None if percent is None else f"{percent:.0f} % of its memory used ({_memory(gpu)})",
        None if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} degrees",
        None if gpu.power_w is None else f"{gpu.power_w:.0f} watts",
        f"used by {' and '.join(gpu.users)} for {_uses(gpu)}" if gpu.users else None,
    ]
    wanted = [*(PCIE if pcie else ()), *(NVLINK if nvlink else ())]
    facts += [
        f"{rate} {name}"
        for name, rate in zip(wanted, rates(row, pcie=pcie, nvlink=nvlink), strict=True)
        if rate != NOTHING
    ]
    return clean(f"{begin} {', '.join(fact for fact in facts if fact) or 'nothing is told'}.")


def document(
    picture: FleetSnapshot, rows: Sequence[Row], attention: Sequence[Attention]
) -> dict[str, Any]:
    """The picture as JSON: every field of the GPUs that are shown, and of their nodes.

    Args:
        attention: what needs a look on what is shown.
    """
    shown: dict[str, list[Gpu]] = {}
    for node, gpu in rows:
        shown.setdefault(node.name, []).extend([gpu] if gpu is not None else [])
    return {
        "time": picture.time,
        "nodes": [
            _fields(dataclasses.replace(node, gpus=tuple(shown[node.name])))
            for node in picture.nodes
            if node.name in shown
        ],
        "attention": [dataclasses.asdict(each) for each in attention],
        "unreachable": {
            node.name: node.error for node in picture.nodes if node.state is not NodeState.UP
        },
    }


def _fields(node: Node) -> dict[str, Any]:
    return {**dataclasses.asdict(node), "labels": dict(node.labels)}


def tabled(rows: Sequence[Row], *, pcie: bool, nvlink: bool) -> tuple[list[str], list[list[str]]]:
    """The columns of the table, and its cells."""
    columns = [*COLUMNS, *(PCIE if pcie else ()), *(NVLINK if nvlink else ())]
    return columns, [[*cells(row), *rates(row, pcie=pcie, nvlink=nvlink)] for row in rows]


def who_did_not(nodes: Sequence[Node], waited_s: float) -> list[str]:
    """A sentence for each node that has not answered."""
    found = []
    for node in nodes:
        if node.state is NodeState.CONNECTING:
            found.append(f"{node.name} has not answered within {waited_s:g} s")
        elif node.state is NodeState.UNREACHABLE:
            found.append(f"{node.name} {_why(node)}")
        elif node.sampled_at is None and node.error is None:
            found.append(f"{node.name} answers, and has not told its metrics yet")
    return found


def block(
    rows: Sequence[Row],
    attention: Sequence[Attention],
    *,
    plain: bool,
    pcie: bool = False,
    nvlink: bool = False,
) -> None:
    """Print a picture, as a table or in sentences."""
    if plain:
        for row in rows:
            output.show(sentence(row, pcie=pcie, nvlink=nvlink))
    else:
        output.table(*tabled(rows, pcie=pcie, nvlink=nvlink))
    output.show(totals(rows) + ("." if plain else ""))
    for each in attention:
        output.show(f"needs a look: {concern(each)}")


def _why(node: Node) -> str:
    if node.state is NodeState.UNREACHABLE:
        return f"does not answer: {node.error}" if node.error else "does not answer"
    if node.state is NodeState.CONNECTING:
        return "has not answered yet"
    return node.error or "no GPU"


def _card(gpu: Gpu) -> str:
    if gpu.name is None:
        return NOTHING
    return next((gpu.name.removeprefix(m) for m in _MAKERS if gpu.name.startswith(m)), gpu.name)


def _memory(gpu: Gpu) -> str:
    if gpu.memory_used_bytes is None:
        return NOTHING
    if gpu.memory_total_bytes is None:
        return size(gpu.memory_used_bytes)
    return f"{size(gpu.memory_used_bytes)} of {size(gpu.memory_total_bytes)}"


def _number(value: float | None, unit: str) -> str:
    return NOTHING if value is None else f"{value:.0f} {unit}"


def _uses(gpu: Gpu) -> str:
    """The models that gswarm has loaded, else the commands."""
    if gpu.models:
        return ", ".join(gpu.models)
    commands = [_short(process.command) for process in gpu.processes or () if process.command]
    return ", ".join(dict.fromkeys(commands)) or NOTHING


def _short(command: str) -> str:
    return command if len(command) <= _LONGEST else f"{command[: _LONGEST - 1]}…"
