"""From what an action uses to what it claims: in the queue of this controller, and on nodes.

The queue keeps jobs of one data directory apart before they begin; leases on nodes keep those of
different controllers and users apart while they work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from gswarm_tui.config import QueueConfig
from gswarm_tui.devices import parse
from gswarm_tui.models.leases import Want
from gswarm_tui.playbook.actions.base import NETWORK, Use
from gswarm_tui.state.queue import Claim

_NODE = "node"


def claims(uses: Iterable[Use], config: QueueConfig) -> list[Claim]:
    """What a task that uses this wishes for in the queue; of two uses of one thing the stricter."""
    found: dict[str, Claim] = {}
    for use in uses:
        key = "/".join(use.key)
        exclusive = use.exclusive or (key in found and found[key].exclusive)
        slots = config.max_transfers_per_node if use.key[0] == NETWORK else None
        found[key] = Claim(key, use.label, exclusive, slots)
        for node in _nodes(use):
            place = f"a slot of {node} (queue.max_tasks_per_node)"
            slots = config.max_tasks_per_node
            found[f"{_NODE}/{node}"] = Claim(
                f"{_NODE}/{node}", place, exclusive=False, slots=slots, node=node
            )
    return list(found.values())


def wants(uses: Iterable[Use]) -> dict[str, list[Want]]:
    """The leases that a task that uses this needs, by node."""
    shared: dict[tuple[str, Want], bool] = {}
    for use in uses:
        for node, want in _leased(use):
            shared[node, want] = shared.get((node, want), True) and not use.exclusive
    found: dict[str, list[Want]] = defaultdict(list)
    for (node, want), is_shared in shared.items():
        found[node].append(Want(want.device, want.model, want.tier, is_shared))
    return dict(found)


def _leased(use: Use) -> Iterator[tuple[str, Want]]:
    """The node, and the device or model on it, that a use is of; nothing for ports and services."""
    match use.key:
        case ("device", text):
            device = parse(text)
            yield str(device.node), Want(device=device.tier_name)
        case ("copy", model, text):
            device = parse(text)
            if not device.is_gpu:
                yield str(device.node), Want(model=model, tier=device.tier)


def _nodes(use: Use) -> Iterator[str]:
    match use.key:
        case ("copy" | "device" | "service", *_, text):
            yield str(parse(text).node)
        case ("command", node):
            yield node
