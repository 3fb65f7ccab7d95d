"""What `gswarm top` says of a picture of the fleet: cells of a table, sentences, JSON."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, Final

from gswarm_tui import wording
from gswarm_tui.watch.fields import Row, memory_percent
from gswarm_tui.watch.snapshot import Attention, FleetSnapshot, Gpu, GpuState, Node, NodeState
from gswarm_tui.wording import NOTHING, clean, number_of, size

_COLUMNS: Final = ("node", "gpu", "card", "util", "memory", "temp", "power")
PCIE: Final = ("pcie in", "pcie out")
NVLINK: Final = ("nvlink in", "nvlink out")
"""Columns that are there when they are asked for."""
_WHO: Final = ("user", "uses it")

_NOTHING_TOLD: Final = Gpu("", 0, GpuState.SILENT)
_MAKERS: Final = ("NVIDIA GeForce ", "NVIDIA ", "Tesla ")
_AFTER_MODEL: Final = re.compile(
    r"[ -](SXM\d*|PCIE?|HBM\w*|NVL|\d+ ?GI?B|Generation|\w+ Edition)\b.*", re.IGNORECASE
)
"""What follows a card's model in its name: how it is put in, and its memory."""

_INTERPRETER: Final = re.compile(r"^python[\d.]* (-u )?(-m )?(?=[^-])")


def columns(*, pcie: bool, nvlink: bool) -> list[str]:
    """The columns of the table."""
    return [*_COLUMNS, *(PCIE if pcie else ()), *(NVLINK if nvlink else ()), *_WHO]


def cells(row: Row, *, brief: bool = False) -> dict[str, str]:
    """A line of the table: what is in each column that there can be.

    Args:
        brief: cards are their models, and commands begin with the program's own name.
    """
    node, gpu = row
    told = gpu if gpu is not None and gpu.state is GpuState.OK else _NOTHING_TOLD
    made = {
        "node": node.name,
        "gpu": NOTHING if gpu is None else str(gpu.index),
        "card": NOTHING if gpu is None else _card(gpu, brief=brief),
        "util": _number(told.util_percent, "%"),
        "memory": _memory(told),
        "temp": _number(told.temperature_c, "°C"),
        "power": _number(told.power_w, "W"),
        **rates(told),
        "user": ", ".join(told.users) or NOTHING,
        "uses it": _uses(told, brief=brief),
    }
    return {name: clean(text) for name, text in made.items()}


def said(row: Row) -> tuple[str, str] | None:
    """What is said of a row that has no numbers, and the first column that is empty then."""
    node, gpu = row
    if gpu is None:
        return "gpu", clean(_why(node))
    return None if gpu.state is GpuState.OK else ("util", gpu.state.value)


def rates(gpu: Gpu) -> dict[str, str]:
    """The cells below `PCIE` and `NVLINK`."""
    found = (
        gpu.pcie_rx_bytes_per_s,
        gpu.pcie_tx_bytes_per_s,
        gpu.nvlink_rx_bytes_per_s,
        gpu.nvlink_tx_bytes_per_s,
    )
    texts = [NOTHING if rate is None else f"{size(rate)}/s" for rate in found]
    return dict(zip((*PCIE, *NVLINK), texts, strict=True))


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
        facts.append(wording.power(sum(power)))
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
    found = rates(gpu)
    facts += [f"{found[name]} {name}" for name in wanted if found[name] != NOTHING]
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


def who_did_not(nodes: Sequence[Node], waited_s: float) -> list[str]:
    """A sentence for each node that has not answered."""
    found = []
    for node in nodes:
        if node.state is NodeState.CONNECTING:
            found.append(f"{node.name} has not answered within {waited_s:g} s")
        elif node.state is NodeState.UNREACHABLE or (
            node.sampled_at is None and node.error is None
        ):
            found.append(f"{node.name} {_why(node)}")
    return found


def _why(node: Node) -> str:
    if node.state is NodeState.UNREACHABLE:
        return f"does not answer: {node.error}" if node.error else "does not answer"
    if node.state is NodeState.CONNECTING:
        return "has not answered yet"
    if node.sampled_at is None and node.error is None:
        return "answers, and has not told its metrics yet"
    return node.error or "no GPU"


def _card(gpu: Gpu, *, brief: bool = False) -> str:
    if gpu.name is None:
        return NOTHING
    maker = next((maker for maker in _MAKERS if gpu.name.startswith(maker)), "")
    name = gpu.name.removeprefix(maker)
    return (_AFTER_MODEL.sub("", name) or name) if brief else name


def _memory(gpu: Gpu) -> str:
    if gpu.memory_used_bytes is None:
        return NOTHING
    if gpu.memory_total_bytes is None:
        return size(gpu.memory_used_bytes)
    return f"{size(gpu.memory_used_bytes)} of {size(gpu.memory_total_bytes)}"


def _number(value: float | None, unit: str) -> str:
    return NOTHING if value is None else f"{value:.0f} {unit}"


def _uses(gpu: Gpu, *, brief: bool = False) -> str:
    """The models that gswarm has loaded, else the commands."""
    if gpu.models:
        return ", ".join(gpu.models)
    commands = [process.command for process in gpu.processes or () if process.command]
    if brief:
        commands = [_in_brief(command) for command in commands]
    return ", ".join(dict.fromkeys(commands)) or NOTHING


def _in_brief(command: str) -> str:
    """``/opt/conda/bin/python -m lm_eval --tasks x`` as ``lm_eval --tasks x``."""
    for _ in range(2):
        program, space, rest = command.partition(" ")
        command = f"{program.rpartition('/')[2] or program}{space}{rest}"
        command = _INTERPRETER.sub("", command)
    return command
