"""The first picture of a fleet: its nodes, of which none has answered yet."""

from __future__ import annotations

from collections.abc import Iterable

from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.watch.snapshot import FleetSnapshot, Node, NodeState


def first_picture(nodes: Iterable[NodeSpec], now: float) -> FleetSnapshot:
    """What an inventory says, before anybody was asked."""
    return FleetSnapshot(now, nodes=tuple([connecting(spec, now) for spec in nodes]))


def connecting(spec: NodeSpec, now: float) -> Node:
    """A node that has not answered yet."""
    return Node(
        name=spec.name,
        address=spec.host,
        state=NodeState.CONNECTING,
        since=now,
        groups=spec.groups,
        labels=tuple(spec.labels.items()),
        gpu_count=len(spec.capabilities.gpus or ()),
    )
