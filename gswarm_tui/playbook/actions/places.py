"""The spellings of where: ``devices``, ``device``, ``source_device`` and ``target_device``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gswarm_tui.devices import WEB, Device, is_place
from gswarm_tui.errors import DeviceError
from gswarm_tui.models.engines import one_engine
from gswarm_tui.playbook.actions.base import ParseDevice, SpellingError
from gswarm_tui.playbook.language.expressions import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A device, and where in the action it is written."""

    device: Device
    path: Path


def read_places(
    written: Mapping[str, str | Sequence[str] | None], parse: ParseDevice
) -> list[Place]:
    """The places that one or more spellings of the same thing name.

    Args:
        written: key to text or texts; None where the key is not there.

    Raises:
        SpellingError: two keys name different places, one is no device, or it is there twice.
    """
    found: dict[str, list[Place]] = {}
    for key, value in written.items():
        if isinstance(value, str):
            found[key] = [Place(read_device(value, (key,), parse), (key,))]
        elif value:
            found[key] = [
                Place(read_device(text, (key, index), parse), (key, index))
                for index, text in enumerate(value)
            ]
    if not found:
        return []
    first, *others = found
    for key in others:
        if [place.device for place in found[key]] != [place.device for place in found[first]]:
            message = f"`{first}` and `{key}` name different places; one of them is enough"
            raise SpellingError((key,), message)
    _refuse_twice(found[first])
    return found[first]


def read_route(
    devices: Sequence[str] | None,
    source_device: str | None,
    target_device: str | None,
    parse: ParseDevice,
) -> tuple[Place, list[Place]]:
    """Source and targets, from ``devices: [source, target, …]`` or from the two keys.

    Raises:
        SpellingError: they contradict each other, or a part is missing.
    """
    if devices:
        places = read_places({"devices": devices}, parse)
        source, targets = places[0], places[1:]
        # Where it is meant as the targets alone, as other actions have it.
        hint = None
        if source_device and source_device not in devices:
            hint = f"write `devices: [{', '.join((source_device, *devices))}]` alone"
        if not targets:
            message = (
                f"`devices` names no target: it is [source, target, …], here only {source.device}"
            )
            raise SpellingError(("devices",), message, hint=hint)
        _check_same(source_device, [source], "source_device", parse, hint)
        _check_same(target_device, targets, "target_device", parse, hint)
    elif source_device and target_device:
        source = Place(read_device(source_device, ("source_device",), parse), ("source_device",))
        target = Place(read_device(target_device, ("target_device",), parse), ("target_device",))
        if source.device == target.device:
            message = f"source and target are both {target.device}"
            raise SpellingError(("target_device",), message)
        targets = [target]
    else:
        message, path = "it does not say from where to where", Path()
        if source_device or target_device:
            there, missing = ("source", "target") if source_device else ("target", "source")
            path = (f"{there}_device",)
            message = f"there is a `{there}_device`, and no `{missing}_device`"
        hint = "write `devices: [source, target]`, or `source_device` and `target_device`"
        raise SpellingError(path, message, hint=hint)
    for place in (source, *targets):
        if place.device.tier == WEB:
            hint = "`action_type: download` fetches a model from the web"
            raise SpellingError(
                place.path, "a model is not copied or moved from the web", hint=hint
            )
    require_one_engine(targets)
    return source, targets


def read_device(text: str, path: Path, parse: ParseDevice) -> Device:
    """Read one device.

    Raises:
        SpellingError: it is none, or the inventory does not have it.
    """
    try:
        return parse(text)
    except DeviceError as error:
        # In a playbook there is no --node that could name the node of a bare `disk`.
        hint = None if is_place(text) else error.hint
        where = f" ({error.where})" if error.where else ""
        raise SpellingError(path, error.message + where, hint=hint) from None


def require_tiers(places: Sequence[Place], tiers: Sequence[str], message: str) -> None:
    """Raises SpellingError at the first place of another tier; ``{device}`` stands for it."""
    for place in places:
        if place.device.tier not in tiers:
            raise SpellingError(place.path, message.format(device=place.device))


def require_one_engine(places: Sequence[Place]) -> None:
    """Raises SpellingError where the GPUs among the places are not of one node."""
    gpus = [place for place in places if not place.device.is_store]
    try:
        if gpus:
            one_engine([place.device for place in gpus])
    except DeviceError as error:
        raise SpellingError(gpus[-1].path, error.message, hint=error.hint) from None


def _check_same(
    text: str | None, places: list[Place], key: str, parse: ParseDevice, hint: str | None
) -> None:
    if text is not None and [read_device(text, (key,), parse)] != [p.device for p in places]:
        message = f"`devices` and `{key}` name different places; one of them is enough"
        raise SpellingError((key,), message, hint=hint)


def _refuse_twice(places: list[Place]) -> None:
    seen: set[Device] = set()
    for place in places:
        if place.device in seen:
            raise SpellingError(place.path, f"{place.device} is there twice")
        seen.add(place.device)
