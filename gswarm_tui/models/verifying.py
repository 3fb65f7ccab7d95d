"""Read copies again, compare them with their manifests, and say how what is damaged is repaired."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models.checks import check_name

from gswarm_tui.devices import DISK, DRAM, Device, parse
from gswarm_tui.errors import GswarmError, RemoteError
from gswarm_tui.models import views
from gswarm_tui.models.ground import (
    NOT_AS_PUBLISHED,
    Ground,
    NodeStatus,
    Together,
    Wire,
    all_of,
    model_name,
    raise_first,
)
from gswarm_tui.models.results import CopyView, ModelView, Verification, VerifyResult
from gswarm_tui.progress import ProgressCallback
from gswarm_tui.wording import clean

WHOLE: Final = ("ready", *NOT_AS_PUBLISHED)
"""States of copies that have a manifest to be compared with."""

_NAMED: Final = 3
_LONG_HASH: Final = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


@dataclass(frozen=True, slots=True)
class _Place:
    device: Device
    revision: str
    size: int


async def verify(
    ground: Ground, name: str, devices: Sequence[Device] | None, *, progress: ProgressCallback
) -> VerifyResult:
    """See `gswarm_tui.models.Models.verify`."""
    began = time.monotonic()
    model_name(name)
    places = await (_everywhere(ground, name) if devices is None else _on(ground, name, devices))
    together = Together(progress)
    checked = await all_of(
        _verify(ground, name, place, together.part(index, str(place.device)))
        for index, place in enumerate(places)
    )
    return VerifyResult(
        model=name,
        devices=list(dict.fromkeys(one.device for one in checked)),
        ok=all(one.ok for one in checked),
        damaged=list(dict.fromkeys(one.device for one in checked if not one.ok)),
        size=sum(place.size for place in places),
        copies=checked,
        seconds=time.monotonic() - began,
    )


def repair(result: VerifyResult, model: ModelView) -> dict[str, list[list[str]]]:
    """The command lines, as words, that repair each device with a damaged copy.

    A node knows which files were found bad: what is brought again replaces these, and only these.
    Other models that share them need it as well.
    """
    found: dict[str, list[list[str]]] = {}
    for device in result.damaged:
        bad = [copy for copy in result.copies if copy.device == device and not copy.ok]
        sharing = [text.partition(" ")[0] for copy in bad for text in copy.shared_with]
        others = [
            name for name in dict.fromkeys(sharing) if name != result.model and _is_name(name)
        ]
        found[device] = [
            _bring(result, model, device, bad[0].revision),
            *(["model", "download", name, "--device", device] for name in others),
        ]
    return found


async def failure(ground: Ground, result: VerifyResult) -> GswarmError:
    """That copies are damaged, with the files and how to go on, as an error."""
    said = "; ".join(_damage(result.model, copy) for copy in result.copies if not copy.ok)
    try:
        steps = repair(result, await views.view(ground, result.model))
    except GswarmError:
        steps = {}
    hints = [_together(commands) for commands in steps.values()]
    more = f" (and likewise {', '.join(result.damaged[1:])})" if len(hints) > 1 else ""
    hint = f"to repair {result.damaged[0]}{more}: {hints[0]}" if hints else None
    return RemoteError(said, kind=Kind.MISMATCH, hint=hint)


def _is_name(text: str) -> bool:
    """Whether it can be a model's: what a node says is to be typed into a shell."""
    try:
        check_name(text)
    except HelperError:
        return False
    return True


def _together(commands: Sequence[Sequence[str]]) -> str:
    return " && ".join(shlex.join(["gswarm", *words]) for words in commands)


def _bring(result: VerifyResult, model: ModelView, device: str, revision: str) -> list[str]:
    """How a whole copy comes back: from one that was found right, from its source, from another."""
    read = [c.device for c in result.copies if c.ok and c.revision == revision]
    right = [device for device in read if _gives(device, model, revision)]
    source = clean(model.source) if model.source else None
    unread = [c.device for c in model.copies if _could_be_copied(c, model, revision, result)]
    if right or (unread and source is None):
        return ["model", "copy", result.model, "--from", (right + unread)[0], "--to", device]
    given = [] if model.registered and source else ["--source", source or "SOURCE"]
    return ["model", "download", result.model, *given, "--device", device]


def _could_be_copied(copy: CopyView, model: ModelView, revision: str, result: VerifyResult) -> bool:
    """Whether it is whole as far as is known; copying it would tell."""
    is_whole = copy.state == "ready" and copy.device not in result.damaged
    return is_whole and _gives(copy.device, model, revision)


def _gives(device: str, model: ModelView, revision: str) -> bool:
    """Whether a copy from there is of this revision: which one of several is not for us to say."""
    there = {
        copy.revision for copy in model.copies if (copy.device, copy.state) == (device, "ready")
    }
    return there == {revision}


def _damage(model: str, copy: Verification) -> str:
    files = [f"{path} ({_shortened(why)})" for path, why in copy.bad.items()]
    if len(files) > _NAMED:
        files = [*files[:_NAMED], f"{len(files) - _NAMED} more"]
    return f"{model} on {copy.device} is damaged: {', '.join(files)}"


def _shortened(reason: str) -> str:
    return _LONG_HASH.sub(r"\1…", reason)


async def _everywhere(ground: Ground, name: str) -> list[_Place]:
    """Every copy of the fleet that has a manifest.

    Raises:
        GswarmError: there is none.
        NodeError: a node cannot be asked.
    """
    known, failed = await ground.statuses()
    raise_first(failed.values())
    places = [place for status in known.values() for place in _whole(status, name, (DISK, DRAM))]
    if not places:
        raise GswarmError(f"no node has a whole copy of {name}", hint="see: gswarm model list")
    return places


async def _on(ground: Ground, name: str, devices: Sequence[Device]) -> list[_Place]:
    """The copies on these devices, every revision.

    Raises:
        GswarmError: one of them has none.
        NodeError: a node cannot be asked.
    """
    wanted = ground.devices(devices, tiers=(DISK, DRAM), refusal="only files can be verified")
    known = await ground.statuses_or_raise(str(device.node) for device in wanted)
    found: list[_Place] = []
    for device in wanted:
        places = _whole(known[str(device.node)], name, (device.tier,))
        if not places:
            hint = f"where it is: gswarm model status {name}"
            message = f"{device} has no whole copy of {name}"
            raise RemoteError(message, kind=Kind.NOT_FOUND, hint=hint)
        found += places
    return found


def _whole(status: NodeStatus, name: str, tiers: Sequence[str]) -> list[_Place]:
    return [
        _Place(parse(tier, node=status.node), str(copy["revision"]), _size(copy))
        for tier in tiers
        for copy in status.copies_of(name, tier)
        if copy["state"] in WHOLE
    ]


def _size(copy: Wire) -> int:
    size = copy.get("size")
    return size if isinstance(size, int) else 0


async def _verify(
    ground: Ground, name: str, place: _Place, progress: ProgressCallback
) -> Verification:
    device = place.device
    params = {"name": name, "revision": place.revision, "tier": device.tier}
    answer = await ground.call(str(device.node), "model.verify", params, progress)
    return Verification(
        device=str(device),
        revision=place.revision,
        ok=bool(answer["ok"]),
        size=place.size,
        bad={str(item["path"]): str(item["reason"]) for item in answer.get("bad") or ()},
        shared_with=[str(other) for other in answer.get("shared_with") or ()],
    )
