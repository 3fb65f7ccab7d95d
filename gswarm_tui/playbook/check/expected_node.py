"""One node as it will be: what it has on its disks and in memory, what runs there, and its room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from gswarm_tui.devices import DISK, DRAM
from gswarm_tui.models.ground import NOT_AS_PUBLISHED

if TYPE_CHECKING:
    from gswarm_tui.models.looking import NodeLook

_GONE = ("failed", "stale")
"""States of engines and services that hold nothing, as far as a controller can tell."""


@dataclass(frozen=True, slots=True)
class Held:
    """A whole copy of a model; None for what only the run will tell."""

    revision: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine on these places of its node.

    Args:
        reads: the tier that its files are on.
        with_service: it was started for its service, and ends with it.
    """

    model: str
    places: frozenset[str]
    name: str | None
    revision: str | None
    reads: str | None
    with_service: bool


@dataclass(frozen=True, slots=True)
class Service:
    model: str
    places: frozenset[str]
    port: int | None
    address: str
    guarded: bool


@dataclass(slots=True)
class Room:
    """Bytes of a tier: free on its filesystem, and what models may still take."""

    free: int
    room: int

    def take(self, size: int) -> None:
        self.free -= size
        self.room -= size


@final
class ExpectedNode:
    """One node; `gswarm_tui.playbook.check.expected.Expected` changes it.

    Args:
        look: what the node said.
    """

    def __init__(self, look: NodeLook) -> None:
        self.look = look
        status = look.status
        self.rooms = {tier: Room(space.free, space.room) for tier, space in look.spaces.items()}
        self.copies: dict[tuple[str, str], list[Held]] = {}
        self.unfit: dict[tuple[str, str], list[Held]] = {}
        """Copies with files that are not what was published."""
        self.partial: dict[tuple[str, str, str], int] = {}
        for copy in sorted(status.copies, key=lambda copy: copy.get("published_at") or ""):
            place = (copy["name"], copy["tier"])
            if copy["state"] == "ready":
                self.copies.setdefault(place, []).append(Held(copy["revision"], copy["size"]))
            elif copy["state"] in NOT_AS_PUBLISHED:
                self.unfit.setdefault(place, []).append(Held(copy["revision"], copy["size"]))
            elif copy["state"] == "partial":
                self.partial[*place, copy["revision"]] = copy.get("done") or 0
        self.engines = [
            Engine(
                model=item["model"],
                places=frozenset(item["devices"]),
                name=item["engine"],
                revision=item["revision"],
                reads=item["tier"],
                with_service=item["started_by"] == "serve",
            )
            for item in status.replicas
            if item["state"] not in _GONE
        ]
        self.services = [
            Service(
                model=item["model"],
                places=frozenset(item["devices"]),
                port=item["port"],
                address=item["address"],
                guarded=item["guarded"],
            )
            for item in status.services
            if item["state"] not in _GONE
        ]

    def files(self, model: str, revision: str | None = None) -> tuple[str, Held] | None:
        """The tier and the copy that an engine on a GPU would read: what the disk has, out of
        memory where it is staged as well.
        """
        on_disk = self._newest(model, DISK, revision)
        staged = self._newest(model, DRAM, revision)
        if staged is not None and (on_disk is None or on_disk.revision == staged.revision):
            return DRAM, staged
        return None if on_disk is None else (DISK, on_disk)

    def _newest(self, model: str, tier: str, revision: str | None) -> Held | None:
        held = reversed(self.copies.get((model, tier), []))
        return next(
            (h for h in held if None in (revision, h.revision) or h.revision == revision), None
        )
