"""The deeds on models: what they are called, what they do, and what will be lost.

They have the words of the command line: a title begins with the verb of ``gswarm model VERB``.
Names come from nodes, and go into a playbook: only what can be a model's name or a device does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gswarm_remote.errors import HelperError
from gswarm_remote.models.checks import check_name

from gswarm_tui import devices
from gswarm_tui.errors import SourceNameError, UsageError
from gswarm_tui.models.ground import NOT_AS_PUBLISHED
from gswarm_tui.tui import losses
from gswarm_tui.tui.acting import Deed
from gswarm_tui.tui.losses import WHOLE as WHOLE
from gswarm_tui.tui.losses import tier_of as tier_of
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Model, Service
from gswarm_tui.wording import few

READABLE: Final = (WHOLE, *NOT_AS_PUBLISHED)
"""States of copies that can be compared with what was published."""

_NAMED: Final = 4
"""As many names are in a title; of more, how many."""

_Work = tuple[str, Sequence[str], Mapping[str, Any]]
"""A model, the words of its command after the name, and the fields of its action."""


def download(models: Sequence[str], targets: str, source: str = "") -> Deed:
    """Bring models from where they come from to disks or memory.

    Raises:
        UsageError: a name or a place is none; so for all of them.
    """
    places = read_devices(targets)
    given = ["--source", source] if source else []
    words = [*given, *_each("--device", places)]
    fields = {"devices": places, **({"source": source} if source else {})}
    title = f"download {_few(models)} to {_few(places)}"
    return _deed("download", title, [(model, words, fields) for model in models])


def copy(sources: Mapping[str, str], targets: str) -> Deed:
    """Copy models to more places.

    Args:
        sources: the place of each that it is copied from.
    """
    places = read_devices(targets)
    origins = {model: _origin(model, source) for model, source in sources.items()}
    return _deed(
        "copy",
        f"copy {_few(list(origins))} from {_few(origins.values())} to {_few(places)}",
        [
            (
                model,
                ["--from", origin, *_each("--to", places)],
                {"devices": [origin, *places]},
            )
            for model, origin in origins.items()
        ],
    )


def move(
    sources: Mapping[str, str],
    targets: str,
    *,
    keep: bool,
    snapshot: FleetSnapshot,
    engine: str = "",
) -> Deed:
    """Move models; onto a GPU, an engine loads one.

    Args:
        sources: the place of each that it is moved from.
        keep: whether the source keeps its copy.
    """
    places = read_devices(targets)
    origins = {model: _origin(model, source) for model, source in sources.items()}
    kept = "--keep-source" if keep else "--no-keep-source"
    chosen = {"engine": engine} if engine else {}
    words = [*_each("--to", places), kept, *(["--engine", engine] if engine else [])]
    lost = {} if keep else {model: [origin] for model, origin in origins.items()}
    return _deed(
        "move",
        f"move {_few(list(origins))} from {_few(origins.values())} to {_few(places)}",
        [
            (
                model,
                ["--from", origin, *words],
                {"devices": [origin, *places], "keep_source": keep, **chosen},
            )
            for model, origin in origins.items()
        ],
        losses.of_removal(snapshot, lost, after=places),
    )


def serve(places: Mapping[str, str], *, port: str = "", engine: str = "") -> Deed:
    """Publish models at a port each, loading them first if need be; one service on each node.

    Args:
        places: the devices for each.
    """
    words: list[str] = []
    fields: dict[str, Any] = {}
    if port:
        if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise UsageError(f"{port!r} is no port: 1 to 65535, or nothing for a free one")
        words, fields = ["--port", port], {"port": int(port)}
    if engine:
        words, fields = [*words, "--engine", engine], {**fields, "engine": engine}
    works: list[_Work] = []
    every: list[str] = []
    for model, text in places.items():
        by_node: dict[str, list[str]] = {}
        for place in read_devices(text):
            by_node.setdefault(node_of(place), []).append(place)
        for on in by_node.values():
            works.append((model, [*_each("--device", on), *words], {"devices": on, **fields}))
            every += on
    return _deed("serve", f"serve {_few(list(places))} on {_few(every)}", works)


def delete(copies: Sequence[Copy], snapshot: FleetSnapshot) -> Deed:
    """Remove copies of models; from a GPU, the engine ends."""
    found = _by_model(copies)
    return _deed(
        "delete",
        f"delete {_few(list(found))} from {_few(_all(found))}",
        [(model, _each("--device", on), {"devices": on}) for model, on in found.items()],
        losses.of_removal(snapshot, found),
    )


def verify(copies: Sequence[Copy]) -> Deed:
    """Read copies again, and compare them with what was published; those with files, that is.

    Raises:
        UsageError: none of them is whole.
    """
    found = _by_model(each for each in copies if each.state in READABLE and not _is_gpu(each))
    if not found:
        raise UsageError("there is no whole copy to verify on a disk or in memory")
    return _deed(
        "verify",
        f"verify {_few(list(found))} on {_few(_all(found))}",
        [(model, _each("--device", on), {"devices": on}) for model, on in found.items()],
    )


def stop(services: Sequence[Service]) -> Deed:
    """Drain and close services; what was moved to a GPU stays loaded."""
    works: list[_Work] = []
    for service in services:
        on = [_one(device) for device in service.devices]
        works.append((service.model, _each("--device", on), {"devices": on}))
    names = list(dict.fromkeys(each.model for each in services))
    where = dict.fromkeys(device for each in services for device in each.devices)
    return _deed(
        "stop",
        f"stop {_few(names)} on {_few(list(where))}",
        works,
        tuple(losses.of_service(service) for service in services),
        action_type="stop_serve",
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


def whole(model: Model) -> list[Copy]:
    """The copies of which others can be made."""
    return [each for each in model.copies if each.state == WHOLE and not _is_gpu(each)]


def _deed(
    verb: str,
    title: str,
    works: Sequence[_Work],
    lost: tuple[str, ...] = (),
    *,
    action_type: str = "",
) -> Deed:
    kind = action_type or verb
    return Deed(
        title=title,
        commands=tuple(("model", verb, _name(model), *words) for model, words, _ in works),
        actions=tuple(
            {
                "action_id": f"{verb}_{number}",
                "action_type": kind,
                "model_name": _name(model),
                **fields,
            }
            for number, (model, _, fields) in enumerate(works, start=1)
        ),
        about=", ".join(dict.fromkeys(model for model, _, _ in works)),
        losses=lost,
    )


def _by_model(copies: Iterable[Copy]) -> dict[str, list[str]]:
    """The devices of each model's copies, each device once."""
    found: dict[str, dict[str, None]] = {}
    for each in copies:
        found.setdefault(each.model, {})[_one(each.device)] = None
    return {model: list(places) for model, places in found.items()}


def _all(places: Mapping[str, Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(place for found in places.values() for place in found))


def _is_gpu(copy: Copy) -> bool:
    return tier_of(copy.device).startswith("gpu")


def _origin(model: str, source: str) -> str:
    if not source:
        raise UsageError(f"no node has a whole copy of {model}", hint="download it first")
    return _one(source)


def _one(text: str) -> str:
    return str(devices.parse(text.strip()))


def _name(model: str) -> str:
    try:
        checked: str = check_name(model)
    except HelperError as error:
        raise SourceNameError(error.message, hint=error.hint) from None
    return checked


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _few(values: Iterable[str]) -> str:
    """Names for a title: the first few of them, and how many more there are."""
    return few(list(dict.fromkeys(values)), _NAMED)
