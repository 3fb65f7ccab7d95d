"""What else is wrong with an action that cannot be built: each of its keys by itself.

An action is built from all its keys at once, so that one that is wrong hides what is wrong with the
others. Here only what needs no other key is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from gswarm_tui import devices
from gswarm_tui.errors import DeviceError, PlaybookError
from gswarm_tui.playbook.actions import TYPES
from gswarm_tui.playbook.actions.base import SpellingError
from gswarm_tui.playbook.actions.command import node_named
from gswarm_tui.playbook.actions.places import read_device
from gswarm_tui.playbook.build import AS_WRITTEN, located
from gswarm_tui.playbook.language.expressions import Path, texts
from gswarm_tui.playbook.language.scope import Source
from gswarm_tui.playbook.language.site import Site
from gswarm_tui.yamlerrors import explain

_DEVICES: Final = ("devices", "device", "source_device", "target_device")
_NODE: Final = "node"


def look(source: Source, site: Site) -> Iterator[PlaybookError]:
    """The problems of an action of a known type, key by key."""
    shape = _shape(source)
    if shape is not None:
        yield shape
    for path, text in _places(source.raw):
        try:
            if path == (_NODE,):
                node_named(text, site.device)
            elif _is_device(text):
                read_device(text, path, site.device)
        except SpellingError as error:
            yield located(source, error.path, error.message, error.hint)


def _shape(source: Source) -> PlaybookError | None:
    """What the keys say that have no expression in them, and the keys that nobody knows."""
    written = TYPES[source.raw["action_type"]].written
    plain = {
        key: value
        for key, value in source.raw.items()
        if key in AS_WRITTEN or key not in written.model_fields or not any(texts(value))
    }
    try:
        written.model_validate(plain)
    except ValidationError as error:
        # Of the action as a whole nothing is said: it is not all there.
        kept = [
            details
            for details in error.errors(include_url=False)
            if details["loc"] and (details["loc"][0] in plain or _is_missing(details, source.raw))
        ]
        if kept:
            lines = [{k: d[k] for k in ("type", "loc", "input", "ctx") if k in d} for d in kept]
            part = replace(source.document.part(source.path), data=plain)
            again = ValidationError.from_exception_data(
                error.title, cast(list[InitErrorDetails], lines)
            )
            return explain(again, part, PlaybookError, model=written)
    return None


def _is_missing(details: Mapping[str, Any], raw: Mapping[str, Any]) -> bool:
    return details["type"] == "missing" and details["loc"][0] not in raw


def _places(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """What names devices and nodes, without expressions."""
    for key in (*_DEVICES, _NODE):
        value = raw.get(key)
        listed = enumerate(value) if isinstance(value, list) and key != _NODE else ()
        for path, text in [((key,), value), *(((key, index), item) for index, item in listed)]:
            if isinstance(text, str) and "${" not in text:
                yield path, text


def _is_device(text: str) -> bool:
    """Whether it has the form of one: what has not may mean something else where it stands."""
    try:
        return devices.parse(text).node is not None
    except DeviceError:
        return False
