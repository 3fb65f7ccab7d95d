"""Whether the GPUs that somebody wants are there, as their nodes say."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from gswarm_tui.devices import Device
from gswarm_tui.errors import GswarmError
from gswarm_tui.models.ground import Ground, Wire


async def missing_gpus(ground: Ground, devices: Iterable[Device]) -> dict[Device, str]:
    """Those GPUs of `devices` that are not there, each with the reason.

    Only the nodes of GPUs are asked. Nothing is said of one that does not answer.
    """
    wanted: dict[str, list[Device]] = defaultdict(list)
    for device in dict.fromkeys(devices):
        if device.is_gpu and device.node is not None:
            wanted[ground.spec(device.node).name].append(device)
    answers = await asyncio.gather(*(_info(ground, node) for node in wanted))
    return {
        device: reason
        for (node, gpus), info in zip(wanted.items(), answers, strict=True)
        if info is not None
        for device in gpus
        if (reason := why_missing(node, device, info)) is not None
    }


async def _info(ground: Ground, node: str) -> Wire | None:
    try:
        return await ground.call(node, "node.info", {})
    except GswarmError:
        # What is asked of it next fails too, and says why.
        return None


def why_missing(node: str, device: Device, info: Wire) -> str | None:
    """Why a GPU is not there, by what its node said (``node.info``); None where it is."""
    gpus = info.get("gpus")
    if gpus is None:
        return f"whether {node} has {device.tier_name} cannot be told: {info.get('gpus_error')}"
    present = [f"gpu{gpu['index']}" for gpu in gpus]
    if device.tier_name in present:
        return None
    return f"{node} has no {device.tier_name} (it has {', '.join(present) or 'none'})"
