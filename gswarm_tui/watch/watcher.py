"""The real fleet, watched: a task for each node, one picture of all of them a tick.

A node that hangs holds up nobody: what it says is taken when it comes, and a picture is made of
what is known. What did not change from one picture to the next is the same object in both.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar, final

from gswarm_tui.errors import StateError
from gswarm_tui.home import Home
from gswarm_tui.state.models import RegisteredModel
from gswarm_tui.watch import tail
from gswarm_tui.watch.attention import needs_a_look
from gswarm_tui.watch.details import JobDetails
from gswarm_tui.watch.happenings import Happenings
from gswarm_tui.watch.jobs import JobWatch
from gswarm_tui.watch.nodewatch import Asked, NodeWatch, Wishes
from gswarm_tui.watch.rings import History
from gswarm_tui.watch.series import record
from gswarm_tui.watch.slowdowns import Slowdowns
from gswarm_tui.watch.snapshot import Copy, Event, FleetSnapshot, Model, Service, Transfer
from gswarm_tui.watch.source import Listener

_T = TypeVar("_T")

_KEPT: Final = 1000
"""So many events are kept."""
_NONE: Final[Mapping[str, RegisteredModel]] = {}
_FIRST_S: Final = 0.1
"""Between two pictures while nodes are still being connected to."""
_LEAVING_S: Final = 1.5
_NODES_A_SECOND: Final = 64
"""So many nodes are asked for their status at most; of more, each is asked less often."""


@final
class FleetWatcher:
    """The `Source` of a real fleet.

    Args:
        nodes: `gswarm_tui.fleet.Node` of each node, in the order of the inventory. Their fleet has
            to stay open for as long as `run` runs.
        database: the controller's; None where jobs and registered models are not wanted.
        wishes: what is asked of each node.
        logs: the folder of the jobs' logs; beside the database where none is named.
        history: where it is remembered; a new one where none is given.
    """

    def __init__(
        self,
        nodes: Sequence[Asked],
        database: Path | None = None,
        *,
        wishes: Wishes | None = None,
        logs: Path | None = None,
        history: History | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        wishes = Wishes() if wishes is None else wishes
        wishes = replace(wishes, status_s=max(wishes.status_s, len(nodes) / _NODES_A_SECOND))
        self._interval_s, self._clock, self._path = wishes.interval_s, clock, database
        self._logs = logs or (None if database is None else Home(database.parent).logs)
        self._history = History() if history is None else history
        self._database: JobWatch | None = None
        self._focus: int | None = None
        self._asked = asyncio.Event()
        self._news = asyncio.Event()
        self._watches = [
            NodeWatch(node, wishes, changed=self._news.set, job_of=self._job_of, clock=clock)
            for node in nodes
        ]
        self._snapshot = FleetSnapshot(0.0)
        self._happenings, self._slowdowns = Happenings(), Slowdowns()
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._told: tuple[Event, ...] | None = ()
        self._holdings: tuple[object, ...] = ()
        self._models: tuple[Model, ...] = ()

    @property
    def history(self) -> History:
        return self._history

    @property
    def settled(self) -> bool:
        """Whether each node has told what its GPUs are and do, or failed to."""
        return not any(watch.pending for watch in self._watches)

    def note(self, event: Event) -> None:
        """Add something that a user did to the events."""
        self._events.append(event)
        self._told = None

    def focus(self, job_id: int | None) -> None:
        """Have the details of this job in the pictures from now on; the next comes at once."""
        if job_id != self._focus:
            self._focus = job_id
            self._asked.set()

    def log(self, job_id: int, action_id: str | None, attempt: int) -> AsyncIterator[str]:
        """The log of a job, or of an attempt of one of its tasks, as it grows."""
        if self._logs is None:
            return tail.nothing()
        return tail.follow(tail.log_path(self._logs, job_id, action_id, attempt))

    async def run(self, listener: Listener) -> None:
        """Watch until cancelled. The first picture comes at once, before any node has answered."""
        self._open()
        listener(self.picture())
        watching = [asyncio.ensure_future(watch.run()) for watch in self._watches]
        try:
            while True:
                await self._tick()
                for task in watching:
                    if task.done() and (error := task.exception()) is not None:
                        raise error
                early = self._asked.is_set()
                self._asked.clear()
                snapshot = self.picture()
                if not early:
                    record(self._history, snapshot)
                listener(snapshot)
        finally:
            for task in watching:
                task.cancel()
            if watching:
                await asyncio.wait(watching, timeout=_LEAVING_S)
            if self._database is not None:
                self._database.close()

    async def _tick(self) -> None:
        """Wait for the next full interval; at the beginning, for news of the first nodes."""
        left_s = self._interval_s - self._clock() % self._interval_s
        if self.settled:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), left_s)
            return
        self._news.clear()
        least_s = min(_FIRST_S, self._interval_s)
        await asyncio.sleep(least_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), max(0.001, left_s - least_s))

    # The picture

    def picture(self) -> FleetSnapshot:
        """The fleet as it is known now."""
        now = self._clock()
        before = self._snapshot
        self._look_at_jobs()
        nodes = tuple([watch.node(now) for watch in self._watches])
        made = FleetSnapshot(
            time=now,
            nodes=nodes,
            models=self._all_models(),
            services=_same(before.services, self._services()),
            starting=_same(before.starting, self._starting()),
            transfers=_same(before.transfers, self._transfers()),
            jobs=self._database.jobs if self._database is not None else (),
            job_details=_same(before.job_details, self._details()),
            attention=_same(before.attention, needs_a_look(nodes, now)),
            queue_paused=self._database is not None and self._database.queue_paused,
        )
        for found in (self._happenings, self._slowdowns):
            for event in found.between(before, made):
                self.note(event)
        if self._told is None:
            self._told = tuple(self._events)
        self._snapshot = replace(made, events=self._told)
        return self._snapshot

    def _open(self) -> None:
        if self._path is None:
            return
        try:
            self._database = JobWatch(self._path, self._logs)
        except StateError as error:
            self._complain(error)

    def _look_at_jobs(self) -> None:
        if self._database is None:
            return
        try:
            self._database.focus.on(self._focus)
            self._database.refresh()
        except StateError as error:
            self._complain(error)

    def _complain(self, error: StateError) -> None:
        """Tell once that the database is of no use, not each tick."""
        text = str(error)
        if not any(event.text == text for event in self._events):
            self.note(Event(self._clock(), "error", "jobs", text))

    def _job_of(self, key: str) -> int | None:
        return None if self._database is None else self._database.id_of(key)

    def _details(self) -> JobDetails | None:
        return None if self._database is None else self._database.details

    def _services(self) -> tuple[Service, ...]:
        return tuple([service for watch in self._watches for service in watch.services])

    def _starting(self) -> tuple[Service, ...]:
        return tuple([each for watch in self._watches for each in watch.holdings.starting])

    def _transfers(self) -> tuple[Transfer, ...]:
        return tuple([each for watch in self._watches for each in watch.holdings.transfers])

    def _all_models(self) -> tuple[Model, ...]:
        """Every model, made anew only where a node or the registry tells something else."""
        registered = _NONE if self._database is None else self._database.registered
        holdings = (*(watch.holdings for watch in self._watches), registered)
        if len(holdings) == len(self._holdings) and all(map(_is, holdings, self._holdings)):
            return self._models
        self._holdings = holdings
        found: dict[str, list[Copy]] = {name: [] for name in registered}
        sources: dict[str, str] = {}
        types: dict[str, str] = {}
        for watch in self._watches:
            sources.update(watch.holdings.sources)
            types.update(watch.holdings.types)
            for copy in watch.holdings.copies:
                found.setdefault(copy.model, []).append(copy)
        known = {model.name: model for model in self._models}
        made = []
        for name, copies in sorted(found.items()):
            model = _model(name, copies, registered.get(name), sources.get(name), types.get(name))
            old = known.get(name)
            made.append(old if old is not None and old == model else model)
        self._models = tuple(made)
        return self._models


def _model(
    name: str,
    copies: list[Copy],
    registered: RegisteredModel | None,
    source: str | None,
    kind: str | None,
) -> Model:
    if registered is not None:
        source, kind = registered.source or source, registered.type or kind
    sizes = [copy.size_bytes for copy in copies if copy.size_bytes is not None]
    size = max(sizes, default=None)
    return Model(name, source, kind, size, tuple(copies), registered is not None)


def _is(one: object, other: object) -> bool:
    return one is other


def _same(before: _T, after: _T) -> _T:
    return before if before == after else after
