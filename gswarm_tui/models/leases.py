"""Leases on nodes, and the work that nodes know by a task's key.

A task that needs something of several nodes takes it node by node, and every controller goes
through the nodes in the same order: by machine and node root, whatever its inventory calls them.
So two controllers never hold what the other one waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gswarm_tui.errors import GswarmError
from gswarm_tui.fleet import TASK
from gswarm_tui.models.ground import Ground, Wire, all_of
from gswarm_tui.standing import Lease


@dataclass(frozen=True, slots=True)
class Want:
    """Something of one node that a task needs for itself, or with others: a device or a model.

    Args:
        device: ``gpu0``.
        model, tier: the files of a model on ``disk`` or ``dram``.
        shared: others that share may hold it too.
    """

    device: str | None = None
    model: str | None = None
    tier: str | None = None
    shared: bool = False

    def to_wire(self) -> dict[str, Any]:
        what = {"device": self.device} if self.device else {"model": self.model, "tier": self.tier}
        return {**what, "shared": self.shared}


@dataclass(frozen=True, slots=True)
class Who:
    """Who holds a lease, as those who wait for it are told.

    Args:
        job: the job's id.
        user, host: whose controller it is, and where.
        does: what the task does: ``serve llama-7b``.
    """

    job: int
    user: str
    host: str
    does: str


async def take(
    ground: Ground,
    wants: Mapping[str, Sequence[Want]],
    who: Who,
    waiting: Callable[[str], None],
    lost: Callable[[str], None],
) -> None:
    """See `Models.take_leases`."""
    order = await _in_order(ground, [node for node, wanted in wants.items() if wanted])
    taken: list[str] = []
    try:
        for node in order:
            taken.append(node)  # also where it is cancelled while the answer is on its way
            params = {"wants": [want.to_wire() for want in wants[node]], "who": asdict(who)}
            listener = _listener(node, waiting)
            await ground.node(node).call("lease.take", params, progress=listener)
            _stand(ground, node, params, lost)
    except BaseException:
        await _give_back(ground, taken)
        raise


async def drop(ground: Ground, nodes: Iterable[str]) -> None:
    """See `Models.drop_leases`."""
    task, names = TASK.get(), list(nodes)
    for node in names:
        ground.node(node).standing.forget(task or "")
    able = [node for node in names if ground.knows(node, "lease.drop")]
    if task is not None:
        await all_of(ground.call(node, "lease.drop", {"task": task}) for node in able)


async def task_cancel(ground: Ground, node: str, prefix: str) -> int:
    """See `Models.task_cancel`."""
    await ground.node(node).connect()
    if not ground.knows(node, "task.cancel"):
        return 0
    return int((await ground.call(node, "task.cancel", {"prefix": prefix}))["cancelled"])


async def _in_order(ground: Ground, nodes: Sequence[str]) -> list[str]:
    """The nodes that have leases, in the order in which every controller takes them.

    Raises:
        NodeError: one of them cannot be reached.
    """
    await all_of(ground.node(node).connect() for node in nodes)
    able = [node for node in nodes if ground.knows(node, "lease.take")]
    return sorted(able, key=lambda node: _place(ground.node(node).hello or {}))


def _place(hello: Wire) -> tuple[str, ...]:
    return tuple(str(hello.get(key) or "") for key in ("boot_id", "hostname", "root"))


def _listener(node: str, waiting: Callable[[str], None]) -> Callable[[dict[str, Any]], None]:
    def listen(report: dict[str, Any]) -> None:
        waiting(f"waiting for {_thing(node, report)}, held by {report.get('holder')}")

    return listen


def _thing(node: str, report: Wire) -> str:
    """What a report of waiting is about: ``node1:gpu0``, ``llama on node1:disk``."""
    place, model = f"{node}:{report.get('device')}", report.get("model")
    return f"{model} on {place}" if model else place


def _stand(ground: Ground, node: str, params: Wire, lost: Callable[[str], None]) -> None:
    """Have the lease taken again where the connection or the helper is lost meanwhile."""
    task = TASK.get()

    def tell(report: dict[str, Any]) -> None:
        what = _thing(node, report)
        lost(f"its lease on {what} was taken by {report.get('holder')} meanwhile")

    if task is not None:
        ground.node(node).standing.leases[task] = Lease({"task": task, **params}, tell)


async def _give_back(ground: Ground, nodes: Iterable[str]) -> None:
    """Drop what was taken before the rest could be; a node that is gone drops it by itself."""
    results = await asyncio.gather(
        *(drop(ground, [node]) for node in nodes), return_exceptions=True
    )
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, GswarmError):
            raise result
