"""The leases of this helper: taken all or nothing, in turn, and let go of.

A lease is for one task, which may ask for it again. It ends when it is dropped, when the connection
that took it is lost and the task has nothing running here, or with the helper. Whoever waits holds
nothing: so nobody waits for somebody who waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Set, Tuple

from ..errors import HelperError, Kind
from ..faults import explained
from ..models.records import timestamp
from . import folder
from .wants import Want

if TYPE_CHECKING:
    from ..operations import OperationTable
    from ..rpc import Call

log = logging.getLogger("gswarm.leases")

GRACE_S = 30.0
"""Seconds that a lease outlives the connection that took it."""

_POLL_S = 0.2
_LOOK_S = 1.0  # between two looks at who holds what is waited for


class Lease:
    """What one task holds or waits for, and the connections that ask for it."""

    def __init__(self, task: str, wants: Tuple[Want, ...], who: Mapping[str, Any]) -> None:
        self.task = task
        self.wants = wants
        self.who = who
        self.since: Optional[float] = None
        self.held: List[folder.Held] = []
        self.taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.calls: Set[Call] = set()
        self.connections: Set[object] = set()
        self.report: Optional[Dict[str, Any]] = None
        self.look_at = 0.0
        self.timer: Optional[asyncio.TimerHandle] = None

    def tell(self, report: Dict[str, Any]) -> None:
        """Say what is waited for, where that is something else than before."""
        if report != self.report:
            self.report = report
            for call in self.calls:
                call.progress(report)


class Leases:
    """Every lease that tasks hold through this helper; it is their only owner."""

    def __init__(self, operations: OperationTable, *, grace_s: Optional[float] = None) -> None:
        self._operations = operations
        self._grace_s = _grace() if grace_s is None else grace_s
        self._leases: Dict[str, Lease] = {}
        self._waiting: List[Lease] = []
        self._connections: Set[object] = set()
        self._polling: Optional[asyncio.Task[None]] = None
        self._freed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._leases)

    def list(self) -> List[Dict[str, Any]]:
        """What is held, as controllers see it."""
        return [
            {
                "task": lease.task,
                "what": want.words,
                "shared": want.shared,
                "who": folder.job_words(lease.who),
                "since": timestamp(lease.since),
            }
            for lease in self._leases.values()
            if lease.since is not None
            for want in lease.wants
        ]

    async def take(
        self, call: Call, task: str, wants: Tuple[Want, ...], who: Mapping[str, Any]
    ) -> None:
        """Hold all of `wants` for `task`, waiting in turn until it is free.

        Raises:
            HelperError: the task holds other things already, or the lease was dropped meanwhile.
        """
        lease = self._leases.get(task)
        if lease is None:
            lease = self._leases[task] = Lease(task, wants, who)
            self._begin(lease)
        elif not set(wants) <= set(lease.wants):
            held = ", ".join(want.words for want in lease.wants)
            raise HelperError(
                Kind.INVALID,
                f"this task has a lease already, of {held}",
                hint="a task takes all that it needs of a node at once",
            )
        self._attach(lease, call)
        try:
            await asyncio.shield(lease.taken)
        except asyncio.CancelledError:
            if not call.connection_lost and not lease.taken.done():
                self._leave(lease, call)
            raise
        finally:
            lease.calls.discard(call)

    def drop(self, task: str) -> bool:
        """Let go of what a task holds or waits for; whether there was something."""
        lease = self._leases.pop(task, None)
        if lease is None:
            return False
        if lease.timer is not None:
            lease.timer.cancel()
        if lease in self._waiting:
            self._waiting.remove(lease)
        for held in lease.held:
            held.release()
        if not lease.taken.done():
            lease.taken.set_exception(HelperError(Kind.CANCELLED, "the lease was dropped"))
            lease.taken.exception()  # seen, also where nobody waits
        self._freed.set()
        self._operations.on_change()
        return True

    def drop_all(self, prefix: str = "") -> int:
        """Let go of the leases of all tasks whose key begins so; how many there were."""
        return sum(self.drop(task) for task in list(self._leases) if task.startswith(prefix))

    async def close(self) -> None:
        """Let go of everything."""
        self.drop_all()
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)

    # Taking

    def _begin(self, lease: Lease) -> None:
        try:
            taken = self._try(lease)
        except BaseException:
            del self._leases[lease.task]
            raise
        self._operations.on_change()
        if taken:
            return
        self._waiting.append(lease)
        if self._polling is None or self._polling.done():
            self._polling = asyncio.ensure_future(self._poll())

    async def _poll(self) -> None:
        """Look again and again for those who wait: other helpers tell nobody what they drop."""
        while self._waiting:
            self._freed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                pause = _POLL_S * random.uniform(0.75, 1.25)  # noqa: S311 - two helpers in step
                await asyncio.wait_for(self._freed.wait(), pause)
            for lease in list(self._waiting):
                if lease in self._waiting:
                    self._look_again(lease)

    def _look_again(self, lease: Lease) -> None:
        try:
            taken = self._try(lease)
        except (HelperError, OSError) as error:
            log.warning("the lease of %s cannot be taken: %s", lease.task, error)
            self._waiting.remove(lease)
            del self._leases[lease.task]
            lease.taken.set_exception(_explained(error))
            lease.taken.exception()
            return
        if taken:
            self._waiting.remove(lease)

    def _try(self, lease: Lease) -> bool:
        """Take all of it now, or nothing."""
        if self._must_queue(lease):
            return False
        held: List[folder.Held] = []
        try:
            place = folder.folder()
            for want in lease.wants:
                lock = folder.try_hold(place / want.lock, shared=want.shared)
                if lock is not None:
                    held.append(lock)
                elif self._is_taken(lease, want, place / want.lock):
                    _release(held)
                    return False
        except (OSError, HelperError) as error:
            _release(held)
            raise _explained(error) from error
        for lock in held:
            lock.sign({"task": lease.task, "who": lease.who})
        lease.held = held
        lease.since = time.time()
        lease.taken.set_result(None)
        self._watch(lease)
        return True

    def _is_taken(self, lease: Lease, want: Want, path: Path) -> bool:
        """Whether somebody else holds it, and tell who that is.

        The task itself may hold it, through another helper: two nodes can share a models folder.
        """
        if time.monotonic() < lease.look_at:
            return True
        lease.look_at = time.monotonic() + _LOOK_S
        known = folder.holders(path)
        if known and all(holder.ours and holder.task == lease.task for holder in known):
            lease.look_at = 0.0
            return False
        self._tell(lease, want, folder.holder(path))
        return True

    def _must_queue(self, lease: Lease) -> bool:
        """Whether somebody who waits already wants the same: first come, first served."""
        for earlier in self._waiting:
            if earlier is lease:
                return False
            for want in lease.wants:
                if any(want.conflicts(other) for other in earlier.wants):
                    self._tell(lease, want, f"{folder.job_words(earlier.who)}, which waits itself")
                    return True
        return False

    def _tell(self, lease: Lease, want: Want, holder: str) -> None:
        lease.tell(
            {
                "phase": "waiting",
                "message": f"{want.words} is held by {holder}",
                "device": want.device,
                "model": want.model,
                "holder": holder,
            }
        )

    # Those who asked

    def _attach(self, lease: Lease, call: Call) -> None:
        lease.calls.add(call)
        if lease.report is not None and not lease.taken.done():
            call.progress(lease.report)
        if lease.timer is not None:
            lease.timer.cancel()
            lease.timer = None
        lease.connections.add(call.connection)
        if call.connection not in self._connections:
            self._connections.add(call.connection)
            call.when_lost(partial(self._lost, call.connection))

    def _lost(self, connection: object) -> None:
        self._connections.discard(connection)
        for lease in self._leases.values():
            lease.connections.discard(connection)
            self._watch(lease)

    def _leave(self, lease: Lease, call: Call) -> None:
        """One who waited was cancelled; with the last one the place in the queue is given up."""
        lease.calls.discard(call)
        if not lease.calls:
            self.drop(lease.task)

    def _watch(self, lease: Lease) -> None:
        """See to it that a lease ends which nobody is there for any more."""
        if not lease.connections and lease.timer is None and lease.task in self._leases:
            loop = asyncio.get_running_loop()
            lease.timer = loop.call_later(self._grace_s, self._expire, lease)

    def _expire(self, lease: Lease) -> None:
        lease.timer = None
        if self._operations.runs_for(lease.task):
            self._watch(lease)
        elif not lease.connections and self._leases.get(lease.task) is lease:
            log.info("the lease of %s is dropped: nobody is there for it", lease.task)
            self.drop(lease.task)


def _grace() -> float:
    with contextlib.suppress(KeyError, ValueError):
        return float(os.environ["GSWARM_LEASE_GRACE"])
    return GRACE_S


def _release(held: List[folder.Held]) -> None:
    for lock in held:
        lock.release()


def _explained(error: Exception) -> HelperError:
    return explained(error, "leases cannot be taken")
