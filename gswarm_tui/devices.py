"""Devices: the places that hold a model.

Written ``<node>:<tier>``: ``node1:disk``, ``node1:dram``, ``node1:gpu0`` (also ``node1:gpu:0``),
``192.168.1.100:gpu1``, ``[fe80::1]:disk``; and ``web``, which is on no node.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Final

from gswarm_remote.devices import DISK as DISK
from gswarm_remote.devices import DRAM as DRAM
from gswarm_remote.devices import MAX_GPU_INDEX as MAX_GPU_INDEX

from gswarm_tui.errors import DeviceError
from gswarm_tui.nearest import nearest

WEB: Final = "web"
GPU: Final = "gpu"
TIERS: Final = (WEB, DISK, DRAM, GPU)

_NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_DEVICE = re.compile(
    r"(?:(?P<node>[^:\[\]]+|\[[^\]]+\]):)?"
    r"(?P<tier>disk|dram|gpu)(?::?(?P<index>0|[1-9][0-9]{0,3}))?"
)
_WORD = re.compile(r"([a-z]+)[-_:]?([0-9]*)")
_ALSO_CALLED = {
    "ram": DRAM, "mem": DRAM, "memory": DRAM, "cpu": DRAM, "shm": DRAM,
    "ssd": DISK, "hdd": DISK, "nvme": DISK, "storage": DISK,
    "cuda": GPU, "vram": GPU,
}  # fmt: skip
_FORMS = "a device is web, node1:disk, node1:dram or node1:gpu0"


@total_ordering
@dataclass(frozen=True, slots=True)
class Device:
    """One place. ``str`` gives what `parse` reads.

    Args:
        node: the node's name or host; None for ``web`` only.
        tier: one of `TIERS`.
        index: the GPU's index; None for the other tiers.

    Raises:
        DeviceError: the three do not make a device.
    """

    node: str | None
    tier: str
    index: int | None = None

    def __post_init__(self) -> None:
        if self.tier not in TIERS:
            raise DeviceError(f"`{self.tier}` is no tier", hint=_FORMS)
        if (self.node is None) != (self.tier == WEB):
            raise DeviceError(
                f"`{self.tier}` {'needs a node' if self.node is None else 'has none'}"
            )
        if (self.index is None) == (self.tier == GPU):
            raise DeviceError(
                f"`{self.tier}` {'needs an' if self.index is None else 'has no'} index"
            )
        if self.index is not None and not 0 <= self.index <= MAX_GPU_INDEX:
            raise DeviceError(f"a GPU's index is 0 to {MAX_GPU_INDEX}, not {self.index}")
        if self.node is not None and not is_node_name(self.node) and not is_ipv6(self.node):
            raise DeviceError(f"`{self.node}` cannot be the name or host of a node")

    def __str__(self) -> str:
        if self.node is None:
            return self.tier
        node = f"[{self.node}]" if ":" in self.node else self.node
        return f"{node}:{self.tier_name}"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Device):
            return NotImplemented
        return self._order() < other._order()

    def _order(self) -> tuple[str, int, int]:
        return (self.node or "", TIERS.index(self.tier), -1 if self.index is None else self.index)

    @property
    def tier_name(self) -> str:
        """The tier with its index, as the helper on the node calls the place: ``gpu0``."""
        return self.tier if self.index is None else f"{self.tier}{self.index}"

    @property
    def is_store(self) -> bool:
        """Whether it holds files: disk or dram."""
        return self.tier in (DISK, DRAM)

    @property
    def is_gpu(self) -> bool:
        return self.tier == GPU


def is_node_name(text: str) -> bool:
    """Whether a node can be called so: a word, a DNS name or an IPv4 address."""
    return _NODE_NAME.fullmatch(text) is not None


def is_ipv6(text: str) -> bool:
    """Whether it is an IPv6 address, perhaps with a scope (``fe80::1%eth0``)."""
    address, percent, scope = text.partition("%")
    if percent and not is_node_name(scope):
        return False
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


def is_place(text: str) -> bool:
    """Whether it is a device without its node: ``web``, ``disk``, ``gpu0``."""
    match = _DEVICE.fullmatch(text)
    return text == WEB or (match is not None and match["node"] is None)


def parse(text: str, *, node: str | None = None) -> Device:
    """Read a device.

    Args:
        text: ``node1:gpu0``, ``web``; with ``node`` also ``gpu0`` alone.
        node: the node that is meant where the text names none (``--node``).

    Raises:
        DeviceError: it is no device, or it names another node than ``node``. The message has the
            nearest valid form.
    """
    if text == WEB:
        return Device(None, WEB)
    match = _DEVICE.fullmatch(text)
    if match is None or (text.startswith("[") and not is_ipv6(match["node"][1:-1])):
        raise _not_a_device(text)
    tier, index = match["tier"], match["index"]
    if (tier == GPU) != (index is not None):
        problem = "does not say which GPU" if tier == GPU else f"has an index, which {tier} has not"
        raise DeviceError(f"`{text}` {problem}; did you mean `{_nearest_form(text)}`?")
    named = match["node"].strip("[]") if match["node"] else None
    if named is None and node is None:
        message = f"`{text}` names no node; write it as `node1:{text}`"
        raise DeviceError(message, hint="or name the node with --node")
    if named is not None and node not in (None, named):
        raise DeviceError(f"`{text}` is on {named}, and the node that was asked for is {node}")
    return Device(named or node, tier, None if index is None else int(index))


def _not_a_device(text: str) -> DeviceError:
    if not text:
        return DeviceError("a device is empty here", hint=_FORMS)
    form = _nearest_form(text if ":" in text else text.replace("/", ":"))
    if form is not None:
        return DeviceError(f"`{text}` is no device; did you mean `{form}`?")
    if is_node_name(text):
        return DeviceError(
            f"`{text}` names no place on a node; did you mean `{text}:disk`?", hint=_FORMS
        )
    return DeviceError(f"`{text}` is no device", hint=_FORMS)


def _nearest_form(text: str) -> str | None:
    """The device that was probably meant, written well; None where it cannot be guessed."""
    node, _, place = text.strip().rpartition(":")
    if place.isdigit():
        node, _, word = node.rpartition(":")
        place = f"{word}:{place}"
    match = _WORD.fullmatch(place.strip().casefold())
    if match is None:
        return None
    tier = _ALSO_CALLED.get(match[1]) or nearest(match[1], (*_ALSO_CALLED, DISK, DRAM, GPU, WEB))
    tier = _ALSO_CALLED.get(tier or "", tier)
    if tier is None or (tier == WEB and node):
        return None
    form = f"{tier}{int(match[2] or 0)}" if tier == GPU else tier
    node = node.strip().strip("[]")
    if node:
        form = f"[{node}]:{form}" if ":" in node else f"{node}:{form}"
    match = _DEVICE.fullmatch(form)
    plausible = not node or is_node_name(node) or is_ipv6(node)
    return form if plausible and (match or form == WEB) else None
