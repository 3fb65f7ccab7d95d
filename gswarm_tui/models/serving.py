"""Publish a model at a port, and take it back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from gswarm_tui.devices import DISK, DRAM, GPU, Device
from gswarm_tui.errors import GswarmError, NodeError, UsageError
from gswarm_tui.loopback import is_loopback
from gswarm_tui.models.addresses import endpoint_of, node_url, tunnel_to
from gswarm_tui.models.engines import one_engine
from gswarm_tui.models.ground import Ground, NodeStatus, all_of, model_name, raise_first
from gswarm_tui.models.removal import DRAIN_S
from gswarm_tui.models.results import ServeResult, StopResult
from gswarm_tui.progress import ProgressCallback


async def serve(
    ground: Ground,
    name: str,
    devices: Sequence[Device],
    *,
    engine: str | None,
    port: int | None,
    address: str,
    api_key_env: str | None,
    config: Mapping[str, Any] | None,
    timeout_s: float,
    progress: ProgressCallback,
) -> ServeResult:
    """See `gswarm_tui.models.Models.serve`."""
    model_name(name)
    places = ground.devices(
        devices, tiers=(DRAM, GPU), refusal="an engine runs on a GPU, or in dram on the CPU"
    )
    node, tiers = one_engine(places)
    key = api_key(api_key_env)
    if key is None and not is_loopback(address):
        raise UsageError(
            f"at {address} other machines could use {name}, and there is no key",
            hint="name the environment variable that holds one: --api-key-env NAME (api_key_env:)",
        )
    status = await ground.status(node)
    await _refuse_absent(ground, name, status)
    if tiers == [DRAM]:
        await _stage(ground, name, status, progress)
    params = {
        "model": name,
        "devices": tiers,
        "engine": engine,
        "config": dict(config or {}),
        "address": address,
        "port": port,
        "api_key": key,
        "names": [name],
        "started_by": "serve",
        "timeout_s": timeout_s,
    }
    service = await ground.call(node, "service.start", params, progress)
    spec, bound, chosen = ground.spec(node), service["address"], service["port"]
    return ServeResult(
        model=name,
        device=str(places[0]),
        devices=[str(place) for place in places],
        engine=service["engine"],
        node=node,
        port=chosen,
        url=node_url(node, chosen),
        endpoint=endpoint_of(spec, bound, chosen),
        tunnel=tunnel_to(spec, bound, chosen),
        service=service["id"],
        already=service["already"],
    )


async def stop_serve(ground: Ground, name: str, devices: Sequence[Device] | None) -> StopResult:
    """See `gswarm_tui.models.Models.stop_serve`."""
    model_name(name)
    if devices is None:
        known, failed = await ground.statuses()
        nodes = {node: None for node, status in known.items() if status.services_of(name)}
        stopped = await all_of(_stop(ground, name, node, None) for node in nodes)
        done = [place for part in stopped for place in part]
        # Said after the others are stopped: what serves there cannot be known.
        raise_first(_unknown(name, node, error) for node, error in failed.items())
        return StopResult(model=name, devices=_devices(done), stopped=len(done))
    places = ground.devices(devices, tiers=(DRAM, GPU), refusal="nothing is served from there")
    by_node: dict[str, list[str]] = {}
    for place in places:
        by_node.setdefault(str(place.node), []).append(place.tier_name)
    stopped = await all_of(_stop(ground, name, node, tiers) for node, tiers in by_node.items())
    done = [place for part in stopped for place in part]
    return StopResult(model=name, devices=[str(place) for place in places], stopped=len(done))


async def _refuse_absent(ground: Ground, name: str, status: NodeStatus) -> None:
    """Say where a model is that its node does not have.

    Raises:
        GswarmError: the node has neither a whole copy nor an engine of it.
    """
    node = status.node
    if status.replicas_of(name) or any(status.ready(name, tier) for tier in (DISK, DRAM)):
        return
    known, _ = await ground.statuses()
    places = [
        f"{other}:{tier}"
        for other, found in known.items()
        for tier in (DISK, DRAM)
        if found.ready(name, tier) is not None
    ]
    if places:
        raise GswarmError(
            f"{name} is not on {node}; it is on {', '.join(places)}",
            hint=f"first: gswarm model copy {name} --from {places[0]} --to {node}:{DISK}",
        )
    registered = ground.registry.get(name)
    source = "" if registered is not None and registered.source else " --source SOURCE"
    raise GswarmError(
        f"{name} is not on {node}, nor on another node that answers",
        hint=f"first: gswarm model download {name}{source} --device {node}:{DISK}",
    )


async def _stage(ground: Ground, name: str, status: NodeStatus, progress: ProgressCallback) -> None:
    """Load a model for the CPU: its files into dram, where only the node's disk has them."""
    on_disk = status.ready(name, DISK)
    if on_disk is None or status.ready(name, DRAM) is not None:
        return
    params = {
        "name": name,
        "revision": on_disk["revision"],
        "from": DISK,
        "to": DRAM,
        "remove_source": False,
    }
    await ground.call(status.node, "model.stage", params, progress)


def api_key(variable: str | None) -> str | None:
    """The key in an environment variable of the controller; it goes into frames only.

    Raises:
        UsageError: the variable is not set, or holds what no header can carry.
    """
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise UsageError(f"the environment variable {variable} is not set, and should hold the key")
    if not all("!" <= character <= "~" for character in key):
        raise UsageError(
            f"the key in the environment variable {variable} has spaces, line ends or other"
            " characters that no key has",
            hint=f'set it without them: export {variable}="$(cat FILE)" drops a final line end',
        )
    return key


async def _stop(
    ground: Ground, name: str, node: str, tiers: list[str] | None
) -> list[tuple[str, list[str]]]:
    """Stop on one node; returns the node and the devices of each service that was stopped."""
    params = {"model": name, "devices": tiers, "drain_s": DRAIN_S}
    answer = await ground.call(node, "service.stop", params)
    return [(node, list(service["devices"])) for service in answer.get("stopped") or ()]


def _devices(done: Sequence[tuple[str, list[str]]]) -> list[str]:
    return list(dict.fromkeys(f"{node}:{tier}" for node, tiers in done for tier in tiers))


def _unknown(name: str, node: str, error: Exception) -> NodeError:
    return NodeError(
        f"whether {name} is served there is unknown: {getattr(error, 'message', error)}",
        where=node,
        hint="to leave the node out, name the devices: --device node1:gpu0 (in a playbook:"
        " devices: [node1:gpu0])",
    )
