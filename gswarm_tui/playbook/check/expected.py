"""The fleet as it will be: what nodes say now, and what the actions gone through would change.

Each method of `Expected` is a part of what an action does: it notes in a `Draft` what that comes
to, and changes the expectation as if it had been done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, final

from gswarm_tui.devices import DISK, DRAM, Device
from gswarm_tui.errors import GswarmError
from gswarm_tui.playbook.check.expected_node import Engine, ExpectedNode, Held, Service
from gswarm_tui.playbook.check.finding import Draft, Unknowable
from gswarm_tui.playbook.check.gpu_room import gpu_room
from gswarm_tui.wording import size as shown_size

if TYPE_CHECKING:
    from gswarm_tui.models import Models


@final
class Expected:
    """What is expected of the nodes that an action looks at; the owner of its nodes.

    Args:
        models: asks nodes and sources.
    """

    def __init__(self, models: Models) -> None:
        self.models = models
        self.unreachable: dict[str, str] = {}
        """Why a node did not answer, for those that something depends on."""
        self.sources: dict[str, str] = {}
        """The sources that models would be registered with."""
        self._nodes: dict[str, ExpectedNode] = {}
        self._silent: dict[str, GswarmError] = {}
        self._doubts: dict[tuple[str, ...], str] = {}
        """Why something cannot be told, by its key and by every beginning of it."""

    # Looking

    async def look(self, nodes: Iterable[str] | None) -> None:
        """Ask those nodes that were not asked before, None is every one; what does not answer is
        said later, where something depends on it."""
        names = self.models.nodes if nodes is None else nodes
        new = [name for name in names if name not in self._nodes and name not in self._silent]
        looks, silent = await self.models.look(new)
        self._nodes.update({name: ExpectedNode(look) for name, look in looks.items()})
        self._silent.update(silent)

    def node(self, name: str | None) -> ExpectedNode:
        """A node that was looked at.

        Raises:
            Unknowable: it does not answer.
        """
        name = str(name)
        if name in self._silent:
            self.unreachable[name] = self._silent[name].message
            raise Unknowable(str(self._silent[name]))
        return self._nodes[name]

    def nodes(self) -> Iterator[tuple[str, ExpectedNode]]:
        """Those that were looked at and answer."""
        yield from self._nodes.items()

    def all_answer(self) -> None:
        """Raises Unknowable where a node that was looked at does not answer."""
        for name in self._silent:
            self.node(name)

    def doubt(self, keys: Iterable[tuple[str, ...]], why: str) -> None:
        """What these keys of `Use` stand for cannot be told from here on."""
        for key in keys:
            for end in range(1, len(key) + 1):
                self._doubts.setdefault(key[:end], why)

    def refuse_doubt(self, *key: str) -> None:
        """Raises Unknowable where this cannot be told, or something whose key begins so."""
        if key in self._doubts:
            raise Unknowable(self._doubts[key])

    # Files

    def held(self, model: str, device: Device) -> list[Held]:
        """The copies of a model on a disk or in memory, the newest last.

        Raises:
            Unknowable: the node does not answer, or it depends on what cannot be told.
        """
        node = self.node(device.node)
        self.refuse_doubt("copy", model, str(device))
        return node.copies.setdefault((model, device.tier), [])

    def sizes(self, model: str, device: Device) -> list[int | None]:
        """The bytes of each copy that can be compared with its manifest: of the whole ones, and of
        those of which is known that they are not as published.

        Raises:
            Unknowable: as `held`.
        """
        held, unfit = self.held(model, device), self.node(device.node).unfit
        return [copy.size for copy in (*held, *unfit.get((model, device.tier), ()))]

    def places_of(self, model: str) -> list[str]:
        """Where the model is expected to be, among the nodes that were looked at."""
        return [
            f"{name}:{tier}"
            for name, node in self._nodes.items()
            for tier in (DISK, DRAM)
            if node.copies.get((model, tier))
        ]

    def place(
        self, found: Draft, model: str, device: Device, revision: str | None, size: int | None
    ) -> None:
        """Bring a copy to a disk or memory.

        Args:
            revision: None where only the bytes will tell.
            size: of the whole model, likewise.
        """
        held = self.held(model, device)
        if revision is not None and any(copy.revision == revision for copy in held):
            found.has(f"{device} has it")
            return
        if revision is None and held:
            found.doubts(f"whether {device} has it as it is now is seen when it is read")
            return
        node = self.node(device.node)
        room = node.rooms.get(device.tier)
        if room is None:
            found.fails(f"{device.node} has no memory that it can keep files in")
            return
        done = node.partial.get((model, device.tier, str(revision)), 0)
        unfit = node.unfit.get((model, device.tier), [])
        if any(copy.revision == revision for copy in unfit):
            found.does(f"replaces the bad files on {device}")
            unfit[:] = [copy for copy in unfit if copy.revision != revision]
            size = None
        missing = None if size is None else max(size - done, 0)
        if done:
            found.has(f"{shown_size(done)} of it are on {device}")
        if missing is not None and missing > room.room:
            found.fails(
                f"{model} needs {shown_size(missing)}, and {device} has room for"
                f" {shown_size(max(room.room, 0))}"
            )
        room.take(missing or 0)
        held.append(Held(revision, size))
        found.brings(device, missing)

    def remove_files(
        self, found: Draft, model: str, device: Device, *, revision: str | None, force: bool
    ) -> None:
        """Delete copies from a disk or memory: those of one revision, or all."""
        held, node = self.held(model, device), self.node(device.node)
        unfit = node.unfit.get((model, device.tier), [])
        gone = [copy for copy in (*held, *unfit) if revision in (None, copy.revision)]
        begun = [
            key
            for key in node.partial
            if key[:2] == (model, device.tier) and revision in (None, key[2])
        ]
        if not gone and not begun:
            found.has(f"{device} has none")
            return
        readers = [e for e in node.engines if e.model == model and e.reads == device.tier]
        if readers and not force:
            places = ", ".join(sorted(readers[0].places))
            found.fails(f"{model} on {device} is read by its engine on {places}")
        freed = sum(copy.size or 0 for copy in gone) + sum(node.partial.pop(key) for key in begun)
        if device.tier in node.rooms:
            node.rooms[device.tier].take(-freed)
        held[:] = [copy for copy in held if copy not in gone]
        unfit[:] = [copy for copy in unfit if copy not in gone]
        found.does(f"frees {shown_size(freed)} of {device}")

    # Engines

    def engine_on(self, model: str, device: Device) -> Engine | None:
        """The model's engine that uses a device.

        Raises:
            Unknowable: as `held`.
        """
        node = self.node(device.node)
        self.refuse_doubt("copy", model, str(device))
        matches = (e for e in node.engines if e.model == model and device.tier_name in e.places)
        return next(matches, None)

    def load(
        self,
        found: Draft,
        model: str,
        devices: Sequence[Device],
        *,
        engine: str | None,
        engine_is_late: bool = False,
        revision: str | None,
        reads: str | None,
        with_service: bool,
    ) -> None:
        """Have one engine on all of the devices, which are on one node.

        Args:
            engine: None where the node takes its usual one, or where only the run tells, as
                `engine_is_late` says.
        """
        node = self.node(devices[0].node)
        places = frozenset(device.tier_name for device in devices)
        shown = " and ".join(str(device) for device in devices)
        for device in devices:
            self.refuse_doubt("copy", model, str(device))
            missing = node.look.why_missing(device) if device.is_gpu else None
            if missing is not None:
                found.fails(missing)
        current = next((e for e in node.engines if (e.model, e.places) == (model, places)), None)
        holders = [e for e in node.engines if e.places & places - {DRAM}]
        if current is not None:
            if engine not in (None, current.name):
                found.fails(f"{model} is on {shown} already, with {current.name}")
            elif None not in (revision, current.revision) and revision != current.revision:
                found.fails(f"{model} is on {shown} already, of another revision")
            else:
                found.has(f"{shown} has it loaded")
            return
        if holders:
            taken = ", ".join(sorted(holders[0].places & places))
            found.fails(f"{devices[0].node}:{taken} is held by the engine of {holders[0].model}")
        if engine is None and not engine_is_late:
            usual = node.look.usual_engine([device.tier_name for device in devices])
            found.has(f"{usual} loads it, as no engine is named")
        files = node.files(model, revision)
        for said in gpu_room(node.look, devices, None if files is None else files[1].size):
            found.has(said)
        node.engines.append(Engine(model, places, engine, revision, reads, with_service))
        found.does()

    def unload(self, found: Draft, model: str, device: Device, *, force: bool) -> None:
        """End the engines that use a device, and their services if it is forced."""
        node = self.node(device.node)
        self.refuse_doubt("copy", model, str(device))
        self.refuse_doubt("service", model, str(device))
        place = device.tier_name
        served = [s for s in node.services if s.model == model and place in s.places]
        if served and not force:
            ports = ", ".join(str(service.port or "a port") for service in served)
            found.fails(f"{model} on {device} is being served on port {ports}")
        ended = [e for e in node.engines if e.model == model and place in e.places]
        node.engines = [engine for engine in node.engines if engine not in ended]
        node.services = [service for service in node.services if service not in served]
        if ended or served:
            found.does(f"ends its engine on {device}")

    # Services

    def publish(self, found: Draft, model: str, devices: Sequence[Device], wanted: Service) -> bool:
        """Note whether a service is there, or in the way; returns whether it has to be made."""
        node = self.node(devices[0].node)
        for device in devices:
            self.refuse_doubt("service", model, str(device))
        name = str(devices[0].node)
        same = [s for s in node.services if (s.model, s.places) == (model, wanted.places)]
        for service in same:
            differs = wanted.port not in (None, service.port) or wanted.address != service.address
            if differs:
                where = f"at {service.address} port {service.port}"
                found.fails(f"{model} is served already, {where}")
            elif wanted.guarded != service.guarded:
                key = "with" if service.guarded else "without"
                found.fails(f"{model} is served already, {key} a key")
            else:
                found.has(f"port {service.port} of {name} serves it")
            return False
        if wanted.port is not None:
            for service in node.services:
                if service.port == wanted.port:
                    found.fails(f"port {wanted.port} of {name} serves {service.model}")
        node.services.append(wanted)
        found.does()
        return True

    def unpublish(self, found: Draft, name: str, model: str, places: frozenset[str] | None) -> None:
        """End the model's services on a node, on some of its places or on all."""
        node = self.node(name)
        ended = [
            service
            for service in node.services
            if service.model == model and (places is None or service.places & places)
        ]
        node.services = [service for service in node.services if service not in ended]
        for service in ended:
            node.engines = [
                engine
                for engine in node.engines
                if not (
                    engine.with_service and (engine.model, engine.places) == (model, service.places)
                )
            ]
            at = "" if service.port is None else f" at port {service.port}"
            found.does(f"ends the service on {name}{at}")
