"""Copy and move a model between devices.

A move never loses a model. What a move does with its source when nothing is said:

    from disk   keeps it, unless a target is the disk of another node
    from dram   keeps it where the targets are GPUs (an engine reads it), else removes it
    from a GPU  ends the engine, once the files are where they were asked to be
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gswarm_tui.devices import DISK, DRAM, GPU, WEB, Device
from gswarm_tui.errors import DeviceError, GswarmError
from gswarm_tui.models import engines, removal
from gswarm_tui.models.ground import (
    Ground,
    NodeStatus,
    Together,
    Wire,
    all_of,
    model_name,
    shown_hash,
)
from gswarm_tui.models.results import CopyResult, MoveResult
from gswarm_tui.progress import ProgressCallback


@dataclass(frozen=True, slots=True)
class Job:
    """A model on its way.

    Args:
        keep: the source stays.
        before: the status of every node that takes part, from before anything was done.
        engine, config: for the engine, where a target is a GPU.
    """

    name: str
    source: Device
    targets: list[Device]
    keep: bool
    force: bool
    before: dict[str, NodeStatus]
    engine: str | None = None
    config: Mapping[str, Any] | None = None

    @property
    def node(self) -> str:
        return str(self.source.node)

    @property
    def stores(self) -> list[Device]:
        return [target for target in self.targets if target.is_store]

    @property
    def gpus(self) -> list[Device]:
        return [target for target in self.targets if target.is_gpu]


async def copy(
    ground: Ground,
    name: str,
    source: Device,
    targets: Sequence[Device],
    *,
    progress: ProgressCallback,
) -> CopyResult:
    """See `gswarm_tui.models.Models.copy`."""
    started = time.monotonic()
    job = await _prepare(ground, name, source, targets, keep_source=True, force=False)
    facts = await _carry_out(ground, job, progress)
    return CopyResult(**facts, seconds=time.monotonic() - started)


async def move(
    ground: Ground,
    name: str,
    source: Device,
    targets: Sequence[Device],
    *,
    keep_source: bool | None,
    force: bool,
    engine: str | None,
    config: Mapping[str, Any] | None,
    progress: ProgressCallback,
) -> MoveResult:
    """See `gswarm_tui.models.Models.move`."""
    started = time.monotonic()
    job = await _prepare(
        ground,
        name,
        source,
        targets,
        keep_source=keep_source,
        force=force,
        engine=engine,
        config=config,
    )
    facts = await _carry_out(ground, job, progress)
    return MoveResult(**facts, seconds=time.monotonic() - started, source_kept=job.keep)


def keeps_source(source: Device, targets: Sequence[Device]) -> bool:
    """Whether a move keeps its source when nothing is said: the table at the top of this file."""
    if source.tier == GPU:
        return False
    if source.tier == DRAM:
        return not any(target.is_store for target in targets)
    return not any(target.tier == DISK for target in targets)


async def _prepare(
    ground: Ground,
    name: str,
    source: Device,
    targets: Sequence[Device],
    *,
    keep_source: bool | None,
    force: bool,
    engine: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Job:
    model_name(name)
    places = ground.devices(targets, tiers=(DISK, DRAM, GPU), refusal="nothing is put there")
    if source.tier == WEB:
        raise DeviceError("a model comes from the web by download, not by a copy or a move")
    source = ground.device(source)
    if source in places:
        raise DeviceError(f"{source} is both where the model is and where it should go")
    gpus = [place for place in places if place.is_gpu]
    nodes = {str(device.node) for device in [source, *places]}
    if gpus:
        engines.one_engine(gpus)
    before = await ground.statuses_or_raise(sorted(nodes))
    keep = keeps_source(source, places) if keep_source is None else keep_source
    return Job(name, source, places, keep, force, before, engine, config)


async def _carry_out(ground: Ground, job: Job, progress: ProgressCallback) -> dict[str, Any]:
    """Do it; returns the fields that every result has, `seconds` apart."""
    here = _at_source(job)
    if here is None:
        return _facts(job, _gone_already(job), already=True)
    _check_gpu_has_files(job, here)
    if not job.keep and not job.force:
        await _check_removable(ground, job, here)
    arrived, stored_before = await _spread(ground, job, here, progress)
    loaded_before = not job.gpus or await _load(ground, job, here, progress)
    if not job.keep:
        await _remove_source(ground, job, here)
    first = arrived.get(job.targets[0], here)
    return _facts(job, first, already=stored_before and loaded_before and job.keep)


def _facts(job: Job, first: Wire, *, already: bool) -> dict[str, Any]:
    return {
        "model": job.name,
        "revision": first["revision"],
        "hash": shown_hash(first["hash"]),
        "size": first["size"],
        "device": str(job.targets[0]),
        "devices": [str(target) for target in job.targets],
        "path": first.get("path") if job.targets[0].is_store else None,
        "already": already,
    }


# What is there


def _at_source(job: Job) -> Wire | None:
    """The copy to read from; None where the source holds the model no more."""
    status = job.before[job.node]
    if job.source.is_store:
        return status.ready(job.name, job.source.tier)
    replicas = status.replicas_of(job.name, [job.source.tier_name])
    if not replicas:
        return None
    revision = replicas[0]["revision"]
    files = _files_on(status, job.name, revision)
    if files is None:
        raise GswarmError(
            f"the files of {job.name} are not on this node any more, only its engine is",
            where=str(job.source),
            hint=f"copy it to {job.node}:disk from another node, or download it again",
        )
    return files


def _files_on(status: NodeStatus, name: str, revision: str | None = None) -> Wire | None:
    return status.ready(name, DISK, revision) or status.ready(name, DRAM, revision)


def _gone_already(job: Job) -> Wire:
    """The first target's copy where an earlier move has done all of this.

    Raises:
        GswarmError: the model is not on the source, and not on all targets either.
    """
    found = [_at_target(job, target) for target in job.targets]
    if not job.keep and found[0] is not None and None not in found:
        return found[0]
    devices = [
        f"{status.node}:{item['tier']}"
        for status in job.before.values()
        for item in status.copies_of(job.name)
        if item["state"] == "ready"
    ]
    partial = any(
        item["state"] == "partial"
        for item in job.before[job.node].copies_of(job.name, job.source.tier_name)
    )
    raise GswarmError(
        f"{job.name} is {'only partly' if partial else 'not'} on {job.source}",
        hint="download it again: it goes on where it stopped"
        if partial
        else f"it is on {', '.join(devices)}"
        if devices
        else f"see where it is: gswarm model info {job.name}",
    )


def _at_target(job: Job, target: Device) -> Wire | None:
    status = job.before[str(target.node)]
    if target.is_store:
        return status.ready(job.name, target.tier)
    places = [gpu.tier_name for gpu in job.gpus]
    replica = engines.running(status, job.name, places, engine=job.engine)
    return None if replica is None else _files_on(status, job.name, replica["revision"])


# What must hold before anything is done


def _check_gpu_has_files(job: Job, here: Wire) -> None:
    """An engine reads files of its own node.

    Raises:
        GswarmError: the GPU's node has none, and gets none by this.
    """
    for gpu in job.gpus[:1]:
        node = str(gpu.node)
        arriving = any(store.node == node for store in job.stores)
        status = job.before[node]
        if node == job.node or arriving or _files_on(status, job.name, here["revision"]):
            return
        raise GswarmError(
            f"{gpu} loads from its own node, and {node} has no copy of {job.name}",
            hint=f"first: gswarm model copy {job.name} --from {job.source} --to {node}:disk",
        )


async def _check_removable(ground: Ground, job: Job, here: Wire) -> None:
    """Refuse a move that would leave no file, or that ends an engine under its service.

    Raises:
        GswarmError: no disk copy of this revision answers on any node but the source.
    """
    if job.source.is_gpu:
        removal.refuse_published(job.before[job.node], job.name, [job.source.tier_name])
        return
    if any(target.tier in (DISK, job.source.tier) for target in job.targets):
        return
    known, failed = await ground.statuses()
    for status in known.values():
        if (job.source.tier, job.node) == (DISK, status.node):
            continue
        if status.ready(job.name, DISK, here["revision"]) is not None:
            return
    silent = f" ({', '.join(sorted(failed))} did not answer)" if failed else ""
    raise GswarmError(
        f"{job.source} has the only copy of {job.name} on a disk that answers{silent}"
        if job.source.tier == DISK
        else f"no disk that answers has a copy of {job.name}{silent}",
        hint="keep the source, copy it to another disk first, or use --force (force: true)",
    )


# The work


async def _spread(
    ground: Ground, job: Job, here: Wire, progress: ProgressCallback
) -> tuple[dict[Device, Wire], bool]:
    """Bring the files to every store at once; also whether they all had them before."""
    together = Together(progress)
    copies = await all_of(
        _to_store(ground, job, here, target, together.part(index, str(target)))
        for index, target in enumerate(job.stores)
    )
    before = [
        job.before[str(target.node)].ready(job.name, target.tier, here["revision"])
        for target in job.stores
    ]
    return dict(zip(job.stores, copies, strict=True)), None not in before


async def _to_store(
    ground: Ground, job: Job, here: Wire, target: Device, progress: ProgressCallback
) -> Wire:
    node = str(target.node)
    present = job.before[node].ready(job.name, target.tier, here["revision"])
    if present is not None:
        return present
    if node != job.node:
        from gswarm_tui import transfers

        return await transfers.relay(
            ground.node(job.node),
            ground.node(node),
            job.name,
            here["revision"],
            (here["tier"], target.tier),
            progress,
        )
    params = {
        "name": job.name,
        "revision": here["revision"],
        "from": here["tier"],
        "to": target.tier,
        "remove_source": False,
    }
    return await ground.call(node, "model.stage", params, progress)


async def _load(ground: Ground, job: Job, here: Wire, progress: ProgressCallback) -> bool:
    """Start the one engine on all the GPUs; returns whether it ran before."""
    return await engines.load(
        ground,
        job.name,
        here["revision"],
        job.gpus,
        engine=job.engine,
        config=job.config,
        progress=progress,
    )


async def _remove_source(ground: Ground, job: Job, here: Wire) -> None:
    if job.source.is_gpu:
        status = await ground.status(job.node)
        await removal.unload(ground, job.name, status, [job.source.tier_name], force=job.force)
        return
    # The engine that this very move started has read the files: they may go, as was asked.
    loaded_here = any(gpu.node == job.node for gpu in job.gpus)
    await removal.delete_files(
        ground,
        job.name,
        job.node,
        job.source.tier,
        revision=here["revision"],
        force=job.force or loaded_here,
    )
