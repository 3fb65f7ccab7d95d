"""Nodes as a helper is one: work is known by its task's key, done once, and goes on without us."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gswarm_tui.devices import Device
from gswarm_tui.errors import GswarmError, RemoteError, UnreachableError
from gswarm_tui.fleet import TASK
from gswarm_tui.models.leases import Want, Who
from gswarm_tui.models.moving import keeps_source
from gswarm_tui.models.results import CommandResult, DownloadResult, HealthResult, MoveResult


@dataclass(slots=True, eq=False)
class Link:
    """The connection of one controller; nothing goes through it once that is dead."""

    alive: bool = True


@dataclass(slots=True)
class Work:
    """What a node does for a task; `callers` wait for it."""

    key: str
    callers: list[tuple[Link, asyncio.Future[str]]] = field(default_factory=list)


def task_of(key: str) -> tuple[str, str]:
    """Job key and action of a task's key."""
    job, action, _ = key.split("/")
    return job, action


class Nodes:
    """All nodes of a fleet, and all that they have seen.

    Args:
        begins: is told the key of work that is begun.

    Attributes:
        done: the ledger: what was answered for work that succeeded, by key.
        cancelled: keys whose end was asked for.
        out_of_sight: keys whose callers have lost the connection.
        told: the errors that were answered, by task.
    """

    def __init__(self, begins: Callable[[str], None]) -> None:
        self.running: dict[str, Work] = {}
        self.done: dict[str, str] = {}
        self.cancelled: set[str] = set()
        self.out_of_sight: set[str] = set()
        self.told: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self.leases: dict[tuple[str, Want], dict[str, bool]] = defaultdict(dict)
        self._begins = begins
        self._holders: dict[str, Link] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._count = 0

    # What controllers ask

    async def do(self, link: Link, key: str) -> str:
        """Do the work of a task, attach to it, or answer what came of it."""
        _check(link)
        if key in self.done:
            return self.done[key]
        if key not in self.running:
            self.running[key] = Work(key)
            self._begins(key)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        work, caller = self.running[key], (link, answer)
        work.callers.append(caller)
        try:
            return await answer
        except asyncio.CancelledError:
            if link.alive:
                self.cancelled.add(key)
                if caller in work.callers:
                    work.callers.remove(caller)
                if not work.callers and self.running.get(key) is work:
                    self._stop(work)
            raise

    async def take(self, link: Link, key: str, node: str, wants: Sequence[Want]) -> bool:
        """Hold all of that, when nobody excludes it; returns whether it had to wait."""
        waited = False
        _check(link)
        self._holders[key] = link
        while not all(self._is_free(key, node, want) for want in wants):
            waited = True
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
            _check(link)
        self._holders[key] = link
        for want in wants:
            self.leases[node, _thing(want)][key] = want.shared
        return waited

    def drop(self, key: str, nodes: Iterable[str] | None = None) -> None:
        """Let go of leases; of those that work is done under when that is over."""
        if key in self.running:
            self._holders.pop(key, None)
            return
        for (node, _), holders in self.leases.items():
            if nodes is None or node in nodes:
                holders.pop(key, None)
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
        self._waiting.clear()

    def cancel_tasks(self, prefix: str) -> None:
        """End all that is done for tasks whose key begins so."""
        for key in [key for key in self.running if key.startswith(prefix)]:
            self.cancelled.add(key)
            self._answer(self.running[key], RemoteError("cancelled", kind="cancelled"))
            self._stop(self.running[key])
        for key in {key for held in self.leases.values() for key in held if key.startswith(prefix)}:
            self.cancelled.add(key)
            self.drop(key)

    def forget(self, link: Link) -> None:
        """A controller is gone: what it asked for goes on, what it only held is free."""
        for work in self.running.values():
            work.callers = [caller for caller in work.callers if caller[0] is not link]
        for key, holder in self._holders.items():
            if holder is link and key not in self.running:
                self.drop(key)
        self._holders = {key: it for key, it in self._holders.items() if it is not link}

    def holds(self, key: str, node: str, want: Want) -> bool:
        """Whether a task has a lease of at least that kind."""
        shared = self.leases[node, _thing(want)].get(key)
        return shared is not None and (want.shared or not shared)

    # What becomes of the work

    def succeed(self, key: str) -> None:
        self._count += 1
        work, self.done[key] = self.running[key], f"{key} was done as number {self._count}"
        for _, answer in work.callers:
            if not answer.done():
                answer.set_result(self.done[key])
        self._stop(work)

    def fail(self, key: str, kind: str) -> None:
        self._count += 1
        message = f"{key} failed as number {self._count}"
        self.told[task_of(key)].append(message)
        self._answer(self.running[key], RemoteError(message, kind=kind))
        self._stop(self.running[key])

    def cut(self, key: str) -> None:
        """The connections of those who wait for it are lost; it goes on."""
        self._count += 1
        message = f"{key} is out of sight since {self._count}"
        self.told[task_of(key)].append(message)
        self.out_of_sight.add(key)
        self._answer(self.running[key], UnreachableError(message))
        self.running[key].callers.clear()

    def _answer(self, work: Work, error: GswarmError) -> None:
        for _, answer in work.callers:
            if not answer.done():
                answer.set_exception(error)

    def _stop(self, work: Work) -> None:
        del self.running[work.key]
        if work.key not in self._holders:
            self.drop(work.key)

    def _is_free(self, key: str, node: str, want: Want) -> bool:
        others = [shared for held, shared in self.leases[node, _thing(want)].items() if held != key]
        return not others or (want.shared and all(others))


class NodesModels:
    """What stands for `Models` in one controller."""

    def __init__(self, nodes: Nodes, link: Link) -> None:
        self._nodes = nodes
        self._link = link

    @property
    def nodes(self) -> Sequence[str]:
        return ("node1", "node2")

    async def task_cancel(self, node: str, prefix: str) -> int:
        _check(self._link)
        self._nodes.cancel_tasks(prefix)
        return 0

    async def missing_gpus(self, devices: Iterable[Device]) -> dict[Device, str]:
        return {}

    async def take_leases(
        self,
        wants: Mapping[str, Sequence[Want]],
        who: Who,
        waiting: Callable[[str], None],
        lost: Callable[[str], None],
    ) -> None:
        key, taken = _key(), list[str]()
        try:
            for node in sorted(wants):
                taken.append(node)
                if await self._nodes.take(self._link, key, node, wants[node]):
                    waiting("it had to wait for somebody")
        except BaseException:
            if self._link.alive:
                self._nodes.drop(key, taken)
            raise

    async def drop_leases(self, nodes: Iterable[str]) -> None:
        if self._link.alive:
            self._nodes.drop(_key(), nodes)

    async def download(
        self, name: str, source: str, devices: Sequence[Device], **_: Any
    ) -> DownloadResult:
        return DownloadResult(**_placement(name, devices, await self._do()))

    async def move(
        self, name: str, source: Device, devices: Sequence[Device], **_: Any
    ) -> MoveResult:
        kept = keeps_source(source, devices)
        return MoveResult(**_placement(name, devices, await self._do()), source_kept=kept)

    async def command(self, node: str, argv: Sequence[str], **_: Any) -> CommandResult:
        return CommandResult(node, 0, await self._do(), skipped="skip" in argv, seconds=0.0)

    async def check_health(self, url: str, **_: Any) -> HealthResult:
        return HealthResult(url, 200, True, 1.0, "controller", None, await self._do())

    async def _do(self) -> str:
        return await self._nodes.do(self._link, _key())


def said(result: Any) -> str:
    """What the node answered, out of the result of any action here."""
    for name in ("hash", "output", "completion"):
        if hasattr(result, name):
            return str(getattr(result, name))
    raise AssertionError(f"{result} is of no action here")


def _check(link: Link) -> None:
    if not link.alive:
        raise asyncio.CancelledError  # a process that is gone asks for nothing


def _key() -> str:
    key = TASK.get()
    assert key is not None
    return key


def _thing(want: Want) -> Want:
    return Want(device=want.device, model=want.model, tier=want.tier, shared=True)


def _placement(name: str, devices: Sequence[Device], answer: str) -> dict[str, Any]:
    return {
        "model": name,
        "revision": "abc123",
        "hash": answer,
        "size": 1,
        "device": str(devices[0]),
        "devices": [str(device) for device in devices],
        "path": None,
        "already": False,
        "seconds": 0.0,
    }
