"""From what is ordered to what is started: the engine, the copy that it reads, its command line."""

from __future__ import annotations

import asyncio
import difflib
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence, Tuple

from .. import ports, process
from ..devices import DISK, DRAM
from ..errors import HelperError, Kind
from ..models.manifest import Manifest
from ..operations import in_thread
from ..process import ProcessRecord
from . import catalogue, gpulock
from .base import Launch, Wanted
from .order import Order, check_environment
from .replica import Replica, fingerprint, without_secrets
from .workplace import Workplace, environment, free_port, new_id

if TYPE_CHECKING:
    from ..node import Node

_COMMAND = "command"


@dataclass(frozen=True)
class Plan:
    """A replica that is not there yet, and how it is started.

    Args:
        env: what the order and its config put in its environment; never kept.
        locks: what its process holds for as long as it lives; see `gpulock`.
    """

    replica: Replica
    launch: Launch
    gpus: Tuple[int, ...]
    env: Mapping[str, str]
    locks: Sequence[gpulock.Lock] = ()


async def make(node: Node, order: Order) -> Plan:
    """Decide what is started for an order.

    Raises:
        HelperError: the device or the copy is not there, the config is wrong, or the engine is not
            installed.
    """
    settings: Mapping[str, Any] = node.settings.get("engines") or {}
    engine = order.engine or catalogue.default_name(order.devices, settings)
    if order.devices != (DRAM,) and engine != _COMMAND:
        await _check_gpus(node, order.devices)
    cancelled = threading.Event()
    making = asyncio.ensure_future(
        in_thread(_make, node, order, engine, settings.get(engine) or {}, cancelled)
    )
    try:
        plan: Plan = await asyncio.shield(making)
    except asyncio.CancelledError:
        cancelled.set()
        await asyncio.wait([making])
        if not making.cancelled():
            making.exception()  # seen: it is the consequence of the cancellation
        raise
    return replace(plan, locks=await gpulock.names(node, order.devices))


def spawn(plan: Plan, place: Workplace) -> ProcessRecord:
    """Start the engine of a plan; blocks.

    Raises:
        HelperError: its program cannot be run, or another engine has one of its GPUs.
    """
    place.make()
    launch = plan.launch
    with gpulock.held(plan.locks) as locks:
        started = process.spawn(
            launch.argv,
            env=environment(
                plan.replica.id, place, launch.argv[0], plan.gpus, launch.env, plan.env
            ),
            cwd=place.folder,
            log=place.log,
            pass_fds=locks.descriptors,
        )
        locks.inherited_by(plan.replica, started)
    return started


def _make(
    node: Node,
    order: Order,
    engine: str,
    settings: Mapping[str, Any],
    cancelled: threading.Event,
) -> Plan:
    tier, manifest, folder = _copy(node, order)
    replica_id = new_id(order.model, order.devices)
    place = Workplace.of(node.paths, replica_id)
    wanted = Wanted(
        model=order.model,
        path=folder,
        devices=order.devices,
        config=order.config,
        settings=settings,
        uds=str(place.socket),
        port=free_port(),
        type=manifest.metadata.get("type"),
        cancelled=cancelled,
    )
    env = _environment(order)
    launch = catalogue.ENGINES[engine].launch(wanted)
    _check_endpoint(node, launch, place)
    replica = Replica(
        id=replica_id,
        model=order.model,
        revision=manifest.revision,
        tier=tier,
        path=str(folder),
        devices=order.devices,
        engine=engine,
        config=without_secrets(order.config),
        fingerprint=fingerprint(engine, order.config),
        endpoint=launch.endpoint,
        served_name=launch.served_name,
        ready=launch.ready,
        paths=launch.paths,
        refused=launch.refused,
        started_by=order.started_by,
        started_at=time.time(),
        timeout_s=order.timeout_s,
        log=str(place.log),
    )
    return Plan(replica, launch, wanted.gpus, env)


def _copy(node: Node, order: Order) -> Tuple[str, Manifest, Path]:
    """The tier, the manifest and the folder of the files that the engine is to read.

    A GPU loads the revision that is on disk, out of dram where it is staged as well: that is what
    staging is for.

    Raises:
        HelperError: the model is not there.
    """
    what = order.model if order.revision is None else f"{order.model} {order.revision}"
    staged = _opened(node, DRAM, order.model, order.revision)
    if order.devices == (DRAM,):
        if staged is None:
            raise HelperError(
                Kind.NOT_FOUND,
                f"{what} is not in dram, from where it would be served on the CPU",
                where=DRAM,
                hint="stage it first: move or copy it to this node's dram",
            )
        return staged
    on_disk = _opened(node, DISK, order.model, order.revision)
    if on_disk is None and staged is None:
        raise HelperError(
            Kind.NOT_FOUND,
            f"{what} is not on this node's disk, from where {order.devices[0]} loads it",
            where=DISK,
            hint="download or copy it to this node's disk first",
        )
    if on_disk is None or (staged is not None and staged[1].revision == on_disk[1].revision):
        assert staged is not None
        return staged
    return on_disk


def _opened(
    node: Node, tier: str, model: str, revision: Optional[str]
) -> Optional[Tuple[str, Manifest, Path]]:
    if tier == DRAM and (node.paths.dram is None or not node.paths.dram.is_dir()):
        return None
    try:
        return (tier, *node.store(tier).open(model, revision))
    except HelperError as error:
        if error.kind != Kind.NOT_FOUND:
            raise
        return None


def _check_endpoint(node: Node, launch: Launch, place: Workplace) -> None:
    """Refuse where the engine could not listen: what answers there would be taken for it.

    Raises:
        HelperError: the port is taken, or the socket's path is too long.
    """
    if launch.endpoint.uds is not None:
        node.paths.socket_path(str(place.socket.relative_to(node.paths.run)))
    else:
        ports.bind("127.0.0.1", launch.endpoint.port).close()


def _environment(order: Order) -> Dict[str, str]:
    given = order.config.get("env") or {}
    if not isinstance(given, dict):
        raise HelperError(Kind.INVALID, "config.env has to be a map", where="config")
    return {**check_environment(given, "config.env"), **order.env}


async def _check_gpus(node: Node, devices: Sequence[str]) -> None:
    """Every GPU that is named has to be there.

    Raises:
        HelperError: naming those that there are.
    """
    snapshot = await node.gpus.snapshot()
    if snapshot.gpus is None:
        raise HelperError(
            Kind.UNSUPPORTED,
            f"whether this node has {devices[0]} cannot be told: {snapshot.error}",
            where=devices[0],
            hint="dram serves on the CPU",
        )
    present = [f"gpu{gpu['index']}" for gpu in snapshot.gpus]
    missing = [device for device in devices if device not in present]
    if missing:
        raise HelperError(
            Kind.NOT_FOUND,
            f"this node has no {' and no '.join(missing)}; it has {_listed(present)}",
            where=missing[0],
            hint=_nearest(missing[0], present),
        )


def _listed(present: Sequence[str]) -> str:
    return ", ".join(present) if present else "no GPU"


def _nearest(missing: str, present: Sequence[str]) -> str:
    near: Optional[str] = next(iter(difflib.get_close_matches(missing, present, n=1)), None)
    other = f"name one that is there ({near}), or " if near else ""
    return f"{other}serve on the CPU from this node's dram"
