"""What the fleet is: `Inventory`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from gswarm_tui.devices import Device, is_place, parse
from gswarm_tui.errors import DeviceError
from gswarm_tui.inventory import patterns
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.nearest import did_you_mean


@final
@dataclass(frozen=True, slots=True)
class Inventory:
    """The fleet.

    Args:
        nodes: every node by name, in the order of the file.
        groups: the names of each group's nodes.
        path: the file it was read from; None where there was none.
    """

    nodes: Mapping[str, NodeSpec]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    path: Path | None = None

    @property
    def is_this_machine(self) -> bool:
        """Whether no file was found, so that this machine is the only node."""
        return self.path is None and [n.connection for n in self.nodes.values()] == ["local"]

    def select(self, wanted: str | Sequence[str] | None = None) -> list[NodeSpec]:
        """The nodes that patterns name (see `patterns`), in the inventory's order.

        Raises:
            DeviceError: a pattern names no node, or none is left.
        """
        candidates = patterns.Candidates(
            names=list(self.nodes),
            groups=self.groups,
            labels={name: node.labels for name, node in self.nodes.items()},
            hosts={name: node.host for name, node in self.nodes.items()},
        )
        return [self.nodes[name] for name in patterns.select(wanted, candidates)]

    def find(self, name_or_host: str) -> NodeSpec | None:
        """The node of that name, or the only one with that host; None where there is none."""
        if name_or_host in self.nodes:
            return self.nodes[name_or_host]
        found = self._of_host(name_or_host)
        return found[0] if len(found) == 1 else None

    def node(self, name_or_host: str) -> NodeSpec:
        """The node of that name, or the only one with that host.

        Raises:
            DeviceError: there is none, or several nodes have that host.
        """
        node = self.find(name_or_host)
        if node is not None:
            return node
        sharing = ", ".join(node.name for node in self._of_host(name_or_host))
        if sharing:
            raise DeviceError(
                f"several nodes have the host `{name_or_host}`: {sharing}", hint="name one of them"
            )
        if name_or_host in self.groups:
            members = ", ".join(self.groups[name_or_host])
            raise DeviceError(f"`{name_or_host}` is a group, not a node; its nodes are: {members}")
        suggestion = did_you_mean(name_or_host, self.nodes)
        hint = None if suggestion else f"the inventory is {self.path or 'this machine alone'}"
        raise DeviceError(f"no node is called `{name_or_host}`{suggestion}", hint=hint)

    def device(self, text: str, *, node: str | None = None) -> Device:
        """Read a device, with its node by the name that it has here.

        Args:
            node: the node where the text names none.

        Raises:
            DeviceError: it is no device, its node is not here, or the node has no such GPU.
        """
        default = None if node is None else self.node(node)
        bare = is_place(text)
        device = parse(text, node=default.name if default is not None and bare else None)
        if device.node is None:
            return device
        spec = self.node(device.node)
        if default is not None and spec is not default:
            message = f"`{text}` is on {spec.name}, and the node that was asked for is"
            raise DeviceError(f"{message} {default.name}")
        gpus = spec.capabilities.gpus
        if device.index is not None and gpus is not None and device.index not in gpus:
            has = ", ".join(f"gpu{index}" for index in gpus) or "none"
            raise DeviceError(
                f"{spec.name} has no {device.tier_name}; its GPUs are: {has}", where=spec.where
            )
        return Device(spec.name, device.tier, device.index)

    def _of_host(self, host: str) -> list[NodeSpec]:
        wanted = host_key(host)
        return [node for node in self.nodes.values() if host_key(node.host) == wanted]


def host_key(host: str) -> str:
    """The same text for every spelling of a host."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.casefold()
