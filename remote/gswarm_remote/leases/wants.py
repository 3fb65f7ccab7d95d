"""What a task may want of a node, and for whom."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

from ..devices import DISK, TIERS, gpu_index
from ..errors import HelperError, Kind
from ..models.checks import check_name
from ..operations import in_thread
from . import folder

if TYPE_CHECKING:
    from ..node import Node

_MOST = 64  # things that one task may want of one node


@dataclass(frozen=True)
class Want:
    """One thing, and the name of its lock.

    Args:
        device: ``gpu0``, or the tier of a model's files.
        model: None for a GPU.
        shared: others that share may have it at the same time.
        lock: the name of its lock file.
    """

    device: str
    model: Optional[str]
    shared: bool
    lock: str

    @property
    def words(self) -> str:
        return self.device if self.model is None else f"{self.model} on {self.device}"

    def conflicts(self, other: Want) -> bool:
        return self.lock == other.lock and not (self.shared and other.shared)


async def read(node: Node, data: object) -> Tuple[Want, ...]:
    """The things that a controller asks for, each once.

    Raises:
        HelperError: it is malformed, or the node has no such place.
    """
    if not isinstance(data, list) or not 0 < len(data) <= _MOST:
        raise HelperError(Kind.INVALID, f"wants is a list of at most {_MOST}")
    found: Dict[str, Want] = {}
    for item in data:
        want = await _read(node, item)
        before = found.get(want.lock)
        if before is None or before.shared:
            found[want.lock] = want
    return tuple(found.values())


async def _read(node: Node, item: object) -> Want:
    if not isinstance(item, dict):
        raise HelperError(Kind.INVALID, f"{item!r:.80} is nothing that a lease can be of")
    shared = item.get("shared") is True
    device = item.get("device")
    index = gpu_index(device) if isinstance(device, str) else None
    if index is not None:
        return Want(f"gpu{index}", None, shared, f"{await _gpu(node, index)}.lock")
    tier = item.get("tier")
    if device is not None or tier not in TIERS:
        raise HelperError(Kind.INVALID, f"{device or tier!r:.80} is no place for a lease")
    model = check_name(item.get("model"))
    root = node.paths.models if tier == DISK else node.paths.dram
    resolved = await in_thread(os.path.realpath, root or node.paths.root)
    return Want(str(tier), model, shared, f"{folder.model_name(resolved, str(tier), model)}.lock")


async def gpu_uuids(node: Node) -> Optional[Dict[int, str]]:
    """UUID by index; None where the driver does not say what there is."""
    snapshot = await node.gpus.snapshot()
    if snapshot.gpus is None:
        return None
    return {gpu["index"]: gpu["uuid"] for gpu in snapshot.gpus if gpu.get("uuid")}


async def _gpu(node: Node, index: int) -> str:
    """The name of a GPU's lock.

    A machine without GPUs may play several nodes that have some, with a stand-in for an engine:
    there a GPU is its node root's own.
    """
    uuids = await gpu_uuids(node)
    if uuids is not None and index in uuids:
        return folder.gpu_name(uuids[index])
    if uuids is not None and not uuids:
        return f"gpu-{node.paths.identity}-{index}"
    return f"gpu-host-{index}"


def read_who(data: object) -> Mapping[str, Any]:
    """Whom a lease is for, fit to be shown to others."""
    given = data if isinstance(data, dict) else {}
    job = given.get("job")
    words = {key: folder.clean(given.get(key)) for key in ("user", "host", "does")}
    return {"job": job if type(job) is int else None, **words}
