"""Check copies against their manifests, and find the models that nodes have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gswarm_tui.devices import DISK, DRAM, Device, parse
from gswarm_tui.errors import GswarmError, RemoteError
from gswarm_tui.models.ground import (
    Ground,
    Together,
    Wire,
    all_of,
    model_name,
    raise_first,
)
from gswarm_tui.models.results import FoundModel, ScanResult, Verification, VerifyResult
from gswarm_tui.progress import ProgressCallback


async def verify(
    ground: Ground, name: str, devices: Sequence[Device] | None, *, progress: ProgressCallback
) -> VerifyResult:
    """See `gswarm_tui.models.Models.verify`."""
    model_name(name)
    places = (
        await _copies(ground, name)
        if devices is None
        else ground.devices(devices, tiers=(DISK, DRAM), refusal="only files can be verified")
    )
    together = Together(progress)
    checked = await all_of(
        _verify(ground, name, place, together.part(index, str(place)))
        for index, place in enumerate(places)
    )
    return VerifyResult(model=name, ok=all(one.ok for one in checked), copies=checked)


async def _copies(ground: Ground, name: str) -> list[Device]:
    """Every store of the fleet with a whole copy.

    Raises:
        GswarmError: there is none.
        NodeError: a node cannot be asked.
    """
    known, failed = await ground.statuses()
    raise_first(failed.values())
    places = [
        parse(tier, node=node)
        for node, status in known.items()
        for tier in (DISK, DRAM)
        if status.ready(name, tier) is not None
    ]
    if not places:
        raise GswarmError(f"no node has a whole copy of {name}", hint="see: gswarm model list")
    return places


async def _verify(
    ground: Ground, name: str, place: Device, progress: ProgressCallback
) -> Verification:
    params = {"name": name, "revision": None, "tier": place.tier}
    answer = await ground.call(str(place.node), "model.verify", params, progress)
    return Verification(
        device=str(place),
        revision=answer.get("revision"),
        ok=bool(answer["ok"]),
        bad={item["path"]: item["reason"] for item in answer.get("bad") or ()},
        shared_with=list(answer.get("shared_with") or ()),
    )


async def scan(
    ground: Ground,
    nodes: Sequence[str] | None,
    paths: Sequence[str] | None,
    *,
    adopt: bool,
    how: str,
    progress: ProgressCallback,
) -> ScanResult:
    """See `gswarm_tui.models.Models.scan`."""
    wanted = [ground.spec(node).name for node in nodes] if nodes is not None else list(ground.nodes)
    known, failed = await ground.statuses(wanted)
    registered = _bring_back(ground, [copy for status in known.values() for copy in status.copies])
    together = Together(progress)
    found = await all_of(
        _scan(ground, node, paths, adopt=adopt, how=how, progress=together.part(index, node))
        for index, node in enumerate(known)
    )
    everything = [model for part in found for model in part]
    for model in everything:
        if model.adopted is not None and ground.registry.get(model.name) is None:
            ground.registry.put(model.name, source=model.source)
            registered.append(model.name)
    return ScanResult(
        found=everything,
        registered=registered,
        unreachable={node: error.message for node, error in failed.items()},
    )


def _bring_back(ground: Ground, copies: Sequence[Wire]) -> list[str]:
    """Register what nodes' manifests know and the registry does not; the newest manifest counts."""
    newest: dict[str, Wire] = {}
    for copy in copies:
        other = newest.get(copy["name"])
        if other is None or (copy.get("published_at") or "") > (other.get("published_at") or ""):
            newest[copy["name"]] = copy
    added = []
    for name, copy in sorted(newest.items()):
        if ground.registry.get(name) is not None:
            continue
        described = copy.get("metadata") or {}
        ground.registry.put(
            name,
            source=copy.get("source"),
            type=described.get("type"),
            description=described.get("description"),
            tags=described.get("tags"),
            requirements=described.get("requirements"),
        )
        added.append(name)
    return added


async def _scan(
    ground: Ground,
    node: str,
    paths: Sequence[str] | None,
    *,
    adopt: bool,
    how: str,
    progress: ProgressCallback,
) -> list[FoundModel]:
    params = {"paths": None if paths is None else list(paths)}
    answer = await ground.call(node, "model.scan", params, progress)
    found = [_found(node, item) for item in answer["found"]]
    if not adopt:
        return found
    # One after the other: they are hashed, and the disk is the limit.
    return [await _adopt(ground, model, how, progress) for model in found]


def _found(node: str, item: Wire) -> FoundModel:
    return FoundModel(
        node=node,
        path=item["path"],
        name=item["name"],
        revision=item.get("revision"),
        source=item.get("source"),
        files=item.get("files") or 0,
        size=item.get("size") or 0,
        adoptable=bool(item.get("adoptable")),
        reason=item.get("reason"),
        adopted=None,
    )


async def _adopt(
    ground: Ground, model: FoundModel, how: str, progress: ProgressCallback
) -> FoundModel:
    if not model.adoptable:
        return model
    params: dict[str, Any] = {
        "path": model.path,
        "name": model.name,
        "revision": model.revision,
        "source": model.source,
        "how": how,
        "metadata": {},
    }
    try:
        copy = await ground.call(model.node, "model.adopt", params, progress)
    except RemoteError as error:
        return replace(model, adoptable=False, reason=error.message)
    return replace(model, adopted=f"{model.node}:{copy['tier']}", revision=copy["revision"])
