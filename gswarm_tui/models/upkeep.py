"""Find the models that nodes have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gswarm_tui.errors import RemoteError
from gswarm_tui.models.ground import Ground, Together, Wire, all_of
from gswarm_tui.models.results import FoundModel, ScanResult
from gswarm_tui.progress import ProgressCallback


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
