"""What GPUs are filtered, sorted and grouped by, each under the word that people type."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from gswarm_tui.watch.attention import HARMLESS
from gswarm_tui.watch.snapshot import Concern, Gpu, GpuState, Node, NodeState

Row = tuple[Node, Gpu | None]
"""A GPU with its node; a node without GPUs stands for itself."""


@dataclass(frozen=True, slots=True)
class NumberField:
    """A number of a row; None where it is not told.

    Args:
        unit: may be written after a number that it is compared with.
    """

    value: Callable[[Node, Gpu | None], float | None]
    unit: str = ""
    is_time: bool = False


def _of_gpu(value: Callable[[Gpu], float | None]) -> Callable[[Node, Gpu | None], float | None]:
    return lambda node, gpu: None if gpu is None else value(gpu)


def memory_percent(gpu: Gpu) -> float | None:
    """How much of a GPU's memory is taken."""
    if gpu.memory_used_bytes is None or not gpu.memory_total_bytes:
        return None
    return 100 * gpu.memory_used_bytes / gpu.memory_total_bytes


def _idle_s(node: Node, gpu: Gpu | None) -> float | None:
    if gpu is None or gpu.idle_since is None:
        return None
    return max(0.0, (node.sampled_at or time.time()) - gpu.idle_since)


NUMBERS: Final[Mapping[str, NumberField]] = {
    "util": NumberField(_of_gpu(lambda gpu: gpu.util_percent), "%"),
    "mem": NumberField(_of_gpu(memory_percent), "%"),
    "temp": NumberField(_of_gpu(lambda gpu: gpu.temperature_c), "C"),
    "power": NumberField(_of_gpu(lambda gpu: gpu.power_w), "W"),
    "clock": NumberField(_of_gpu(lambda gpu: gpu.sm_clock_mhz), "MHz"),
    "fan": NumberField(_of_gpu(lambda gpu: gpu.fan_percent), "%"),
    "idle": NumberField(_idle_s, is_time=True),
    "gpu": NumberField(_of_gpu(lambda gpu: gpu.index)),
    "cpu": NumberField(lambda node, gpu: node.host.cpu_percent, "%"),
    "load": NumberField(lambda node, gpu: node.host.load1),
}
"""``mem`` is a share here; as an amount of bytes it is the filter's own."""


HUNG: Final = "hung"
"""The word for a node whose GPU driver does not answer."""

NO_GPU: Final = "no GPU"
"""What is said of a node that has none."""


def hangs(node: Node) -> bool:
    """Whether it answers and its GPU driver does not."""
    return node.state is NodeState.UP and node.silent_s > 0


def has_no_gpu(node: Node) -> bool:
    """Whether it is known to have none: it told what it measures, without one and without error."""
    known = node.state is NodeState.UP and node.sampled_at is not None
    return known and not node.gpus and node.error is None


def states(node: Node, gpu: Gpu | None) -> Iterator[str]:
    """The words for how a row is."""
    yield node.state.value
    if hangs(node):
        yield HUNG
    if gpu is None:
        return
    yield gpu.state.value
    if gpu.state is not GpuState.OK:
        return
    yield "idle" if gpu.idle_since is not None else "busy"
    if gpu.idle_since is not None and gpu.processes:
        yield "held"
    if gpu.processes == ():
        yield "free"
    if any(reason not in HARMLESS for reason in gpu.throttle or ()):
        yield "throttled"
    if gpu.xid:
        yield "xid"
    if gpu.ecc_uncorrected:
        yield "ecc"


def labels(node: Node, gpu: Gpu | None = None) -> Iterator[str]:
    """The names of a node's labels, their values, and ``rack=r1``."""
    for key, value in node.labels:
        yield key
        yield value
        yield f"{key}={value}"


def label_values(node: Node, key: str) -> list[str]:
    """The value of one label; empty where the node does not have it."""
    return [value for name, value in node.labels if name.casefold() == key.casefold()]


def _users(node: Node, gpu: Gpu | None) -> Sequence[str]:
    return () if gpu is None else gpu.users


def _models(node: Node, gpu: Gpu | None) -> Iterator[str]:
    """What is loaded on it, and what it is itself: people call both its model."""
    if gpu is not None:
        yield from gpu.models
        yield from _cards(node, gpu)


def _commands(node: Node, gpu: Gpu | None) -> Iterator[str | None]:
    for process in (gpu and gpu.processes) or ():
        yield process.command
        yield process.unit


def _cards(node: Node, gpu: Gpu | None) -> Iterator[str]:
    """A GPU's model: the whole of it, and each word: ``NVIDIA H100 80GB HBM3``, ``H100``."""
    if gpu is not None and gpu.name:
        yield gpu.name
        yield from gpu.name.split()


TEXTS: Final[Mapping[str, Callable[[Node, Gpu | None], Iterable[str | None]]]] = {
    "node": lambda node, gpu: (node.name, node.address),
    "user": _users,
    "model": _models,
    "card": _cards,
    "command": _commands,
    "label": labels,
    "group": lambda node, gpu: node.groups,
    "state": states,
    "uuid": lambda node, gpu: () if gpu is None else (gpu.uuid,),
}

FIELDS: Final = (*NUMBERS, *TEXTS)


_CONCERNS: Final[Mapping[str, str]] = {
    GpuState.LOST.value: Concern.LOST,
    GpuState.MISSING.value: Concern.MISSING,
    "xid": Concern.XID,
    "ecc": Concern.ECC,
}
"""What is said on a screen of what is wrong, by the shorter word for it; else they are the same."""


def texts_of(node: Node, gpu: Gpu | None) -> Iterator[str | None]:
    """Where a word without a field is looked for, whatever its length."""
    yield node.name
    yield node.address
    yield node.error
    yield node.system
    yield node.driver
    yield from labels(node)
    yield from node.groups
    yield HUNG if hangs(node) else node.state.value
    if gpu is not None:
        yield from _said_of(node, gpu)
    elif has_no_gpu(node):
        yield NO_GPU


def _said_of(node: Node, gpu: Gpu) -> Iterator[str | None]:
    yield f"{node.name}:gpu{gpu.index}"
    yield gpu.name
    yield from gpu.models
    for process in gpu.processes or ():
        yield process.user
        yield process.command
        yield process.unit
    for state in states(node, gpu):
        if state != node.state.value:
            yield state
            yield _CONCERNS.get(state)
    yield from gpu.throttle or ()


# Order and groups

SORTS: Final = ("node", "util", "mem", "temp", "power", "idle", "user", "model", "card")
"""What rows can be sorted by; ``node`` is the inventory's own order."""

GROUPS: Final = ("node", "card", "model", "user", "group", "state")
"""What rows can be grouped by; beside these, ``label:rack``."""

NOBODY: Final = "-"
"""The group of rows that have no value."""


def sort(rows: Iterable[Row], by: str, *, descending: bool = False) -> list[Row]:
    """The rows in another order; those without a value are last either way.

    Args:
        by: one of `SORTS`.
    """
    rows = list(rows)
    if by == "node":
        return rows[::-1] if descending else rows
    valued = [(_sorted_by(row, by), row) for row in rows]
    known = [each for each in valued if each[0] is not None]
    known.sort(key=itemgetter(0), reverse=descending)
    return [row for _, row in known] + [row for value, row in valued if value is None]


def _sorted_by(row: Row, by: str) -> Any:
    if by in NUMBERS:
        return NUMBERS[by].value(*row)
    name = group_of(row, by)
    return None if name == NOBODY else name.casefold()


def group(rows: Iterable[Row], by: str) -> list[tuple[str, list[Row]]]:
    """The rows in groups, each with its name; groups in the order of their names, rows as before.

    Args:
        by: one of `GROUPS`, or ``label:KEY``.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(group_of(row, by), []).append(row)
    if by == "node":
        return list(found.items())
    return sorted(found.items(), key=lambda item: (item[0] == NOBODY, item[0].casefold()))


def group_of(row: Row, by: str) -> str:
    """The name of the group that a row is in; several users or models are one group."""
    node, gpu = row
    if by.startswith("label:"):
        return ", ".join(label_values(node, by.removeprefix("label:"))) or NOBODY
    if by == "node":
        return node.name
    if by == "card":
        return (gpu.name if gpu is not None else None) or NOBODY
    if by == "model":
        return ", ".join(gpu.models if gpu is not None else ()) or NOBODY
    if by == "state":
        return node.state.value if gpu is None else gpu.state.value
    return ", ".join(text for text in TEXTS[by](node, gpu) if text) or NOBODY


def labels_of(nodes: Iterable[Node]) -> list[str]:
    """The names of all labels, to group by."""
    return list(dict.fromkeys(key for node in nodes for key, _ in node.labels))
