"""What happened between two pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import final

from gswarm_tui import wording
from gswarm_tui.state.states import State
from gswarm_tui.watch import xids
from gswarm_tui.watch.snapshot import (
    Concern,
    Event,
    FleetSnapshot,
    Gpu,
    GpuState,
    Job,
    Model,
    Node,
    NodeState,
    Service,
)

_GPUS = {
    GpuState.LOST: "the driver has lost it",
    GpuState.MISSING: "the inventory expects it, and the node has none of that number",
}
_ENDED = {
    State.SUCCEEDED: ("info", "is done"),
    State.FAILED: ("error", "failed"),
    State.CANCELLED: ("warning", "was cancelled"),
    State.LOST: ("error", "is lost: the process that ran it has ended"),
}


_Said = tuple[str, str, str]


@final
class Happenings:
    """The events that make one picture of the next; what was there at first is no event.

    What a node told last of its GPUs and services is remembered while it, or its driver, does not
    answer: what it tells again afterwards is no news.
    """

    def __init__(self) -> None:
        self._gpus: dict[str, tuple[Gpu, ...]] = {}
        self._served: dict[tuple[str, str], Service] = {}

    def between(self, before: FleetSnapshot, after: FleetSnapshot) -> list[Event]:
        """What happened between two pictures."""
        time = after.time
        return [
            Event(time, level, about, text)
            for level, about, text in (
                *self._of_nodes(before, after),
                *_of_idle_gpus(before, after),
                *_of_jobs(before, after),
                *_of_models(before, after),
                *self._of_services(before, after),
            )
        ]

    def _of_nodes(self, before: FleetSnapshot, after: FleetSnapshot) -> Iterator[_Said]:
        if before.nodes is after.nodes:
            return
        for old, new in zip(before.nodes, after.nodes, strict=False):
            if old is not new and old.name == new.name:
                yield from _of_node(old, new)
                yield from self._of_gpus(old, new)
                if _left(old, new):
                    self._remember(old.name, before.services)

    def _remember(self, node: str, services: Iterable[Service]) -> None:
        """Keep the services of a node that does not answer any more."""
        others = {place: each for place, each in self._served.items() if place[0] != node}
        mine = {(node, each.service): each for each in services if each.node == node}
        self._served = others | mine

    def _of_gpus(self, old: Node, new: Node) -> Iterator[_Said]:
        if old.gpus is new.gpus or old.sampled_at is None:
            return
        if _tells(old):
            self._gpus[old.name] = old.gpus
        if _tells(new):
            known = {gpu.index: gpu for gpu in self._gpus.get(new.name, ())}
            for gpu in new.gpus:
                yield from _of_gpu(known.get(gpu.index), gpu)

    def _of_services(self, before: FleetSnapshot, after: FleetSnapshot) -> Iterator[_Said]:
        if before.services is after.services:
            return
        known = {(each.node, each.service): each for each in before.services}
        up = {node.name for node in before.nodes if node.sampled_at is not None}
        for each in after.services:
            place = (each.node, each.service)
            old = known.pop(place, None) or self._served.pop(place, None)
            if old is None and each.node in up and each.state == "ready":
                yield "info", each.model, f"{each.model} is served on {each.node}"
            elif old is not None and old.state != each.state:
                yield _turned(each)
        stayed = {
            new.name
            for old_node, new in zip(before.nodes, after.nodes, strict=False)
            if new.state is NodeState.UP and not _left(old_node, new)
        }
        for gone in known.values():
            if gone.node in stayed:
                yield "info", gone.model, f"{gone.model} is not served on {gone.node} any more"


def _left(old: Node, new: Node) -> bool:
    """Whether a node that answered does not now, or did not for a while between two pictures."""
    return old.state is NodeState.UP and (new.state is not NodeState.UP or new.since != old.since)


def _tells(node: Node) -> bool:
    """Whether it says how its GPUs are: all of them are silent where their driver is."""
    return bool(node.gpus) and node.gpus[0].state is not GpuState.SILENT


def _of_node(old: Node, new: Node) -> Iterator[_Said]:
    """What it is like at first contact, and what its first metrics tell, was so before."""
    was_seen = old.sampled_at is not None
    if new.state is not old.state and old.state is not NodeState.CONNECTING:
        if new.state is NodeState.UP:
            yield "info", new.name, "answers again" if was_seen else "answers"
        elif new.state is NodeState.UNREACHABLE:
            yield "error", new.name, f"does not answer: {new.error or 'no reason is known'}"
    if new.silent_s > 0 and old.silent_s <= 0 and was_seen:
        yield "error", new.name, "the GPU driver does not answer"
    elif old.silent_s > 0 and new.silent_s <= 0 and new.state is NodeState.UP:
        yield "info", new.name, "the GPU driver answers again"


def _of_gpu(old: Gpu | None, new: Gpu) -> Iterator[_Said]:
    if old is new:
        return
    if new.state in _GPUS and (old is None or old.state is not new.state):
        yield "error", new.node, f"gpu{new.index}: {_GPUS[new.state]}"
    if old is not None and old.state in _GPUS and new.state is GpuState.OK:
        yield "info", new.node, f"gpu{new.index}: is there again"
    if new.xid and old is not None:
        for error in new.xid:
            if error not in old.xid:
                yield "error", new.node, f"gpu{new.index}: {xids.say(error[0])}"
    errors = new.ecc_uncorrected or 0
    if old is not None and old.ecc_uncorrected is not None and errors > old.ecc_uncorrected:
        more = wording.number_of(errors - old.ecc_uncorrected, "memory error")
        yield "error", new.node, f"gpu{new.index}: {more} that cannot be corrected"


def _of_idle_gpus(before: FleetSnapshot, after: FleetSnapshot) -> Iterator[_Said]:
    """Those that have been held for too long now; of one that was not seen before it is no news."""
    if before.attention is after.attention:
        return
    known = {(each.node, each.gpu) for each in before.attention if each.concern is Concern.IDLE}
    for each in after.attention:
        if each.concern is not Concern.IDLE or (each.node, each.gpu) in known:
            continue
        node = before.node(each.node)
        if node is not None and any(gpu.index == each.gpu for gpu in _idle(node)):
            yield "warning", each.node, f"gpu{each.gpu}: {each.text}"


def _idle(node: Node) -> Iterator[Gpu]:
    return (gpu for gpu in node.gpus if gpu.idle_since is not None)


def _of_jobs(before: FleetSnapshot, after: FleetSnapshot) -> Iterator[_Said]:
    if before.jobs is after.jobs or not before.time:
        return
    known = {job.id: job for job in before.jobs}
    newest = max(known, default=0)
    for job in reversed(after.jobs):
        old = known.get(job.id)
        if job is not old and (old is not None or job.id > newest):
            yield from _of_job(old, job)


def _of_job(old: Job | None, job: Job) -> Iterator[_Said]:
    about = f"job {job.id}"
    begun = job.started_at is not None
    if begun and (old is None or old.state is State.PENDING):
        yield "info", about, f"{job.name} began" + (f", for {job.user}" if job.user else "")
    if job.state in _ENDED and (old is None or old.state is not job.state):
        level, word = _ENDED[job.state]
        why = f": {job.error}" if job.state is State.FAILED and job.error else ""
        yield level, about, f"{job.name} {word}{why}"


def _of_models(before: FleetSnapshot, after: FleetSnapshot) -> Iterator[_Said]:
    if before.models is after.models:
        return
    known = {model.name: model for model in before.models}
    for model in after.models:
        old = known.get(model.name)
        if old is not None and old is not model:
            yield from _of_model(old, model)


def _of_model(old: Model, new: Model) -> Iterator[_Said]:
    """A copy that was on its way is whole, or a whole one was found damaged. What nodes tell that
    answer now was there before."""
    coming = {copy.device for copy in old.copies if copy.state != "ready"}
    whole = {(copy.device, copy.revision) for copy in old.copies if copy.state == "ready"}
    for copy in new.copies:
        if copy.state == "ready" and copy.device in coming:
            yield "info", new.name, f"{new.name} is on {copy.device}"
        elif copy.state == "damaged" and (copy.device, copy.revision) in whole:
            yield "error", new.name, f"{new.name} on {copy.device} is damaged"


def _turned(service: Service) -> _Said:
    level = "info" if service.state in ("ready", "starting", "draining") else "error"
    why = f": {service.error}" if service.error else ""
    return level, service.model, f"{service.model} on {service.node} is {service.state}{why}"
