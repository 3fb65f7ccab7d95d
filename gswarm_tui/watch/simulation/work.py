"""What is under way at a simulated site: jobs that come and go, and the transfers that they do.

There is a fixed number of slots; each begins a job a period. So what is there at any time is
computed from that time alone.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from gswarm_tui.state.states import State
from gswarm_tui.watch.attention import needs_a_look
from gswarm_tui.watch.details import JobDetails
from gswarm_tui.watch.happenings import Happenings
from gswarm_tui.watch.simulation import tasks
from gswarm_tui.watch.simulation.site import CATALOGUE, CataloguedModel, Site
from gswarm_tui.watch.slowdowns import Slowdowns
from gswarm_tui.watch.snapshot import Copy, Event, FleetSnapshot, Job, Node, Transfer

KEPT_S: Final = 3600.0
"""For so long a job that has ended is shown, and an event."""
_MOST_TRANSFERRING: Final = 0.62
"""Of a job's time, at most."""
_VERIFYING: Final = 0.96
"""From here on a transfer only checks what it has."""
_HELD_UP: Final = 0.12
"""For so much of its time an evaluation waits for its GPU."""
_MOST_SLOTS: Final = 12
_USERS: Final = ("ana", "eve", "kim", "cron")
_EVALUATIONS: Final = ("nightly-eval", "long-context-check", "weekly-benchmark", "smoke-test")


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place for one job at a time; it begins one each `period_s`."""

    number: int
    period_s: float
    offset_s: float
    transfers: bool

    def begins(self, cycle: int) -> float:
        return self.offset_s + cycle * self.period_s

    def cycle(self, time: float) -> int:
        return int((time - self.offset_s) // self.period_s)


@dataclass(frozen=True, slots=True)
class _Task:
    """One job of a slot, and what it moves."""

    id: int
    name: str
    user: str
    begins: float
    ends: float
    fails: bool
    steps: tuple[str, ...]
    model: CataloguedModel | None
    source: str
    target: str
    moved_at: float
    limit: str

    @property
    def device(self) -> str:
        return f"{self.target}:disk"


@final
class Work:
    """The jobs, transfers and events of a site."""

    def __init__(self, site: Site, seed: int, began: float) -> None:
        self._site, self._seed = site, seed
        self._up = [n.template.name for n in site.nodes if n.down_at is None]
        count = min(_MOST_SLOTS, max(2, len(site.nodes) // 4)) if self._up else 0
        rng = random.Random(f"{seed} slots")  # noqa: S311 - no secret
        self._slots = [
            _Slot(
                number,
                period_s := rng.uniform(200.0, 700.0),
                began - 4 * KEPT_S - rng.uniform(0.0, period_s),
                transfers=number % 4 != 3,
            )
            for number in range(count)
        ]
        self._known: dict[tuple[int, int], _Task] = {}
        self._ended: dict[int, Job] = {}
        self._faults = tuple(_fault_events(site))

    # What is asked for

    def jobs(self, time: float) -> tuple[Job, ...]:
        """The newest first."""
        found = [self._job(task, time) for task in self._since(time)]
        return tuple(sorted(found, key=lambda job: -job.id))

    def transfers(self, time: float) -> tuple[Transfer, ...]:
        return tuple(
            _transfer(task, task.model, time)
            for task in self._since(time)
            if task.model is not None and time < task.moved_at
        )

    def copies(self, time: float) -> list[Copy]:
        """What the jobs of this cycle bring, or have brought."""
        found = []
        for task in self._since(time, 0.0):
            if task.model is not None:
                found.append(_brought(task, task.model, time))
        return found

    def events(self, time: float) -> tuple[Event, ...]:
        """The newest last."""
        found = [event for event in self._faults if time - KEPT_S < event.time <= time]
        for task in self._since(time):
            found += [event for event in _events(task) if event.time <= time]
        found += [event for event in _restarts(self._site, time) if event.time <= time]
        return tuple(sorted(found, key=lambda event: event.time))

    def details(self, job_id: int, time: float) -> JobDetails | None:
        """The tasks of a job."""
        task = next((task for task in self._since(time) if task.id == job_id), None)
        if task is None:
            return None
        states = self._states(task, time)
        moving = [each for each in self.transfers(time) if each.job == job_id]
        waits = self._job(task, time).waiting
        moved_at = None if task.model is None else task.moved_at
        span = tasks.Span(task.begins, moved_at, min(time, task.ends))
        error = _why(task) if task.fails else None
        return tasks.details(job_id, task.name, states, span, moving, waits, error)

    # How

    def _since(self, time: float, kept_s: float = KEPT_S) -> Iterator[_Task]:
        """The jobs that have begun and have not ended `kept_s` ago."""
        for slot in self._slots:
            for cycle in range(slot.cycle(time - kept_s), slot.cycle(time) + 1):
                yield self._task(slot, cycle)

    def _task(self, slot: _Slot, cycle: int) -> _Task:
        key = (slot.number, cycle)
        task = self._known.get(key)
        if task is None:
            if len(self._known) > 40 * len(self._slots):  # weeks of demo: forget the oldest
                for old in sorted(self._known, key=lambda k: k[1])[: len(self._known) // 2]:
                    del self._known[old]
                self._ended.clear()
            task = self._known[key] = self._begin(slot, cycle)
        return task

    def _begin(self, slot: _Slot, cycle: int) -> _Task:
        rng = random.Random(f"{self._seed} {slot.number} {cycle}")  # noqa: S311
        begins = slot.begins(cycle)
        ends = begins + 0.9 * slot.period_s
        others_begun = sum(other.cycle(begins) + 1 for other in self._slots if other is not slot)
        number = cycle + 1 + others_begun
        target = self._up[(slot.number * 7 + cycle) % len(self._up)]
        model = _wanted(rng, self._site.disk.get(target, [])) if slot.transfers else None
        fails = rng.random() < 0.15
        if model is None:
            name = rng.choice(_EVALUATIONS)
            steps = (*(f"ask-{part}" for part in range(1, 13)), "report")
            source = ""
        else:
            others = [n for n, stored in self._site.disk.items() if model in stored]
            source = rng.choice(others) + ":disk" if others and rng.random() < 0.4 else ""
            source = source or model.source or "path:///data"
            name = f"roll-out-{model.name}"
            steps = ("fetch", "verify", "load", "serve", "try")
        takes_s = 0.0 if model is None else model.size_bytes / rng.uniform(150e6, 900e6)
        moved_at = begins + min(_MOST_TRANSFERRING * (ends - begins), takes_s)
        return _Task(
            *(number, name, rng.choice(_USERS), begins, ends, fails, steps, model),
            *(source, target, moved_at, _limit(source, target, rng)),
        )

    def _job(self, task: _Task, time: float) -> Job:
        if time >= task.ends:
            if task.id not in self._ended:
                self._ended[task.id] = _ended(task)
            return self._ended[task.id]
        states = self._states(task, time)
        counts = dict(Counter(states.values()))
        running = tuple([name for name, state in states.items() if state is State.RUNNING])
        waits = None if running else f"gpu0 of {task.target} is held by another job (lm_eval)"
        return _as_job(task, State.RUNNING, counts, running=running, waiting=waits)

    def _states(self, task: _Task, time: float) -> dict[str, State]:
        """The state of each step."""
        if time >= task.ends:
            return tasks.ended(task.steps, fails=task.fails)
        part = (time - task.begins) / (task.ends - task.begins)
        if task.model is None:
            begun = part >= _HELD_UP
            return tasks.under_way(task.steps, int(part * len(task.steps)), begun=begun)
        # The first step is the transfer.
        after = (time - task.moved_at) / (task.ends - task.moved_at)
        return tasks.under_way(task.steps, 0 if after < 0 else 1 + min(int(after * 4), 3))


def _limit(source: str, target: str, rng: random.Random) -> str:
    """As `gswarm_tui.watch.statuses` says it."""
    sent = "the source sends no faster" if "://" in source else "the way through the controller"
    return rng.choice((sent, sent, f"the disk of {target}"))


def _wanted(rng: random.Random, stored: list[CataloguedModel]) -> CataloguedModel | None:
    missing = [model for model in CATALOGUE if model not in stored and model.source]
    return rng.choice(missing) if missing else None


def _as_job(
    task: _Task,
    state: State,
    counts: dict[State, int],
    *,
    running: tuple[str, ...] = (),
    waiting: str | None = None,
    error: str | None = None,
) -> Job:
    return Job(
        id=task.id,
        name=task.name,
        state=state,
        created_at=task.begins,
        started_at=task.begins,
        finished_at=task.ends if state is not State.RUNNING else None,
        counts=tuple((state, count) for state, count in counts.items() if count),
        running=running,
        waiting=waiting,
        error=error,
        user=task.user,
    )


def _ended(task: _Task) -> Job:
    counts = dict(Counter(tasks.ended(task.steps, fails=task.fails).values()))
    if not task.fails:
        return _as_job(task, State.SUCCEEDED, counts)
    return _as_job(task, State.FAILED, counts, error=_why(task))


def _why(task: _Task) -> str:
    return f"{task.steps[-2]}: the engine on {task.target} ended while it was loading (exit 1)"


def _share(task: _Task, time: float) -> float:
    """How much of a transfer is done, from 0 to 1; the end of it is checking."""
    part = (time - task.begins) / (task.moved_at - task.begins) / _VERIFYING
    return min(1.0, max(0.0, part))


def _transfer(task: _Task, model: CataloguedModel, time: float) -> Transfer:
    share = _share(task, time)
    checking = share >= 1.0
    mean = model.size_bytes / (task.moved_at - task.begins) / _VERIFYING
    rate = mean * (0.9 + 0.2 * (int(time) * 31 % 17) / 17)
    return Transfer(
        model=model.name,
        source=task.source,
        target=task.device,
        phase="verifying" if checking else "downloading" if "://" in task.source else "copying",
        done_bytes=int(share * model.size_bytes),
        total_bytes=model.size_bytes,
        rate_bytes_per_s=None if checking else rate,
        started_at=task.begins,
        job=task.id,
        limit=None if checking else task.limit,
    )


def _brought(task: _Task, model: CataloguedModel, time: float) -> Copy:
    ready = time >= task.moved_at
    return Copy(
        model=model.name,
        revision=revision_of(model),
        device=task.device,
        state="ready" if ready else "in flight",
        size_bytes=model.size_bytes,
        done_bytes=None if ready else int(_share(task, time) * model.size_bytes),
        hash=hash_of(model) if ready else None,
        verified=True if ready else None,
    )


def revision_of(model: CataloguedModel) -> str:
    return f"{random.Random(model.name).getrandbits(160):040x}"  # noqa: S311


def hash_of(model: CataloguedModel) -> str:
    return f"sha256:{random.Random(model.name + ' files').getrandbits(256):064x}"  # noqa: S311


def _events(task: _Task) -> list[Event]:
    about = f"job {task.id}"
    found = [
        Event(task.begins, "info", about, f"{task.name} began, for {task.user}"),
        Event(task.ends, "error", about, f"{task.name} failed: {_why(task)}")
        if task.fails
        else Event(task.ends, "info", about, f"{task.name} is done"),
    ]
    if task.model is not None:
        text = f"{task.model.name} is on {task.device}, every file verified"
        found.append(Event(task.moved_at, "info", task.model.name, text))
    return found


def _fault_events(site: Site) -> Iterator[Event]:
    """What is told of each fault, a second after it began."""
    for node in site.nodes:
        moments = {gpu.fault_at for gpu in node.gpus if gpu.fault is not None}
        moments |= {at for at in (node.down_at, node.silent_at) if at is not None}
        for moment in sorted(moments):
            before, after = (_seen(node.at(time), time) for time in (moment - 1, moment + 1))
            yield from Happenings().between(before, after)
            yield from Slowdowns().between(before, after)


def _seen(node: Node, time: float) -> FleetSnapshot:
    return FleetSnapshot(time, (node,), attention=needs_a_look((node,), time))


def _restarts(site: Site, time: float) -> Iterator[Event]:
    for replica in site.replicas:
        restarts, name, node = replica.restarts, replica.model.name, replica.node
        begun = time if restarts is None else restarts.begun(time)
        while restarts is not None and begun > time - KEPT_S:
            yield Event(begun, "info", name, f"{name} is not served on {node} any more")
            yield Event(begun + restarts.loads_s, "info", name, f"{name} is served on {node}")
            begun -= restarts.period_s
