"""Looking before leaping: what nodes have and have room for, and what sources would bring.

Nothing here changes a node, the registry or a source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gswarm_remote.models.space import MAX_MARGIN

from gswarm_tui.devices import DISK, DRAM, Device
from gswarm_tui.errors import GswarmError
from gswarm_tui.models.downloads import environment_with
from gswarm_tui.models.ground import Ground, NodeStatus, Wire
from gswarm_tui.models.hardware import why_missing
from gswarm_tui.models.registration import source_of

if TYPE_CHECKING:
    from gswarm_tui.sources import Resolved


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a disk, or of memory for files.

    Args:
        free: what the filesystem has free.
        room: what models may still take, by the node's quota and the margin that it leaves.
    """

    free: int
    room: int


@dataclass(frozen=True, slots=True)
class NodeLook:
    """A node's own word on what it has.

    Args:
        spaces: by tier; a tier that the node cannot use is not there.
        engines: those that the inventory names for it.
    """

    status: NodeStatus
    spaces: Mapping[str, Space]
    engines: tuple[str, ...]
    _info: Wire

    def why_missing(self, device: Device) -> str | None:
        """Why a GPU of this node is not there; None where it is."""
        return why_missing(self.status.node, device, self._info)

    def gpu(self, device: Device) -> Wire | None:
        """What the node said of a GPU (``node.info``); None where it has none of that number."""
        gpus = self._info.get("gpus") or ()
        return next((gpu for gpu in gpus if f"gpu{gpu['index']}" == device.tier_name), None)

    def usual_engine(self, places: Sequence[str]) -> str:
        """The engine that the node takes where none is named."""
        from gswarm_remote.engines.catalogue import default_name

        return default_name(places, dict.fromkeys(self.engines))


@dataclass(frozen=True, slots=True)
class SourceLook:
    """What a download would bring; None where only the bytes will tell."""

    revision: str | None
    size: int | None


async def look(
    ground: Ground, nodes: Iterable[str]
) -> tuple[dict[str, NodeLook], dict[str, GswarmError]]:
    """What each of these nodes has, and why the others did not say."""

    async def one(name: str) -> NodeLook | GswarmError:
        try:
            status, info = await asyncio.gather(
                ground.status(name), ground.call(name, "node.info", {})
            )
        except GswarmError as error:
            return error
        return NodeLook(status, _spaces(info), tuple(ground.spec(name).engines), info)

    names = list(dict.fromkeys(ground.spec(node).name for node in nodes))
    answers = dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))
    looks = {name: answer for name, answer in answers.items() if isinstance(answer, NodeLook)}
    silent = {name: answer for name, answer in answers.items() if isinstance(answer, GswarmError)}
    return looks, silent


async def look_at_source(
    ground: Ground,
    name: str,
    source: str | None,
    *,
    node: str,
    include: Sequence[str],
    exclude: Sequence[str],
    token: str | None,
) -> SourceLook:
    """What a source has of a model, without fetching it. Files on this machine are not read.

    Args:
        source: None for the registered one.
        node: where it would go first: a path on the node is looked up there.
        token: for the hub that it comes from, in place of ``$HF_TOKEN``.

    Raises:
        SourceNameError: the source is not known or makes no sense.
        SourceError: it says no, or does not answer.
        GswarmError: the node does not answer, or has no such file.
    """
    from gswarm_tui import sources

    reference = source if source is not None else source_of(ground, name)
    resolved = await sources.measure(
        reference, include=include, exclude=exclude, environ=environment_with(token)
    )
    size = resolved.size
    if resolved.kind == "import":
        size = await _size_on_node(ground, node, resolved)
    return SourceLook(resolved.revision, size)


async def _size_on_node(ground: Ground, node: str, resolved: Resolved) -> int | None:
    answer = await ground.call(node, "model.scan", {"paths": [str(resolved.path)]})
    sizes = [item["size"] for item in answer["found"] if item["path"] == str(resolved.path)]
    return int(sizes[0]) if sizes else None


def _spaces(info: Wire) -> dict[str, Space]:
    spaces = {}
    for tier in (DISK, DRAM):
        said = info.get(tier)
        if said is None:
            continue
        free = said["free"]
        if tier == DRAM and info.get("memory_available") is not None:
            free = min(free, info["memory_available"])
        room = free - min(MAX_MARGIN, said["total"] // 100)
        if said.get("quota") is not None:
            room = min(room, said["quota"] - said["used_by_models"])
        spaces[tier] = Space(free, max(room, 0))
    return spaces
