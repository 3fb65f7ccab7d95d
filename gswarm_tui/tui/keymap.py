"""Keys of the user's own: what an action is called, and which key it gets.

An action is called as the help screen has it, in lower case and with dashes: `Go to` is ``go-to``.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping

from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode

from gswarm_tui.config import TuiConfig
from gswarm_tui.errors import UsageError
from gswarm_tui.nearest import did_you_mean

_APART = re.compile(r"[^a-z0-9]+")


def name_of(binding: Binding) -> str:
    """What an action is called in the settings; nothing where it cannot be given another key."""
    return _APART.sub("-", binding.description.casefold()).strip("-")


def check(wanted: TuiConfig, classes: Iterable[type[DOMNode]]) -> None:
    """Whether there is each action that is given a key.

    Raises:
        UsageError: there is none of that name; all such names, each with its place.
    """
    known = sorted({name_of(binding) for binding in _bindings(classes)} - {""})
    wrong = [name for name in wanted.keys if name not in known]
    if not wrong:
        return
    said = [
        (
            wanted.key_places.get(name, "tui.keys"),
            f"tui.keys: there is no action `{name}`{did_you_mean(name, known)}",
        )
        for name in wrong
    ]
    (where, first), *others = said
    raise UsageError(
        "\n".join([first, *(f"{place}: {message}" for place, message in others)]),
        where=where,
        hint=f"the actions are {', '.join(known)}",
    )


def apply(keys: Mapping[str, str], node: DOMNode) -> None:
    """Give the actions of a screen or a widget the keys that the user wants."""
    if not keys:
        return
    wanted = {name: keys[name].split(",") for name in keys}
    taken = {key.strip() for mine in wanted.values() for key in mine}
    made: dict[str, list[Binding]] = {}
    for key, bindings in node._bindings.key_to_bindings.items():
        for binding in bindings:
            if name_of(binding) not in wanted and not (key in taken and binding.description):
                made.setdefault(key, []).append(binding)
    for name in dict.fromkeys(map(name_of, _of(node._bindings))):
        for key in wanted.get(name, ()):
            first = next(each for each in _of(node._bindings) if name_of(each) == name)
            mine = dataclasses.replace(first, key=key.strip(), key_display=None)
            made.setdefault(key.strip(), []).append(mine)
    node._bindings = BindingsMap.from_keys(made)


def _of(bindings: BindingsMap) -> list[Binding]:
    return [each for some in bindings.key_to_bindings.values() for each in some]


def _bindings(classes: Iterable[type[DOMNode]]) -> Iterator[Binding]:
    for each in classes:
        if each._merged_bindings is not None:
            yield from _of(each._merged_bindings)
