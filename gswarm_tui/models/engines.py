"""Loading a model: which devices make one engine, whether it runs, and starting it.

Which engine it is, where nobody says, is decided on the node, by its own settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gswarm_tui.devices import Device
from gswarm_tui.errors import DeviceError
from gswarm_tui.models.ground import Ground, NodeStatus, Wire
from gswarm_tui.progress import ProgressCallback

LOAD_TIMEOUT_S = 1800.0
"""Seconds that `move` gives an engine to load: a large model from a cold disk takes minutes."""


def one_engine(devices: Sequence[Device]) -> tuple[str, list[str]]:
    """The node and the places of the one engine that `devices` make.

    Several GPUs of one node are one engine, over which the model is split.

    Raises:
        DeviceError: they are on several nodes, or mix GPUs and dram.
    """
    nodes = list(dict.fromkeys(str(device.node) for device in devices))
    if len(nodes) > 1:
        raise DeviceError(
            f"one engine cannot span {' and '.join(nodes)}",
            hint="use one action (or one command) for each node",
        )
    if len({device.tier for device in devices}) > 1:
        raise DeviceError(
            f"one engine cannot be on {' and '.join(map(str, devices))}",
            hint="name GPUs of one node, or its dram to serve on the CPU",
        )
    return nodes[0], [device.tier_name for device in devices]


def running(
    status: NodeStatus,
    name: str,
    places: Sequence[str],
    *,
    revision: str | None = None,
    engine: str | None = None,
) -> Wire | None:
    """The engine that has the model on exactly these places and answers, if there is one."""
    for replica in status.replicas_of(name, places):
        if (
            set(replica["devices"]) == set(places)
            and replica["state"] == "ready"
            and revision in (None, replica["revision"])
            and engine in (None, replica["engine"])
        ):
            return replica
    return None


async def load(
    ground: Ground,
    name: str,
    revision: str,
    devices: Sequence[Device],
    *,
    engine: str | None,
    config: Mapping[str, Any] | None,
    progress: ProgressCallback,
) -> bool:
    """Start one engine on all of `devices` and wait until it answers; whether it did before."""
    node, places = one_engine(devices)
    params = {
        "model": name,
        "revision": revision,
        "devices": places,
        "engine": engine,
        "config": dict(config or {}),
        "env": {},
        "started_by": "move",
        "timeout_s": LOAD_TIMEOUT_S,
    }
    return bool((await ground.call(node, "engine.start", params, progress))["already"])
