"""The services of this node: published, found again by the next helper, and taken back.

`Services` is their only owner. A service is a forwarder in front of a replica; see `forwarder`.
What is known is in memory, and in one record each, written before the process is started.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from .. import ports, process, records
from ..engines.base import SERVING_PATHS
from ..engines.replica import READY as LOADED
from ..engines.replica import SERVE, Replica
from ..engines.workplace import inherited, last_lines, new_id, prune_logs, trim_logs
from ..errors import HelperError, Kind
from ..faults import explained
from ..operations import Report, in_thread
from ..paths import private_folder
from . import forwarder, proof, traffic
from .offer import Offer
from .publication import Publication
from .service import READY, STALE, STARTING, STOPPING, Service

if TYPE_CHECKING:
    import socket

    from ..node import Node

log = logging.getLogger("gswarm.services")

LOG_LINES = 15
_QUIT_S = 3.0  # for a forwarder that has nothing to drain
_ADOPTED_S = 10.0

_Place = Tuple[str, Tuple[str, ...]]  # a model on devices: at most one service each


class Services:
    """Every service of a node root, by id."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._services: Dict[str, Service] = {}
        self._starting: Dict[_Place, asyncio.Task[Any]] = {}
        self._ends: Dict[str, asyncio.Task[None]] = {}
        self._trimming: Optional[asyncio.Task[None]] = None

    # What there is

    def list(self) -> List[Dict[str, Any]]:
        """Every service as controllers see it."""
        self._look()
        return [self._to_wire(service) for service in self._services.values()]

    def traffic(self, service_id: str) -> traffic.Totals:
        """What its forwarder has counted so far."""
        return traffic.read(self._traffic(service_id))

    def running(self) -> int:
        """How many are published: reasons for the helper to stay."""
        # The helper asks every few seconds: the moment to look at the logs as well.
        if self._trimming is None or self._trimming.done():
            logs = [service.log for service in self._services.values()]
            self._trimming = asyncio.ensure_future(trim_logs(logs))
        return sum(service.alive() for service in self._services.values())

    def find(self, model: str, devices: Tuple[str, ...]) -> Optional[Service]:
        """The service of a model on exactly these devices, in whatever state."""
        self._look()
        for service in self._services.values():
            if (service.model, service.devices) == (model, devices):
                return service
        return None

    # Publishing

    async def start(self, offer: Offer, report: Report) -> Dict[str, Any]:
        """Have a model served, and return once a request through its forwarder is answered.

        The engine is started where it does not run; where then the rest fails, or this is
        cancelled, it is ended again.

        Raises:
            HelperError: `Kind.PORT_TAKEN`; `Kind.IN_USE` where it is served otherwise already; what
                `Replicas.start` raises; `Kind.ENGINE_FAILED` where no request is answered.
        """
        place = (offer.order.model, offer.order.devices)
        while place in self._starting:
            await asyncio.wait([self._starting[place]])
        task = asyncio.current_task()
        assert task is not None
        self._starting[place] = task
        try:
            return await self._start(offer, report)
        finally:
            del self._starting[place]

    async def _start(self, offer: Offer, report: Report) -> Dict[str, Any]:
        current = await self._in_the_way(offer)
        if current is not None and (await self._same(current, offer, report)):
            return {**self._to_wire(self._services[current.id]), "already": True}
        port = offer.port if current is None or offer.port is not None else current.port
        if current is not None:
            await self._end(current, drain_s=_QUIT_S)  # its engine is gone: nothing can be drained
        # Before anything is loaded: a port that is taken is known at once.
        with ports.bind(offer.address, port) as listener:
            replica, already = await self._node.replicas.start(offer.order, report)
            try:
                service = await self._publish(offer, replica, listener, report)
            except (Exception, asyncio.CancelledError) as error:
                left = isinstance(error, asyncio.CancelledError) and self._node.leaving
                if not already and not left:
                    await self._unload(replica.id)
                raise
        return {**self._to_wire(service), "already": False}

    async def _in_the_way(self, offer: Offer) -> Optional[Service]:
        """The service that is on these devices.

        Raises:
            HelperError: it is published, and not as offered.
        """
        current = self.find(offer.order.model, offer.order.devices)
        while current is not None and current.id in self._ends:
            await asyncio.wait([self._ends[current.id]])
            current = self.find(offer.order.model, offer.order.devices)
        if current is not None and current.state == READY:
            difference = offer.difference(current)
            if difference is not None:
                raise _served_otherwise(current, difference)
        return current

    async def _same(self, service: Service, offer: Offer, report: Report) -> bool:
        """Whether a service goes on as it is; false where its engine or its forwarder is gone.

        Raises:
            HelperError: its engine is not the one that is ordered, or its key is another.
        """
        if service.state != READY:
            return False
        replica, _ = await self._node.replicas.start(offer.order, report)
        if replica.id != service.replica:
            return False
        answer = await proof.ask(service, "GET", "/v1/models", offer.api_key)
        if answer.status == 401:
            raise _served_otherwise(service, "with another key")
        return answer.status == 200

    async def _publish(
        self, offer: Offer, replica: Replica, listener: socket.socket, report: Report
    ) -> Service:
        report({"phase": "publish", "message": f"publishing {offer.order.model}"})
        in_use = {known.log for known in self._services.values()}
        await in_thread(prune_logs, self._node.paths.logs, "service", in_use)
        service = self._new(offer, replica, listener.getsockname()[1])
        self._services[service.id] = service
        try:
            ports.listen(listener)
            started = await in_thread(self._spawn, service, _publication(offer, replica), listener)
            self._services[service.id] = replace(service, process=started)
            # Ours has to close: a forwarder that ended would leave a port that nobody answers.
            listener.close()
            await proof.until_answered(self._services[service.id], replica.ready, offer.api_key)
        except Exception as error:  # whatever it is, nothing is left that nobody owns
            if not isinstance(error, HelperError):
                log.exception("%s: could not be published", service.id)
            fault = explained(error, f"{service.model} could not be published")
            raise await self._gave_up(service.id, fault) from None
        except asyncio.CancelledError:
            if not self._node.leaving:  # the next helper sees to it: its record says "starting"
                await self._end(self._services[service.id], drain_s=0)
            raise
        log.info("%s: published at %s port %d", service.id, service.address, service.port)
        return self._update(service.id, state=READY, asked=int(replica.ready.ask != "health"))

    def _new(self, offer: Offer, replica: Replica, port: int) -> Service:
        service_id = new_id(offer.order.model, offer.order.devices)
        return Service(
            id=service_id,
            model=offer.order.model,
            names=offer.names,
            replica=replica.id,
            devices=replica.devices,
            engine=replica.engine,
            address=offer.address,
            port=port,
            guarded=offer.api_key is not None,
            started_at=time.time(),
            log=str(self._node.paths.logs / f"service-{service_id}.log"),
        )

    def _spawn(
        self, service: Service, publication: Publication, listener: socket.socket
    ) -> process.ProcessRecord:
        """Start a forwarder between two records, in one go; blocks."""
        path = self._record(service.id)
        records.write(path, service.to_record())  # before there is a process to lose
        folder = private_folder(self._folder(service.id))
        started = process.spawn(
            forwarder.command(folder),
            env={**inherited(), process.MARK: service.id},
            cwd=folder,
            log=Path(service.log),
            stdin=forwarder.settings(publication, listener, self._traffic(service.id)),
            pass_fds=(listener.fileno(),),
        )
        records.keep(path, replace(service, process=started).to_record())
        return started

    async def _gave_up(self, service_id: str, error: HelperError) -> HelperError:
        service = self._services[service_id]
        lines = await in_thread(last_lines, Path(service.log), LOG_LINES)
        await self._end(service, drain_s=0)
        if error.kind != Kind.ENGINE_FAILED:
            return error
        tail = "; the end of its log:\n" + "\n".join(f"  {line}" for line in lines)
        return HelperError(
            Kind.ENGINE_FAILED,
            f"{service.model} could not be published: {error.message}" + (tail if lines else ""),
            where=service.log,
            hint=error.hint,
        )

    # Taking back

    async def stop(
        self, model: str, devices: Optional[Sequence[str]], *, drain_s: float
    ) -> List[Dict[str, Any]]:
        """Take back the services of a model, and end the engines that only `serve` wanted.

        Args:
            devices: those that use one of these; None for all.
            drain_s: seconds for requests that are under way.
        """

        def meant(on: Sequence[str]) -> bool:
            return devices is None or not set(devices).isdisjoint(on)

        for place, task in list(self._starting.items()):
            if place[0] == model and meant(place[1]):
                task.cancel()
                await asyncio.wait([task])
        self._look()
        chosen = [s for s in self._services.values() if s.model == model and meant(s.devices)]
        stopped = [self._to_wire(service) for service in chosen]
        await asyncio.gather(*(self._end(service, drain_s=drain_s) for service in chosen))
        for replica in self._node.replicas.of(model):
            if meant(replica.devices):
                await self._unload(replica.id)
        return stopped

    async def _unload(self, replica_id: str) -> None:
        """End an engine that `serve` had started, unless another service uses it."""
        replica = self._node.replicas.get(replica_id)
        used = any(service.replica == replica_id for service in self._services.values())
        if replica is not None and replica.started_by == SERVE and not used:
            await self._node.replicas.stop(replica_id)

    async def _end(self, service: Service, *, drain_s: float) -> None:
        task = self._ends.get(service.id)
        if task is None:
            ending = self._do_end(self._services[service.id], drain_s)
            task = self._ends[service.id] = asyncio.ensure_future(ending)
        await asyncio.shield(task)

    async def _do_end(self, service: Service, drain_s: float) -> None:
        try:
            self._update(service.id, state=STOPPING)
            await in_thread(self._terminate, service, drain_s)
            await in_thread(self._forget, service)
            del self._services[service.id]
        finally:
            del self._ends[service.id]

    def _terminate(self, service: Service, drain_s: float) -> None:
        leader = service.process or process.find_marked(service.id)
        if leader is not None:
            folder = self._folder(service.id)
            process.terminate(leader, mark=service.id, folder=folder, grace_s=drain_s)

    def _forget(self, service: Service) -> None:
        shutil.rmtree(self._folder(service.id), ignore_errors=True)
        records.remove(self._record(service.id))

    # What an earlier helper left

    def adopt(self) -> None:
        """Take over what runs; nothing is ended but what was ending already."""
        for path, content in records.read_all(self._node.paths.services):
            try:
                service = Service.from_record(content)
                found = service.process or process.find_marked(service.id)
                service = replace(service, process=found)
                service.alive()
                self._to_wire(service)  # whatever is in it can be shown, or it is none
            except Exception as error:  # the content is anybody's
                log.warning("%s is passed over, it is no record of a service: %r", path, error)
                continue
            self._services[service.id] = service
            if service.state in (STARTING, STOPPING):
                # Nobody was told that it is published.
                task = asyncio.ensure_future(self._end(service, drain_s=_ADOPTED_S))
                task.add_done_callback(_seen)
        self._look()

    # Keeping count

    def _look(self) -> None:
        """Notice what has ended by itself."""
        for service in list(self._services.values()):
            if service.state not in (READY, STALE) or service.id in self._ends:
                continue
            reason = self._fault(service)
            if reason != service.reason:
                self._update(service.id, state=STALE if reason else READY, reason=reason)

    def _fault(self, service: Service) -> Optional[str]:
        if not service.alive():
            how = process.exit_reason(service.process) if service.process else None
            return f"its forwarder {how or 'ended'}"
        replica = self._node.replicas.get(service.replica)
        if replica is None or replica.state != LOADED:
            return "its engine is gone" if replica is None else f"its engine is {replica.state}"
        return None

    def _to_wire(self, service: Service) -> Dict[str, Any]:
        return service.to_wire(passed_on=self.traffic(service.id).requests)

    def _update(self, service_id: str, **changes: Any) -> Service:
        service = self._services[service_id] = replace(self._services[service_id], **changes)
        records.keep(self._record(service.id), service.to_record())
        return service

    def _record(self, service_id: str) -> Path:
        return self._node.paths.services / f"{service_id}.json"

    def _folder(self, service_id: str) -> Path:
        return self._node.paths.services / service_id

    def _traffic(self, service_id: str) -> Path:
        return self._folder(service_id) / "requests"


def _publication(offer: Offer, replica: Replica) -> Publication:
    return Publication(
        names=offer.names,
        served_name=replica.served_name,
        endpoint=replica.endpoint,
        ready=replica.ready,
        paths=(*SERVING_PATHS, *replica.paths),
        refused=replica.refused,
        created=int(replica.started_at),
        silence_s=offer.silence_s,
        key=offer.api_key,
        engine=replica.process,
    )


def _served_otherwise(service: Service, difference: str) -> HelperError:
    return HelperError(
        Kind.IN_USE,
        f"{service.model} is served already on {' and '.join(service.devices)}, {difference}",
        where=f"{service.address}:{service.port}",
        hint=f"stop it first: gswarm model stop {service.model}",
    )


def _seen(task: asyncio.Task[Any]) -> None:
    """Its error is told to whoever waits for it, if anybody does."""
    if not task.cancelled():
        task.exception()
