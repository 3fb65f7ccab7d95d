"""Delete copies and end engines."""

from __future__ import annotations

from collections.abc import Sequence

from gswarm_remote.errors import Kind

from gswarm_tui.devices import DISK, DRAM, GPU, Device
from gswarm_tui.errors import GswarmError, RemoteError
from gswarm_tui.models.ground import Ground, NodeStatus, Wire, all_of, model_name
from gswarm_tui.models.results import DeleteResult

DRAIN_S = 10.0
"""Seconds that requests under way get before a service is closed."""


async def delete(
    ground: Ground, name: str, devices: Sequence[Device], *, force: bool
) -> DeleteResult:
    """See `gswarm_tui.models.Models.delete`."""
    model_name(name)
    wanted = ground.devices(devices, tiers=(DISK, DRAM, GPU), refusal="nothing is stored there")
    nodes = list(dict.fromkeys(str(device.node) for device in wanted))
    freed = await all_of(
        _delete_on(ground, name, node, [d for d in wanted if d.node == node], force=force)
        for node in nodes
    )
    return DeleteResult(model=name, devices=[str(device) for device in wanted], freed=sum(freed))


async def _delete_on(
    ground: Ground, name: str, node: str, devices: list[Device], *, force: bool
) -> int:
    """Engines first: a file that an engine reads from is not removed under it."""
    places = [device.tier_name for device in devices]
    memory = [place for place in places if place != DISK]
    if memory:
        await unload(ground, name, await ground.status(node), memory, force=force)
    freed = 0
    for tier in (DRAM, DISK):
        if tier in places:
            freed += await delete_files(ground, name, node, tier, force=force)
    return freed


async def delete_files(
    ground: Ground, name: str, node: str, tier: str, *, force: bool, revision: str | None = None
) -> int:
    """Remove a model's files from a tier and return the bytes; what is not there is no failure.

    Raises:
        RemoteError: an engine reads them (kind ``in_use``) and `force` is not given.
    """
    params = {"name": name, "revision": revision, "tier": tier, "force": force}
    try:
        answer = await ground.call(node, "model.delete", params)
    except RemoteError as error:
        if error.kind == Kind.NOT_FOUND:
            return 0
        raise
    return int(answer.get("freed") or 0)


async def unload(
    ground: Ground, name: str, status: NodeStatus, places: Sequence[str], *, force: bool
) -> int:
    """End the model's engines that use one of `places`; returns how many there were.

    Raises:
        GswarmError: one is published, and `force` is not given.
    """
    if not force:
        refuse_published(status, name, places)
    replicas = status.replicas_of(name, places)
    services = _published(status, name, places)
    for service in services:
        await ground.call(
            status.node,
            "service.stop",
            {"model": name, "devices": list(service["devices"]), "drain_s": DRAIN_S},
        )
    for replica in replicas:
        await ground.call(status.node, "engine.stop", {"id": replica["id"]})
    return len(replicas)


def refuse_published(status: NodeStatus, name: str, places: Sequence[str]) -> None:
    """Say which service uses the engines on `places`, if one does.

    Raises:
        GswarmError: it does.
    """
    services = [item for item in _published(status, name, places) if item["state"] != "stale"]
    if services:
        ports = ", ".join(str(service["port"]) for service in services)
        devices = ", ".join(sorted({place for service in services for place in service["devices"]}))
        raise GswarmError(
            f"{name} on {devices} is being served on port {ports}",
            where=status.node,
            hint=f"first: gswarm model stop {name} --node {status.node}; or use --force",
        )


def _published(status: NodeStatus, name: str, places: Sequence[str]) -> list[Wire]:
    """The services on `places`, and those of engines that use one of them."""
    engines = {replica["id"] for replica in status.replicas_of(name, places)}
    return [
        service
        for service in status.services_of(name)
        if service["replica"] in engines or not set(places).isdisjoint(service["devices"])
    ]
