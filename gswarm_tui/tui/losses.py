"""What is lost when copies of a model go or services end, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gswarm_tui import wording
from gswarm_tui.devices import DISK
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Model, NodeState, Service

WHOLE = "ready"


def of_removal(
    snapshot: FleetSnapshot, places: Mapping[str, Sequence[str]], after: Iterable[str] = ()
) -> tuple[str, ...]:
    """What is lost when models go from places; the worst comes first.

    Args:
        places: by the models' names.
        after: the places that have a copy then.
    """
    models = {model.name: model for model in snapshot.models}
    ends = [line for name, gone in places.items() for line in _services(snapshot, name, gone)]
    last = [
        line
        for name, gone in places.items()
        for line in _last(snapshot, models.get(name), name, gone, after)
    ]
    gone = [line for name, found in places.items() for line in _gone(models.get(name), name, found)]
    sizes = [
        copy.done_bytes or copy.size_bytes or 0
        for name, found in places.items()
        for copy in _copies(models.get(name))
        if copy.device in found and not _is_gpu(copy.device)
    ]
    total = sum(sizes)
    in_all = [f"in all {wording.size(total)}"] if len(gone) > 1 and total else []
    return (*last, *ends, *gone, *in_all)


def of_service(service: Service) -> str:
    """What its end means."""
    busy = f", with {service.running} requests under way" if service.running else ""
    return f"the service of {service.model} at {service.url or service.node} ends{busy}"


def needs(service: Service, model: str, device: str) -> bool:
    """Whether a service needs the copy of a model there."""
    return service.model == model and device in service.devices


def tier_of(device: str) -> str:
    """``disk``, ``dram``, ``gpu0``."""
    return device.rpartition(":")[2]


def _gone(model: Model | None, name: str, places: Sequence[str]) -> Iterator[str]:
    for place in places:
        copies = [copy for copy in _copies(model) if copy.device == place]
        if _is_gpu(place):
            yield f"the engine of {name} on {place} ends"
            continue
        size = sum(copy.done_bytes or copy.size_bytes or 0 for copy in copies)
        revisions = f", {len(copies)} revisions" if len(copies) > 1 else ""
        amount = f" ({wording.size(size)}{revisions})" if size else ""
        yield f"{name} on {place} is removed{amount}"


def _services(snapshot: FleetSnapshot, name: str, places: Sequence[str]) -> Iterator[str]:
    for service in snapshot.services:
        if any(needs(service, name, place) for place in places):
            yield of_service(service)


def _last(
    snapshot: FleetSnapshot,
    model: Model | None,
    name: str,
    places: Sequence[str],
    after: Iterable[str],
) -> Iterator[str]:
    """Whether no disk, or nothing at all, has the model whole then."""
    held = {copy.device for copy in _copies(model) if copy.state == WHOLE}
    if not any(place in held and not _is_gpu(place) for place in places):
        return
    left = (held | set(after)) - set(places)
    if any(tier_of(place) == DISK for place in left):
        return
    again = "there is no source to get it from again"
    if model is not None and model.source:
        again = f"it would have to come from {model.source} again"
    if left:
        only = f"only {', '.join(sorted(left))} has it then, until that ends"
        yield f"LAST COPY ON A DISK: {only}; {again}"
    else:
        yield f"LAST COPY ANYWHERE: nothing whole is left of {name}; {again}"
    silent = [node.name for node in snapshot.nodes if node.state is NodeState.UNREACHABLE]
    if silent:
        yield f"whether {wording.few(silent, 3)} has one is not known: no answer"


def _copies(model: Model | None) -> Sequence[Copy]:
    return () if model is None else model.copies


def _is_gpu(device: str) -> bool:
    return tier_of(device).startswith("gpu")
