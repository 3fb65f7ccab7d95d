"""A lively fleet that is only computed: for ``gswarm-tui --demo``, tests and benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time as wall
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final, final

from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import Capabilities, NodeSpec
from gswarm_tui.watch.attention import needs_a_look
from gswarm_tui.watch.details import JobDetails
from gswarm_tui.watch.rings import SECONDS, History
from gswarm_tui.watch.series import GPU_SERIES, HOST_SERIES, OF_HOST, gpu_key, host_key, record
from gswarm_tui.watch.simulation import tasks
from gswarm_tui.watch.simulation.hostile import disfigure
from gswarm_tui.watch.simulation.hostile import text as hostile_text
from gswarm_tui.watch.simulation.site import CATALOGUE, Replica, SimulatedNode, build
from gswarm_tui.watch.simulation.work import Work, hash_of, revision_of
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Model, Service
from gswarm_tui.watch.source import Listener

_BETWEEN_S: Final = 0.03
"""Keys are answered between two nodes whose past is computed."""
_CHECKING: Final = 0.9
"""From here on an engine that loads is asked for its first token."""


@final
class SimulatedSource:
    """A `Source` whose every picture follows from the seed and the time.

    Args:
        clock: seconds since the epoch; faults and jobs began before the moment at which the source
            was made.
        hostile: all names and texts hold what a machine should not send: escape sequences, markup,
            right-to-left marks, 10,000 characters.
    """

    def __init__(
        self,
        nodes: int = 32,
        gpus: int = 8,
        *,
        seed: int = 0,
        interval_s: float = 1.0,
        clock: Callable[[], float] = wall.time,
        hostile: bool = False,
    ) -> None:
        self._interval_s, self._clock, self._hostile = interval_s, clock, hostile
        self._began = clock()
        self._site = build(nodes, gpus, seed, self._began)
        self._work = Work(self._site, seed, self._began)
        self._history = History()
        self._copies = self._resting()
        self._focus: int | None = None
        self._asked = asyncio.Event()

    @property
    def history(self) -> History:
        return self._history

    async def run(self, listener: Listener) -> None:
        """Give a picture a tick. The ten minutes before are computed a node at a time meanwhile."""
        listener(self.picture(self._clock()))
        filling = asyncio.create_task(self._fill_slowly())
        try:
            while True:
                rest_s = self._interval_s - self._clock() % self._interval_s
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._asked.wait(), rest_s)
                early = self._asked.is_set()
                self._asked.clear()
                snapshot = self.picture(self._clock())
                if not early:
                    record(self._history, snapshot)
                listener(snapshot)
        finally:
            filling.cancel()

    def inventory(self) -> Inventory:
        """What an inventory of this fleet would say."""
        return Inventory({node.template.name: _spec(node) for node in self._site.nodes})

    def focus(self, job_id: int | None) -> None:
        """Have the details of this job in the pictures from now on; the next comes at once."""
        if job_id != self._focus:
            self._focus = job_id
            self._asked.set()

    async def log(self, job_id: int, action_id: str | None, attempt: int) -> AsyncIterator[str]:
        """What a log says of the work so far, then a line now and then."""
        told = 0
        while True:
            now = self._clock()
            details = self._details(job_id, now)
            if details is not None:
                lines = list(tasks.log_lines(details, action_id, now))
                lines = [hostile_text(line) for line in lines] if self._hostile else lines
                if lines[told:]:
                    yield "".join(lines[told:])
                told = len(lines)
            await asyncio.sleep(self._interval_s)

    def _details(self, job_id: int, time: float) -> JobDetails | None:
        details = self._work.details(job_id, time)
        return disfigure(details) if details is not None and self._hostile else details

    async def _fill_slowly(self) -> None:
        for node in self._site.nodes:
            await asyncio.sleep(_BETWEEN_S)
            self._remember(node, self._clock())

    def fill(self, until: float) -> None:
        """Compute the ten minutes before `until`, for those who do not `run` it."""
        for node in self._site.nodes:
            self._remember(node, until)

    def picture(self, time: float) -> FleetSnapshot:
        """The fleet at any time."""
        nodes = tuple([node.at(time) for node in self._site.nodes])
        made = FleetSnapshot(
            time=time,
            nodes=nodes,
            models=self._models(time),
            services=tuple([_service(r, time) for r in self._site.replicas if not _loads(r, time)]),
            starting=tuple([_starting(r, time) for r in self._site.replicas if _loads(r, time)]),
            transfers=self._work.transfers(time),
            jobs=self._work.jobs(time),
            attention=needs_a_look(nodes, time),
            events=self._work.events(time),
        )
        made = disfigure(made) if self._hostile else made
        if self._focus is None:
            return made
        return replace(made, job_details=self._details(self._focus, time))

    def _remember(self, node: SimulatedNode, until: float) -> None:
        """What a node told of itself and of its GPUs in the last ten minutes."""
        name = node.template.name
        if self._hostile:
            name = disfigure(node.template).name
        begin = int(until) - SECONDS + 1
        times = [begin + second for second in range(SECONDS) if node.answers(begin + second)]
        if times:
            keys = [host_key(name, each) for each in HOST_SERIES]
            keys += [gpu_key(name, gpu.index, each) for gpu in node.gpus for each in GPU_SERIES]
            rows = [
                [*OF_HOST(node.host(time)), *(v for gpu in node.gpus for v in gpu.told(time))]
                for time in times
            ]
            self._history.fill(keys, times[-1], rows)

    def _resting(self) -> dict[str, list[Copy]]:
        """The copies that no job has to do with, by model."""
        found: dict[str, list[Copy]] = {model.name: [] for model in CATALOGUE}
        for tier, stored in (("disk", self._site.disk), ("dram", self._site.dram)):
            for node, models in stored.items():
                for number, model in enumerate(models):
                    whole = number != 4  # an unfinished one here and there
                    damaged = number == 3 and node.endswith("7")
                    found[model.name].append(
                        Copy(
                            model=model.name,
                            revision=revision_of(model),
                            device=f"{node}:{tier}",
                            state="damaged" if damaged else "ready" if whole else "partial",
                            size_bytes=model.size_bytes,
                            done_bytes=None if whole else model.size_bytes // 3,
                            hash=hash_of(model) if whole else None,
                            verified=not damaged if whole else None,
                            waiting=None if whole else "credentials for the source",
                            bad_files=int(damaged),
                        )
                    )
        for replica in self._site.replicas:
            if replica.restarts is None:
                found[replica.model.name] += _held(replica, 0.0)
        return found

    def _models(self, time: float) -> tuple[Model, ...]:
        brought: dict[str, list[Copy]] = {}
        for copy in self._work.copies(time):
            brought.setdefault(copy.model, []).append(copy)
        for replica in self._site.replicas:
            if replica.restarts is not None:
                brought.setdefault(replica.model.name, []).extend(_held(replica, time))
        return tuple(
            Model(
                model.name,
                model.source,
                model.type,
                model.size_bytes,
                tuple(self._copies[model.name] + brought.get(model.name, [])),
                registered=model.source is not None,
            )
            for model in CATALOGUE
        )


def _spec(node: SimulatedNode) -> NodeSpec:
    known = node.template
    return NodeSpec(
        known.name,
        known.address,
        capabilities=Capabilities(gpus=tuple([gpu.index for gpu in node.gpus])),
        labels=dict(known.labels),
        groups=known.groups,
    )


def _loads(replica: Replica, time: float) -> bool:
    return replica.restarts is not None and replica.restarts.is_loading(time)


def _held(replica: Replica, time: float) -> list[Copy]:
    """What an engine holds on its GPUs, or loads onto them."""
    model = replica.model
    known = (model.name, revision_of(model))
    if not _loads(replica, time) or replica.restarts is None:
        return [Copy(*known, device, "ready", None) for device in replica.devices]
    checks = replica.restarts.loaded(time) >= _CHECKING
    phase, since = "check" if checks else "load", replica.restarts.begun(time)
    return [
        Copy(*known, device, "starting", None, phase=phase, started_at=since)
        for device in replica.devices
    ]


def _starting(replica: Replica, time: float) -> Service:
    """A service whose engine is not ready yet, as `gswarm_tui.watch.statuses` tells of it."""
    model, places = replica.model, replica.gpus
    return Service(
        *(model.name, replica.node, replica.devices, model.engine, "starting", "", None, None),
        service=f"{model.name} on {','.join(f'gpu{place}' for place in places)}",
        replica=f"{model.name}-{places[0]}",
        started_at=None if replica.restarts is None else replica.restarts.begun(time),
    )


def _service(replica: Replica, time: float) -> Service:
    """A service whose load follows that of its GPUs."""
    restarts = replica.restarts
    since = replica.since if restarts is None else restarts.begun(time) + restarts.loads_s
    share = 0.46 + 0.34 * math.sin(time / 61.0 + replica.phase)
    wobble = (int(time) * 13 + replica.phase) % 29 / 29
    busy = share * (0.8 + 0.4 * wobble)
    speed = 9_000.0 if replica.model.size_bytes < 20e9 else 2_600.0
    model, places = replica.model.name, replica.gpus
    return Service(
        model,
        replica.node,
        replica.devices,
        replica.model.engine,
        "ready",
        "127.0.0.1",
        replica.port,
        None,
        f"{model}-{replica.port}",
        f"{model}-{places[0]}",
        since,
        int((time - since) * 0.7),
        0.7,
        int(40 * busy),
        max(0, int(60 * (busy - 0.75))),
        float(int(92 * busy)),
        float(int(speed * busy * 1.7)),
        float(int(speed * busy)),
        0.05 + 0.4 * busy * busy,
        tunnel=f"ssh -L {replica.port}:127.0.0.1:{replica.port} -N {replica.node}",
    )
