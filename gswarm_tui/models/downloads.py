"""Get a model from its source onto nodes: resolved once, fetched by each node itself."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gswarm_remote.errors import Kind
from gswarm_remote.models import records
from gswarm_remote.models.manifest import FileEntry, Manifest

from gswarm_tui.devices import DISK, DRAM, Device
from gswarm_tui.errors import RemoteError
from gswarm_tui.loopback import is_loopback
from gswarm_tui.models.ground import (
    Ground,
    NodeStatus,
    Together,
    Wire,
    all_of,
    model_name,
    shown_hash,
)
from gswarm_tui.models.registration import metadata, register, source_of
from gswarm_tui.models.results import DownloadResult
from gswarm_tui.progress import Progress, ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.sources.base import Resolved


async def download(
    ground: Ground,
    name: str,
    source: str | None,
    devices: Sequence[Device],
    *,
    model_type: str | None,
    description: str | None,
    include: Sequence[str],
    exclude: Sequence[str],
    token: str | None,
    progress: ProgressCallback,
) -> DownloadResult:
    """See `gswarm_tui.models.Models.download`."""
    from gswarm_tui import sources

    started = time.monotonic()
    model_name(name)
    targets = ground.devices(
        devices, tiers=(DISK, DRAM), refusal="a download lands on disk or dram, move takes it on"
    )
    reference = source if source is not None else source_of(ground, name)
    sources.parse(reference)
    before = await ground.statuses_or_raise(str(target.node) for target in targets)
    progress(Progress("resolve", message=sources.parse(reference).reference))
    resolved = await sources.resolve(
        reference,
        include=include,
        exclude=exclude,
        environ=environment_with(token),
        progress=progress,
    )
    new = ground.registry.get(name) is None
    model = await register(
        ground,
        name,
        source=reference,
        model_type=model_type,
        description=description,
        tags=(),
        requirements=None,
    )
    together = Together(progress)
    arrived: list[Device] = []

    async def bring(index: int, target: Device) -> Wire:
        report = together.part(index, str(target))
        copy = await _bring(ground, name, resolved, metadata(model), target, before, report)
        arrived.append(target)
        return copy

    try:
        copies = await all_of(bring(i, target) for i, target in enumerate(targets))
    except BaseException:
        # A name that only a download without a result gave is none: it may have been mistyped.
        if new and not arrived:
            ground.registry.remove(name)
        raise
    first = copies[0]
    return DownloadResult(
        model=name,
        revision=first["revision"],
        hash=shown_hash(first["hash"]),
        size=first["size"],
        device=str(targets[0]),
        devices=[str(target) for target in targets],
        path=first.get("path"),
        already=all(
            before[str(target.node)].ready(name, target.tier, copy["revision"]) is not None
            for target, copy in zip(targets, copies, strict=True)
        ),
        seconds=time.monotonic() - started,
    )


def environment_with(token: str | None) -> Mapping[str, str]:
    """The process's own, with another token where one was given."""
    if token is None:
        return os.environ
    # The switch is about tokens that nobody asked for.
    rest = {k: v for k, v in os.environ.items() if k != "HF_HUB_DISABLE_IMPLICIT_TOKEN"}
    return {**rest, "HF_TOKEN": token}


async def _bring(
    ground: Ground,
    name: str,
    resolved: Resolved,
    described: dict[str, Any],
    target: Device,
    before: dict[str, NodeStatus],
    progress: ProgressCallback,
) -> Wire:
    """One copy on one node, by whichever way its source goes."""
    node = str(target.node)
    present = before[node].ready(name, target.tier, resolved.revision)
    if resolved.revision is not None and present is not None:
        return present
    if resolved.kind == "import":
        params = {
            "name": name,
            "path": str(resolved.path),
            "tier": target.tier,
            "metadata": described,
            "source": resolved.reference,
        }
        return await ground.call(node, "model.import", params, progress)
    if resolved.kind == "upload":
        return await _upload(ground, name, resolved, described, target, progress)
    return await _fetch(ground, name, resolved, described, target, progress)


async def _fetch(
    ground: Ground,
    name: str,
    resolved: Resolved,
    described: dict[str, Any],
    target: Device,
    progress: ProgressCallback,
) -> Wire:
    """The node fetches; a hub on the controller's loopback is brought within its reach first."""
    name_of_node, origin = str(target.node), str(resolved.origin)
    plan = resolved.plan_for(name, described)
    params = {
        "plan": plan,
        "tier": target.tier,
        "origin": origin,
        "headers": dict(resolved.headers),
    }
    if not is_loopback(urlsplit(origin).hostname or ""):
        return await ground.call(name_of_node, "model.fetch", params, progress)
    node = ground.node(name_of_node)
    while True:
        async with node.expose(origin) as reachable:
            connection, here = node.hello, reachable.rstrip("/")
            files = [{**file, "url": moved(file["url"], origin, here)} for file in plan["files"]]
            params.update(plan={**plan, "files": files}, origin=here)
            try:
                return await ground.call(name_of_node, "model.fetch", params, progress)
            except RemoteError as error:
                # The way led through the connection: where that was lost, another leads there.
                if error.kind != Kind.UNREACHABLE or node.hello is connection:
                    raise


def moved(url: str, origin: str, here: str) -> str:
    """`url` at another origin; one that was elsewhere already stays.

    Args:
        origin: ``scheme://host:port``, its port always written, where `url` may leave it out.
        here: the origin that takes its place.
    """
    from gswarm_tui.sources.urls import origin_of

    parts = urlsplit(url)
    if origin_of(parts) != origin:
        return url
    there = urlsplit(here)
    return parts._replace(scheme=there.scheme, netloc=there.netloc).geturl()


async def _upload(
    ground: Ground,
    name: str,
    resolved: Resolved,
    described: dict[str, Any],
    target: Device,
    progress: ProgressCallback,
) -> Wire:
    from gswarm_tui import transfers

    assert resolved.path is not None
    manifest = _manifest(name, resolved, described)
    node = ground.node(str(target.node))
    return await transfers.push_folder(node, resolved.path, manifest, target.tier, progress)


def _manifest(name: str, resolved: Resolved, described: dict[str, Any]) -> Manifest:
    """The manifest of files that were hashed here."""
    return Manifest(
        name=name,
        revision=str(resolved.revision),
        source=resolved.reference,
        files=tuple(
            FileEntry(file.path, file.size or 0, str(file.sha256)) for file in resolved.files
        ),
        published_at=records.now(),
        metadata=described,
    )
