"""What every verb stands on: the fleet, the registry, and what nodes say of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from gswarm_remote.errors import HelperError
from gswarm_remote.models.checks import check_name

from gswarm_tui.devices import Device
from gswarm_tui.errors import (
    DeviceError,
    GswarmError,
    NodeError,
    SourceNameError,
    UnreachableError,
)
from gswarm_tui.progress import Progress, ProgressCallback, from_wire

if TYPE_CHECKING:
    from gswarm_tui.fleet import Fleet, Node
    from gswarm_tui.inventory.nodespec import NodeSpec
    from gswarm_tui.state.models import Registry

T = TypeVar("T")
Wire = Mapping[str, Any]
"""A map as a helper sent it: a Copy, a Replica, a Service or an operation."""

NOT_AS_PUBLISHED: Final = ("damaged", "changed")
"""States of copies that were whole: files were found bad, or their owner has changed them."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node's answer to ``node.status``."""

    node: str
    copies: tuple[Wire, ...]
    replicas: tuple[Wire, ...]
    services: tuple[Wire, ...]
    operations: tuple[Wire, ...]

    def copies_of(self, model: str, tier: str | None = None) -> list[Wire]:
        return [
            copy for copy in self.copies if copy["name"] == model and tier in (None, copy["tier"])
        ]

    def ready(self, model: str, tier: str, revision: str | None = None) -> Wire | None:
        """The newest whole copy of `model` in `tier`, of any revision or of that one."""
        found = [
            copy
            for copy in self.copies_of(model, tier)
            if copy["state"] == "ready" and revision in (None, copy["revision"])
        ]
        return max(found, key=lambda copy: copy.get("published_at") or "", default=None)

    def replicas_of(self, model: str, places: Iterable[str] | None = None) -> list[Wire]:
        """The model's engines on this node, all of them or those that use one of `places`."""
        wanted = None if places is None else set(places)
        return [
            replica
            for replica in self.replicas
            if replica["model"] == model
            and (wanted is None or not wanted.isdisjoint(replica["devices"]))
        ]

    def services_of(self, model: str) -> list[Wire]:
        return [service for service in self.services if service["model"] == model]


@dataclass(frozen=True, slots=True)
class Ground:
    """The fleet and the registry, with the questions that several verbs ask of them."""

    fleet: Fleet
    registry: Registry

    @property
    def nodes(self) -> Mapping[str, NodeSpec]:
        return self.fleet.inventory.nodes

    def spec(self, node: str) -> NodeSpec:
        """The node of that name or host.

        Raises:
            DeviceError: the inventory has none.
        """
        return self.fleet.inventory.node(node)

    def node(self, name: str) -> Node:
        return self.fleet.node(name)

    def knows(self, node: str, method: str) -> bool:
        """Whether the helper of a node that is connected has the method: an older one may not."""
        return method in ((self.node(node).hello or {}).get("capabilities") or ())

    def device(self, device: Device) -> Device:
        """`device` with its node's own name, where it was written with the host."""
        if device.node is None:
            return device
        return replace(device, node=self.spec(device.node).name)

    def devices(
        self, devices: Sequence[Device], *, tiers: Sequence[str], refusal: str
    ) -> list[Device]:
        """`devices` by their nodes' own names, each once, in the order given.

        Args:
            tiers: the tiers that make sense for the verb.
            refusal: why another tier does not, ``a download lands on disk or dram``.

        Raises:
            DeviceError: there is none, or one is of another tier.
        """
        if not devices:
            raise DeviceError("no device is named", hint="write it as node1:disk or node1:gpu0")
        for device in devices:
            if device.tier not in tiers:
                raise DeviceError(f"{device} makes no sense here: {refusal}")
        return list(dict.fromkeys(self.device(device) for device in devices))

    async def call(
        self,
        node: str,
        method: str,
        params: Wire,
        progress: ProgressCallback | None = None,
    ) -> dict[str, Any]:
        """Ask the helper of a node; its reports reach `progress` as `Progress`."""
        listener = None if progress is None else lambda report: progress(from_wire(report))
        answer = await self.node(node).call(method, params, progress=listener)
        return cast(dict[str, Any], answer)

    async def status(self, node: str) -> NodeStatus:
        return status_from_wire(node, await self.call(node, "node.status", {}))

    async def statuses(
        self, nodes: Iterable[str] | None = None
    ) -> tuple[dict[str, NodeStatus], dict[str, GswarmError]]:
        """Every node's status (or those of `nodes`), and why the others gave none."""
        names = list(dict.fromkeys(self.nodes if nodes is None else nodes))
        answers = await asyncio.gather(*(self._try_status(name) for name in names))
        known = {
            name: a for name, a in zip(names, answers, strict=True) if isinstance(a, NodeStatus)
        }
        failed = {
            name: a for name, a in zip(names, answers, strict=True) if isinstance(a, GswarmError)
        }
        return known, failed

    async def statuses_or_raise(self, nodes: Iterable[str]) -> dict[str, NodeStatus]:
        """The status of each of `nodes`.

        Raises:
            NodeError: one of them cannot be reached.
        """
        known, failed = await self.statuses(nodes)
        raise_first(failed.values())
        return known

    async def _try_status(self, node: str) -> NodeStatus | GswarmError:
        try:
            return await self.status(node)
        except GswarmError as error:
            return error


def status_from_wire(node: str, answer: Wire) -> NodeStatus:
    def maps(key: str) -> tuple[Wire, ...]:
        items = answer.get(key)
        found = items if isinstance(items, (list, tuple)) else ()
        return tuple(item for item in found if isinstance(item, dict))

    return NodeStatus(node, maps("copies"), maps("replicas"), maps("services"), maps("operations"))


def model_name(name: str) -> str:
    """`name` if a model can be called so.

    Raises:
        SourceNameError: with what a name may have.
    """
    try:
        return check_name(name)
    except HelperError as error:
        raise SourceNameError(error.message, hint=error.hint) from None


def shown_hash(digest: str | None) -> str:
    """A model hash as it is shown, ``sha256:<hex>``."""
    if not digest:
        return ""
    return digest if digest.startswith("sha256:") else f"sha256:{digest}"


async def all_of(works: Iterable[Awaitable[T]]) -> list[T]:
    """Do all of it at once, let each end, and only then fail.

    Raises:
        GswarmError: the failure where there was one; with several, one that lists them, and is a
            `NodeError` where a node could not be reached.
    """
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, GswarmError):
            raise result
    raise_first([result for result in results if isinstance(result, GswarmError)])
    return [result for result in results if not isinstance(result, BaseException)]


def raise_first(errors: Iterable[GswarmError]) -> None:
    """Raise what went wrong, if anything did; several failures become one that lists them."""
    failed = list(errors)
    if not failed:
        return
    if len(failed) == 1:
        raise failed[0]
    message = "; ".join(str(error) for error in failed)
    hint = next((error.hint for error in failed if error.hint), None)
    kind = UnreachableError if any(isinstance(e, NodeError) for e in failed) else GswarmError
    raise kind(message, hint=hint)


class Together:
    """One progress made of several pieces of work at once: bytes and rates are added up."""

    def __init__(self, progress: ProgressCallback) -> None:
        self._progress = progress
        self._newest: dict[int, Progress] = {}

    def part(self, index: int, label: str | None = None) -> ProgressCallback:
        """The callback of one piece; `label` says which it is where it has something to say."""

        def callback(report: Progress) -> None:
            self._newest[index] = report
            self._progress(self._sum(report, label))

        return callback

    def _sum(self, newest: Progress, label: str | None) -> Progress:
        parts = self._newest.values()
        if len(parts) == 1:
            return newest
        message = f"{label}: {newest.message}" if label and newest.message else newest.message
        return Progress(
            phase=newest.phase,
            done=sum(part.done or 0 for part in parts),
            total=_sum_or_none(part.total for part in parts),
            rate=sum(part.rate or 0.0 for part in parts) or None,
            message=message,
        )


def _sum_or_none(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if None in known else sum(value or 0 for value in known)
