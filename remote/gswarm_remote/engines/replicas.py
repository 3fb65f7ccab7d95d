"""The engines of this node: started, watched, found again by the next helper, and ended.

`Replicas` is their only owner. What it knows is in memory, and in one record each, written before
the process is started: a helper that is killed at any moment leaves nothing that its successor
cannot find. Records written later may fail: a full disk keeps nothing from being ended. Nothing
here polls while nobody asks: whether a process lives is looked at when it
matters.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from .. import process, records
from ..errors import HelperError, Kind
from ..faults import explained
from ..operations import Report, in_thread
from . import adoption, cause, conflicts, planning, readiness
from .order import Order
from .replica import FAILED, MOVE, READY, STALE, STARTING, STOPPING, Replica
from .start import Start
from .watch import Watch
from .workplace import Workplace, last_lines, prune_logs, trim_logs

if TYPE_CHECKING:
    from ..node import Node

log = logging.getLogger("gswarm.engines")

GRACE_S = 10.0
"""Seconds between TERM and KILL."""

_LINES_READ = 10_000  # among which the cause of a failure is looked for

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")


class Replicas:
    """Every replica of a node root, by id."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._replicas: Dict[str, Replica] = {}
        self._starts: Dict[str, Start] = {}
        self._ends: Dict[str, asyncio.Task[None]] = {}
        self._checks: Dict[str, asyncio.Task[None]] = {}
        self._trimming: Optional[asyncio.Task[None]] = None

    # What there is

    def list(self) -> List[Dict[str, Any]]:
        """Every replica as controllers see it, those that have failed included."""
        self._look()
        for replica in self._replicas.values():
            if replica.state == STALE and replica.alive():
                self._check(replica)
        return [replica.to_wire() for replica in self._replicas.values()]

    def running(self) -> int:
        """How many hold a device: reasons for the helper to stay."""
        self._look()
        # The helper asks every few seconds: the moment to look at the logs as well.
        if self._trimming is None or self._trimming.done():
            logs = [replica.log for replica in self._replicas.values()]
            self._trimming = asyncio.ensure_future(trim_logs(logs))
        return sum(replica.holds_devices for replica in self._replicas.values())

    def get(self, replica_id: str) -> Optional[Replica]:
        self._look()
        return self._replicas.get(replica_id)

    def find(self, model: str, devices: Tuple[str, ...]) -> Optional[Replica]:
        """The replica of a model on exactly these devices, in whatever state."""
        self._look()
        for replica in self._replicas.values():
            if (replica.model, replica.devices) == (model, devices):
                return replica
        return None

    def of(self, model: str) -> List[Replica]:
        """Every replica of a model, in whatever state."""
        self._look()
        return [replica for replica in self._replicas.values() if replica.model == model]

    def log_tail(self, replica_id: str, lines: int) -> str:
        """The end of the log of a replica, also of one that is gone.

        Raises:
            HelperError: there is no such log.
        """
        if not _ID.fullmatch(replica_id):
            raise HelperError(Kind.INVALID, f"{replica_id!r:.80} is no replica's id")
        path = self._place(replica_id).log
        if not path.exists():
            raise HelperError(Kind.NOT_FOUND, "there is no log of this engine", where=str(path))
        return "\n".join(last_lines(path, lines))

    # Starting

    async def start(self, order: Order, report: Report) -> Tuple[Replica, bool]:
        """Have a model loaded, and return once it has answered a request.

        Cancelling this ends an engine that is not ready, unless somebody else waits for it too.

        Returns:
            The replica, and whether it was there before.

        Raises:
            HelperError: `Kind.IN_USE` where something else is on a device, `Kind.ENGINE_FAILED`
                with the end of its log where it does not become ready.
        """
        plan: Optional[planning.Plan] = None
        while True:
            current = await self._in_the_way(order)
            if current is not None:
                return await self._use(current, order, report), True
            if plan is not None:
                break
            plan = await planning.make(self._node, order)
        replica = plan.replica
        self._replicas[replica.id] = replica
        start = self._begin(replica, partial(self._bring_up, plan), timeout_s=order.timeout_s)
        return await self._join(start, report), False

    async def _in_the_way(self, order: Order) -> Optional[Replica]:
        """The replica that is ordered, if it is there already.

        Raises:
            HelperError: something else is on one of the devices.
        """
        while True:
            current = self.find(order.model, order.devices)
            others = [r for r in self._replicas.values() if conflicts.collide(r, order.devices)]
            ending = [r.id for r in [*others, current] if r is not None and r.id in self._ends]
            if ending:
                await asyncio.wait([self._ends[ending[0]]])
            elif current is not None and not current.holds_devices:
                await self.stop(current.id)
            elif current is not None:
                return conflicts.usable(current, order)
            elif others:
                raise conflicts.taken(others[0], order)
            else:
                return None

    async def _use(self, current: Replica, order: Order, report: Report) -> Replica:
        start = self._starts.get(current.id)
        if start is not None:
            current = await self._join(start, report)
        if current.state != READY:
            raise HelperError(
                Kind.IN_USE,
                f"{current.engine} of {current.model} is {current.state}, and nobody waits for it",
                where=current.log,
                hint=f"end it first: gswarm model delete {current.model}"
                f" --device {current.devices[0]}",
            )
        if order.started_by == MOVE and current.started_by != MOVE:
            current = self._update(current.id, started_by=MOVE)
        return current

    def _begin(
        self,
        replica: Replica,
        bring_up: Callable[[Start, float], Any],
        *,
        timeout_s: float,
    ) -> Start:
        deadline = asyncio.get_running_loop().time() + timeout_s

        async def do() -> Replica:
            try:
                return await self._until_ready(replica.id, bring_up, start, deadline)
            finally:
                del self._starts[replica.id]

        start = Start(asyncio.ensure_future(do()))
        start.task.add_done_callback(_seen)
        self._starts[replica.id] = start
        return start

    async def _join(self, start: Start, report: Report) -> Replica:
        start.waiting += 1
        start.reports.add(report)
        try:
            return await asyncio.shield(start.task)
        except asyncio.CancelledError:
            # A helper that goes leaves what is loading to the next one, which adopts it.
            if start.waiting == 1 and not start.task.done() and not self._node.leaving:
                await start.cancel()
            raise
        finally:
            start.waiting -= 1
            start.reports.discard(report)

    async def _bring_up(self, plan: planning.Plan, start: Start, deadline: float) -> None:
        replica = plan.replica
        place = self._place(replica.id)
        in_use = {known.log for known in self._replicas.values()}
        await in_thread(prune_logs, place.log.parent, "engine", in_use)
        started = await in_thread(self._spawn, plan, place)
        self._replicas[replica.id] = replace(self._replicas[replica.id], process=started)
        log.info("%s: %s is pid %d", replica.id, replica.engine, started.pid)

    def _spawn(self, plan: planning.Plan, place: Workplace) -> process.ProcessRecord:
        """Start it between two records, in one go: a helper that is leaving notes it as well."""
        path, replica = self._record(plan.replica.id), plan.replica
        records.write(path, replica.to_record())  # before there is a process to lose
        started = planning.spawn(plan, place)
        records.keep(path, replace(replica, process=started).to_record())
        return started

    async def _until_ready(
        self,
        replica_id: str,
        bring_up: Callable[[Start, float], Any],
        start: Start,
        deadline: float,
    ) -> Replica:
        began = time.monotonic()
        try:
            await bring_up(start, deadline)
            replica = self._replicas[replica_id]
            watch = Watch(replica, start.report)
            await readiness.wait_until_ready(
                replica.endpoint,
                replica.ready,
                model=replica.served_name,
                deadline=deadline,
                check=watch,
                asking=watch.healthy,
            )
        except Exception as error:  # whatever it is, no device is left to an engine nobody owns
            if not isinstance(error, HelperError):
                log.exception("%s: could not be brought up", replica_id)
            fault = explained(error, "the engine could not be started")
            raise await self._gave_up(self._replicas[replica_id], fault) from None
        except asyncio.CancelledError:
            if start.unwanted:
                await self._end(self._replicas[replica_id])
            raise
        log.info("%s: ready after %.1f s", replica_id, time.monotonic() - began)
        return self._update(replica_id, state=READY)

    async def _gave_up(self, replica: Replica, error: HelperError) -> HelperError:
        """End what did not become ready, and make its error, with the end of its log."""
        await self._end(replica)
        if error.kind != Kind.ENGINE_FAILED:
            return error
        lines = await in_thread(last_lines, Path(replica.log), _LINES_READ)
        asked = f'"GET {replica.ready.health} '  # by ourselves, twice a second
        return cause.failure(replica, error, [line for line in lines if asked not in line])

    # Ending

    async def stop(self, replica_id: str) -> bool:
        """End a replica and forget it; whether there was one. Cancelling this does not stop it.

        Raises:
            HelperError: there are processes that do not end even when they are killed.
        """
        start = self._starts.get(replica_id)
        if start is not None:
            await start.cancel()
            return True
        replica = self._replicas.get(replica_id)
        if replica is None:
            return False
        await self._end(replica)
        return True

    async def _end(self, replica: Replica) -> None:
        task = self._ends.get(replica.id)
        if task is None:
            task = self._ends[replica.id] = asyncio.ensure_future(self._do_end(replica))
            task.add_done_callback(_seen)
        await asyncio.shield(task)

    async def _do_end(self, replica: Replica) -> None:
        try:
            self._update(replica.id, state=STOPPING)
            place = self._place(replica.id)
            left = await in_thread(place.clear, replica.id, replica.process, GRACE_S)
            if left:
                raise conflicts.unkillable(replica, left)
            await in_thread(place.remove)
            await in_thread(records.remove, self._record(replica.id))
            del self._replicas[replica.id]
        except Exception as error:
            fault = explained(error, f"{replica.engine} of {replica.model} could not be ended")
            self._update(replica.id, state=STALE, reason=fault.message)
            raise fault from error
        finally:
            del self._ends[replica.id]

    # What an earlier helper left

    def adopt(self) -> None:
        """Take over what runs; what cannot be told for certain is stale, and nothing is killed."""
        for replica in adoption.found(self._node.paths.engines):
            self._replicas[replica.id] = replica
            self._write(replica)
            if replica.alive():
                self._take_over(replica)
            elif replica.state == FAILED:
                self._sweep(replica)
            log.info("%s: found %s", replica.id, replica.state)

    def _take_over(self, replica: Replica) -> None:
        if replica.state == STARTING:
            left = replica.started_at + replica.timeout_s - time.time()
            self._begin(replica, _already_up, timeout_s=max(left, 1.0))
        elif replica.state == STOPPING:
            task = asyncio.ensure_future(self._end(replica))
            task.add_done_callback(_seen)
        else:
            self._check(replica)

    def _check(self, replica: Replica) -> None:
        """See in the background whether an engine that lives answers as well."""
        if replica.id not in self._checks:
            task = self._checks[replica.id] = asyncio.ensure_future(self._do_check(replica))
            task.add_done_callback(_seen)

    async def _do_check(self, replica: Replica) -> None:
        try:
            healthy = await readiness.healthy(
                replica.endpoint, replica.ready, timeout_s=readiness.HEALTH_TIMEOUT_S
            )
            current = self._replicas.get(replica.id)
            if current is None or current.state not in (READY, STALE):
                return
            if healthy and current.state == STALE:
                self._update(replica.id, state=READY, reason=None)
            elif not healthy and current.state == READY:
                pid = current.process.pid if current.process else None
                reason = f"pid {pid} is there but does not answer at {replica.ready.health}"
                self._update(replica.id, state=STALE, reason=reason)
        finally:
            del self._checks[replica.id]

    # Keeping count

    def _look(self) -> None:
        """Notice what has ended by itself."""
        process.reap()
        for replica in list(self._replicas.values()):
            if replica.id in self._starts or replica.id in self._ends:
                continue
            if replica.state not in (READY, STALE) or replica.alive():
                continue
            if replica.process is not None and not replica.process.reused():
                self._lost(replica)

    def _lost(self, replica: Replica) -> None:
        """It ended without being asked to: say so, and end the workers that it left behind."""
        reason = (process.exit_reason(replica.process) if replica.process else None) or "ended"
        self._update(replica.id, state=FAILED, reason=f"it {reason}")
        log.warning("%s: %s", replica.id, reason)
        self._sweep(replica)

    def _sweep(self, replica: Replica) -> None:
        if replica.process is None:
            return
        place = self._place(replica.id)
        sweep = asyncio.ensure_future(in_thread(place.clear, replica.id, replica.process, GRACE_S))
        sweep.add_done_callback(_seen)

    def _update(self, replica_id: str, **changes: Any) -> Replica:
        replica = self._replicas[replica_id] = replace(self._replicas[replica_id], **changes)
        self._write(replica)
        return replica

    def _write(self, replica: Replica) -> None:
        records.keep(self._record(replica.id), replica.to_record())

    def _record(self, replica_id: str) -> Path:
        return self._node.paths.engines / f"{replica_id}.json"

    def _place(self, replica_id: str) -> Workplace:
        return Workplace.of(self._node.paths, replica_id)


async def _already_up(start: Start, deadline: float) -> None:
    """An adopted engine has been started by an earlier helper."""


def _seen(task: asyncio.Task[Any]) -> None:
    """Its error is told to whoever waits for it, if anybody does."""
    if not task.cancelled():
        task.exception()
