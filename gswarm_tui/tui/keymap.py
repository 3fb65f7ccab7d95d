"""Keys of the user's own: what an action is called, and which key it gets.

An action is called as the help screen has it, in lower case and with dashes: `Go to` is ``go-to``.
"""

from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode
from textual.keys import Keys, _character_to_key, key_to_character

from gswarm_tui.config import Mistakes, TuiConfig
from gswarm_tui.nearest import did_you_mean, in_nearness

_APART = re.compile(r"[^a-z0-9]+")

_NAMED: Final = (
    *("enter", "escape", "tab", "space", "backspace", "delete", "insert"),
    *("up", "down", "left", "right", "home", "end", "pageup", "pagedown"),
    *(f"f{number}" for number in range(1, 25)),
)
_SIGNS: Final = tuple(map(_character_to_key, string.punctuation))
_MODIFIERS: Final = ("alt", "ctrl", "hyper", "meta", "shift", "super")
_WITH_MODIFIERS: Final = frozenset(key.value for key in Keys if "+" in key.value)
"""As Textual calls what terminals send; some are not called by the rules of the others."""

_AS_SENT: Final[Mapping[str, tuple[str, ...]]] = {
    "esc": ("escape",),
    "return": ("enter",),
    "pgup": ("pageup",),
    "pgdn": ("pagedown",),
    "ctrl+i": ("tab",),
    "ctrl+m": ("enter",),
    "ctrl+space": ("ctrl+space", "ctrl+@"),
}
"""Other words for a key, and keys of which terminals do not agree what they send."""

_SHOWN: Final = 8
"""So many names are said where one is none."""

Places = Mapping[str, Sequence[type[DOMNode]]]
"""By the name of a screen: what has keys on it, the screen and the application among them."""


def name_of(binding: Binding) -> str:
    """What an action is called in the settings; nothing where it cannot be given another key."""
    return _APART.sub("-", binding.description.casefold()).strip("-")


def read_key(text: str) -> tuple[str, ...]:
    """What Textual calls a key: ``?`` is ``question_mark``; two where terminals do not agree.

    Raises:
        ValueError: there is no such key.
    """
    text = text.strip()
    text = text if len(text) == 1 else text.casefold()
    if text in _AS_SENT:
        return _AS_SENT[text]
    if text in _WITH_MODIFIERS:
        return (text,)
    *modifiers, key = text.split("+") if len(text) > 1 else [text]
    key = _character_to_key(key) if len(key) == 1 and key.isprintable() else key
    is_known = key in _NAMED or key in _SIGNS or len(key) == 1 or len(text) == 1
    if not (key and is_known and set(modifiers) <= set(_MODIFIERS)):
        raise ValueError(f"there is no key `{text}`")
    if modifiers == ["shift"] and len(key) == 1:
        return (key.upper(),)
    return ("+".join([*sorted(set(modifiers)), key]),)


def mistakes(wanted: TuiConfig, places: Places) -> tuple[Mistakes, str | None]:
    """Whether there is each action that is given a key, and whether it can have that key.

    An action or a key may be none, or the key that of another action on the same screen; with a
    hint for the first that nothing known is like.
    """
    known = sorted({name for some in places.values() for name in _keys_of(some)} - {""})
    unknown = [name for name in wanted.keys if name not in known]
    said = [(name, f"there is no action `{name}`{did_you_mean(name, known)}") for name in unknown]
    strange = next((name for name in unknown if not did_you_mean(name, known)), None)
    hint = None
    if strange is not None:
        near = ", ".join(in_nearness(strange, known)[:_SHOWN])
        hint = f"an action is called as the help screen (?) has it: {near} …"
    given: dict[str, list[str]] = {}
    for name, text in wanted.keys.items():
        for word in text.split(","):
            try:
                given.setdefault(name, []).extend(read_key(word))
            except ValueError as error:
                said.append((name, f"`{name}`: {error}{did_you_mean(word, _written(word))}"))
                near = ", ".join(in_nearness(word, _written(word))[:_SHOWN])
                hint = hint or (
                    f"a key is one character, or a word such as {near}; "
                    "ctrl+, alt+ or shift+ can stand before it"
                )
    said += _clashes(given, places)
    order = list(wanted.keys)
    said.sort(key=lambda each: order.index(each[0]))
    at = [(wanted.key_places.get(name, "tui.keys"), f"tui.keys: {why}") for name, why in said]
    return at, hint


def _written(word: str) -> list[str]:
    """The words for keys, with the same before them as a word that is none of them."""
    before, plus, _ = word.strip().rpartition("+")
    modifiers = before.casefold().split("+") if before else []
    has_known = bool(plus) and set(modifiers) <= set(_MODIFIERS)
    names = (*_NAMED, *_SIGNS)
    return [f"{before}+{name}" for name in names] if has_known else [*names, *_AS_SENT]


def _clashes(given: Mapping[str, Sequence[str]], places: Places) -> Iterator[tuple[str, str]]:
    """The actions that get a key of another one, with a sentence; each two of them once.

    A key that an action has by default on one screen is no clash on another: see `apply`.
    """
    told: set[frozenset[str]] = set()
    own: dict[str, set[str]] = {}
    for classes in places.values():
        for name, some in _keys_of(classes).items():
            own.setdefault(name, set()).update(some)
    for screen, classes in places.items():
        by_default = _keys_of(classes)
        keys = {name: given.get(name, default) for name, default in by_default.items() if name}
        for name in (each for each in given if each in keys):
            for key in keys[name]:
                # Two that have a key together by default are never in force at once.
                others = (
                    each
                    for each in keys
                    if key in keys[each] and not set(by_default[name]) & set(by_default[each])
                )
                for other in others if key not in own[name] else ():
                    if frozenset((name, other)) not in told:
                        told.add(frozenset((name, other)))
                        yield name, f"`{name}`: `{_shown(key)}` is the key of `{other}` on {screen}"


def _keys_of(classes: Iterable[type[DOMNode]]) -> dict[str, list[str]]:
    """The keys of each action, by its name."""
    found: dict[str, list[str]] = {}
    for each in classes:
        merged = each._merged_bindings
        for binding in _of(merged) if merged is not None else ():
            found.setdefault(name_of(binding), []).append(binding.key)
    return found


def _shown(key: str) -> str:
    """A key as one writes it: ``?``, ``tab``."""
    character = key_to_character(key)
    return character if character and character in string.punctuation else key


def apply(keys: Mapping[str, str], node: DOMNode, classes: Sequence[type[DOMNode]]) -> None:
    """Give the actions of a screen or a widget the keys that the user wants.

    A key that another action on the screen has stays that one's: ``l`` goes in, but is the log
    where there is one, also where somebody writes that it goes in.

    Args:
        classes: what has keys on the screen, as in `Places`.
    """
    if not keys:
        return
    given = {
        name: [key for word in text.split(",") for key in read_key(word)]
        for name, text in keys.items()
    }
    by_default = _keys_of(classes)
    has = {name: given.get(name, default) for name, default in by_default.items()}
    wanted: dict[str, list[str]] = {}
    for name, some in given.items():
        own = set(by_default.get(name, ()))
        # Two that have a key together by default are never in force at once.
        others = {key for each in has if own.isdisjoint(by_default[each]) for key in has[each]}
        wanted[name] = [key for key in some if key in own or key not in others]
    made: dict[str, list[Binding]] = {}
    for key, bindings in node._bindings.key_to_bindings.items():
        for binding in bindings:
            if name_of(binding) not in wanted:
                made.setdefault(key, []).append(binding)
    for name in dict.fromkeys(map(name_of, _of(node._bindings))):
        for key in wanted.get(name, ()):
            first = next(each for each in _of(node._bindings) if name_of(each) == name)
            mine = dataclasses.replace(first, key=key, key_display=None)
            made.setdefault(key, []).append(mine)
    node._bindings = BindingsMap.from_keys(made)


def _of(bindings: BindingsMap) -> list[Binding]:
    return [each for some in bindings.key_to_bindings.values() for each in some]
