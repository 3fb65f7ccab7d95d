"""The deeds on models: what they are called, what they do, and what will be lost.

Names come from nodes, and go into a playbook: only what can be a model's name or a device does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gswarm_remote.errors import HelperError
from gswarm_remote.models.checks import check_name

from gswarm_tui import devices, wording
from gswarm_tui.devices import DISK, Device
from gswarm_tui.errors import SourceNameError, UsageError
from gswarm_tui.tui.acting import Deed
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Model, Service

WHOLE = "ready"


def download(models: Sequence[str], targets: str, source: str = "") -> Deed:
    """Bring models from where they come from to disks or memory.

    Raises:
        UsageError: a name or a place is none; so for all of them.
    """
    places = read_devices(targets)
    given = ["--source", source] if source else []
    return Deed(
        title=f"download {_listed(models)} to {_listed(places)}",
        commands=_commands("download", models, [*given, *_each("--device", places)]),
        actions=_actions(
            *("download", models), devices=places, **({"source": source} if source else {})
        ),
        about=_listed(models),
    )


def replicate(sources: Mapping[str, str], targets: str) -> Deed:
    """Copy models to more places.

    Args:
        sources: the place of each that it is copied from.
    """
    places = read_devices(targets)
    commands: list[tuple[str, ...]] = []
    actions: list[dict[str, Any]] = []
    for number, (model, source) in enumerate(sources.items(), start=1):
        origin = _one(source)
        commands += _commands("copy", [model], ["--from", origin, *_each("--to", places)])
        (action,) = _actions("copy", [model], devices=[origin, *places])
        actions.append({**action, "action_id": f"copy_{number}"})
    origins = _listed(list(dict.fromkeys(sources.values())))
    return Deed(
        title=f"copy {_listed(list(sources))} from {origins} to {_listed(places)}",
        commands=tuple(commands),
        actions=tuple(actions),
        about=_listed(list(sources)),
    )


def move(
    model: str, source: str, targets: str, *, keep: bool, snapshot: FleetSnapshot, engine: str = ""
) -> Deed:
    """Move a model; onto a GPU, an engine loads it.

    Args:
        keep: whether the source keeps its copy.
    """
    origin, places = _one(source), read_devices(targets)
    kept = "--keep-source" if keep else "--no-keep-source"
    chosen = ["--engine", engine] if engine else []
    return Deed(
        title=f"move {model} from {origin} to {_listed(places)}",
        commands=_commands(
            "move", [model], ["--from", origin, *_each("--to", places), kept, *chosen]
        ),
        actions=_actions(
            *("move", [model]),
            devices=[origin, *places],
            keep_source=keep,
            **({"engine": engine} if engine else {}),
        ),
        about=model,
        losses=() if keep else tuple(_removed(snapshot, model, [origin], after=places)),
    )


def serve(model: str, places: str, *, port: str = "", engine: str = "") -> Deed:
    """Publish a model at a port, loading it first if need be."""
    on = read_devices(places)
    words = _each("--device", on)
    more: dict[str, Any] = {}
    if port:
        if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise UsageError(f"{port!r} is no port: 1 to 65535, or nothing for a free one")
        words, more = [*words, "--port", port], {"port": int(port)}
    if engine:
        words, more = [*words, "--engine", engine], {**more, "engine": engine}
    return Deed(
        title=f"serve {model} on {_listed(on)}",
        commands=_commands("serve", [model], words),
        actions=_actions("serve", [model], devices=on, **more),
        about=model,
    )


def delete(copies: Sequence[Copy], snapshot: FleetSnapshot) -> Deed:
    """Remove copies of models; from a GPU, the engine ends."""
    by_model: dict[str, list[str]] = {}
    for copy in copies:
        by_model.setdefault(copy.model, []).append(_one(copy.device))
    every = list(dict.fromkeys(place for places in by_model.values() for place in places))
    commands: list[tuple[str, ...]] = []
    actions: list[dict[str, Any]] = []
    losses: list[str] = []
    for number, (model, found) in enumerate(by_model.items(), start=1):
        places = list(dict.fromkeys(found))
        commands += _commands("delete", [model], _each("--device", places))
        (action,) = _actions("delete", [model], devices=places)
        actions.append({**action, "action_id": f"delete_{number}"})
        losses += _removed(snapshot, model, places)
    return Deed(
        title=f"delete {_listed(list(by_model))} from {_listed(every)}",
        commands=tuple(commands),
        actions=tuple(actions),
        about=_listed(list(by_model)),
        losses=tuple(losses),
    )


def stop(services: Sequence[Service]) -> Deed:
    """Drain and close services; what was moved to a GPU stays loaded."""
    commands: list[tuple[str, ...]] = []
    actions: list[dict[str, Any]] = []
    for number, service in enumerate(services, start=1):
        places = [_one(device) for device in service.devices]
        commands += _commands("stop", [service.model], _each("--device", places))
        (action,) = _actions("stop_serve", [service.model], devices=places)
        actions.append({**action, "action_id": f"stop_{number}"})
    where = _listed(list(dict.fromkeys(device for each in services for device in each.devices)))
    return Deed(
        title=f"stop {_listed(list(dict.fromkeys(each.model for each in services)))} on {where}",
        commands=tuple(commands),
        actions=tuple(actions),
        about=_listed(list(dict.fromkeys(each.model for each in services))),
        losses=tuple(_ends(service) for service in services),
    )


def verify(models: Sequence[str], places: Sequence[str] = ()) -> Deed:
    """Read copies again, and compare them with what they should be; all of them by default."""
    on = [_one(place) for place in places]
    return Deed(
        title=f"verify {_listed(models)}{' on ' + _listed(on) if on else ''}",
        commands=_commands("verify", models, _each("--device", on)),
        about=_listed(models),
        check=False,
    )


def read_devices(text: str) -> list[str]:
    """The devices in a text with commas or blanks between them.

    Raises:
        UsageError: there is none, or one is no device.
    """
    words = text.replace(",", " ").split()
    if not words:
        raise UsageError("it does not say where", hint="write node1:disk, or several with commas")
    return [_one(word) for word in dict.fromkeys(words)]


def node_of(device: str) -> str:
    """The node in a device's name."""
    return device.rpartition(":")[0]


def tier_of(device: str) -> str:
    """``disk``, ``dram``, ``gpu0``."""
    return device.rpartition(":")[2]


def whole(model: Model) -> list[Copy]:
    """The copies of which others can be made."""
    return [c for c in model.copies if c.state == WHOLE and not tier_of(c.device).startswith("gpu")]


def is_served_from(service: Service, model: str, device: str) -> bool:
    """Whether a service needs the copy of a model there."""
    return service.model == model and device in service.devices


def _removed(
    snapshot: FleetSnapshot, name: str, places: Sequence[str], after: Iterable[str] = ()
) -> Iterator[str]:
    """What is lost when copies go; `after` are the places that have one then."""
    model = next((model for model in snapshot.models if model.name == name), None)
    copies = () if model is None else model.copies
    for place in places:
        found = next((copy for copy in copies if copy.device == place), None)
        size = None if found is None else found.size_bytes
        amount = f" ({wording.size(size)})" if size else ""
        yield f"{name} on {place} is removed{amount}"
        for service in snapshot.services:
            if is_served_from(service, name, place):
                yield _ends(service)
    disks = {copy.device for copy in copies if copy.state == WHOLE and _is_disk(copy.device)}
    left = (disks | {place for place in after if _is_disk(place)}) - set(places)
    if disks & set(places) and not left:
        source = None if model is None else model.source
        again = f"; it would have to come from {source} again" if source else " and has no source"
        yield f"it is the last whole copy of {name} on a disk{again}"


def _ends(service: Service) -> str:
    busy = f", with {service.running} requests under way" if service.running else ""
    return f"the service of {service.model} at {service.url or service.node} ends{busy}"


def _is_disk(device: str) -> bool:
    return tier_of(device) == DISK


def _one(text: str) -> str:
    device: Device = devices.parse(text.strip())
    return str(device)


def _name(model: str) -> str:
    try:
        checked: str = check_name(model)
    except HelperError as error:
        raise SourceNameError(error.message, hint=error.hint) from None
    return checked


def _actions(kind: str, models: Sequence[str], **fields: Any) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"action_id": f"{kind}_{number}", "action_type": kind, "model_name": _name(model), **fields}
        for number, model in enumerate(models, start=1)
    )


def _commands(
    verb: str, models: Sequence[str], words: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    return tuple(("model", verb, _name(model), *words) for model in models)


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values)
