"""The filter of the fleet: ``util<5 mem>50% user=ana !node=gpu-0* llama``.

Words are separated by spaces, and all of them have to fit. A word is a field with a comparison, or
a text that is looked for in names, states, users, commands, models and labels. ``!`` before a word
turns it round. What a GPU does not tell fits no comparison. There may be spaces around the sign of
a comparison: ``temp > 60``.
"""

from __future__ import annotations

import operator
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from gswarm_tui import durations
from gswarm_tui.errors import UsageError
from gswarm_tui.nearest import did_you_mean
from gswarm_tui.sizes import parse_size
from gswarm_tui.watch.fields import FIELDS, NUMBERS, TEXTS, Row, label_values, texts_of
from gswarm_tui.watch.snapshot import Gpu, Node

Test = Callable[[Node, Gpu | None], bool]
_Value = Callable[[Node, Gpu | None], float | None]
_Texts = Callable[[Node, Gpu | None], Iterable[str | None]]

EXAMPLE: Final = "util<5 mem>50% user=ana temp>80 node=gpu-0*"

_OF_UUID: Final = 12
"""So many characters of a GPU's UUID, without ``GPU-``, make a word that is looked for in UUIDs;
shorter ones would be in some of them by chance, and ``gpu-0`` would find GPUs of other nodes."""

_COMPARED: Final = re.compile(
    r"(?P<turned>!*)(?P<field>[a-zA-Z_]+(?::[^<>=!]+)?)(?P<sign><=|>=|!=|<|>|=)(?P<value>.*)",
    re.DOTALL,
)
_BARE_FIELD: Final = re.compile(r"!*(?P<field>[a-zA-Z_]+)(:[^<>=!]+)?(?P<sign>[<>=!]*)")
"""A word that can be the left side of a comparison, with its sign or without."""

_SIGNS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was understood; an empty one lets everything through."""

    text: str
    tests: tuple[Test, ...] = ()

    def matches(self, node: Node, gpu: Gpu | None) -> bool:
        return all(test(node, gpu) for test in self.tests)

    def rows(self, nodes: Iterable[Node]) -> list[Row]:
        """The GPUs that fit, in the order of the nodes; a node without GPUs is a row too."""
        return [
            (node, gpu)
            for node in nodes
            for gpu in (node.gpus or (None,))
            if self.matches(node, gpu)
        ]


def parse(text: str) -> Filter:
    """Read a filter.

    Raises:
        UsageError: it is none; the message says which word is wrong, and what is possible.
    """
    return Filter(text, tuple([_test(word) for word in _words(text)]))


def plain(text: str) -> Callable[[Iterable[str | None]], bool]:
    """A filter of what has no fields: each word is in one of the texts, or with ``!`` in none."""
    wanted = [(word.lstrip("!").casefold(), word.startswith("!")) for word in text.split()]

    def matches(texts: Iterable[str | None]) -> bool:
        folded = [each.casefold() for each in texts if each]
        return all(any(word in each for each in folded) != turned for word, turned in wanted)

    return matches


def _words(text: str) -> list[str]:
    if "'" not in text and '"' not in text:
        return _joined(text.split())
    try:
        return _joined(shlex.split(text))
    except ValueError:
        raise UsageError("a quotation mark is left open in the filter") from None


def _joined(words: Iterable[str]) -> list[str]:
    """The words with each comparison as one of them, also one with spaces around its sign."""
    found: list[str] = []
    for word in words:
        if found and _belongs(found[-1], word):
            found[-1] += word
        else:
            found.append(word)
    return found


def _belongs(before: str, word: str) -> bool:
    """Whether a word goes on with the comparison that the one before it begins."""
    left = _BARE_FIELD.fullmatch(before)
    if left is None:
        return False
    if left["sign"]:
        return left["sign"] in _SIGNS
    is_known = left["field"].casefold() in FIELDS
    return word in _SIGNS or (is_known and word.startswith(tuple(_SIGNS)))


def _test(word: str) -> Test:
    match = _COMPARED.fullmatch(word)
    if match is not None:
        made = _comparison(match["field"].casefold(), match["sign"], match["value"])
        return _turned(made, len(match["turned"]))
    wanted = word.lstrip("!").casefold()
    if not wanted:
        raise UsageError("`!` needs a word after it", hint="such as !user=ana or !llama")
    return _turned(lambda node, gpu: _holds(wanted, node, gpu), len(word) - len(word.lstrip("!")))


def _turned(test: Test, times: int) -> Test:
    return (lambda node, gpu: not test(node, gpu)) if times % 2 else test


def _holds(wanted: str, node: Node, gpu: Gpu | None) -> bool:
    if any(wanted in text.casefold() for text in texts_of(node, gpu) if text):
        return True
    is_long = len(wanted.removeprefix("gpu-")) >= _OF_UUID
    return is_long and gpu is not None and wanted in (gpu.uuid or "").casefold()


def _comparison(field: str, sign: str, value: str) -> Test:
    name, _, key = field.partition(":")
    if not value:
        raise UsageError(f"`{field}{sign}` needs a value after it", hint=f"such as {EXAMPLE}")
    if name == "label" and key:
        return _of_text(lambda node, gpu: label_values(node, key), field, sign, value)
    if field in TEXTS:
        return _of_text(TEXTS[field], field, sign, value)
    if field not in NUMBERS:
        near = did_you_mean(field, FIELDS)
        known = ", ".join(sorted(FIELDS))
        raise UsageError(f"there is no field `{field}`{near}", hint=f"the fields are {known}")
    if field == "mem":
        return _of_memory(sign, value)
    return _of_number(NUMBERS[field].value, sign, _bound(field, value))


def _of_text(texts: _Texts, field: str, sign: str, value: str) -> Test:
    if sign not in ("=", "!="):
        raise UsageError(f"`{field}` is a text: compare it with = or !=, not with {sign}")
    patterns = [part.casefold() for part in value.split(",") if part]

    def found(node: Node, gpu: Gpu | None) -> bool:
        return any(
            fnmatchcase(text.casefold(), pattern)
            for text in texts(node, gpu)
            if text
            for pattern in patterns
        )

    return _turned(found, sign == "!=")


def _of_number(number: _Value, sign: str, bound: float) -> Test:
    compare = _SIGNS[sign]

    def found(node: Node, gpu: Gpu | None) -> bool:
        value = number(node, gpu)
        return value is not None and compare(value, bound)

    return found


def _of_memory(sign: str, value: str) -> Test:
    """``mem>50%`` and ``mem>50`` are a share of the GPU's memory, ``mem>40GB`` is an amount."""
    number = value.removesuffix("%")
    if value != number or _is_number(number):
        return _of_number(NUMBERS["mem"].value, sign, _bound("mem", number))
    try:
        amount = parse_size(value)
    except ValueError as error:
        raise UsageError(f"`mem{sign}{value}`: {error}", hint="or a share: mem>50%") from None
    return _of_number(
        lambda node, gpu: None if gpu is None else gpu.memory_used_bytes, sign, amount
    )


def _bound(field: str, value: str) -> float:
    kind = NUMBERS[field]
    try:
        if kind.is_time:
            return durations.parse(value)
        found = float(value.casefold().removesuffix(kind.unit.casefold()))
    except ValueError:
        expected = "a length of time such as 10m" if kind.is_time else "a number"
        raise UsageError(f"`{field}` is compared with {expected}, not with `{value}`") from None
    if found != found:
        raise UsageError(f"`{field}` is compared with a number, not with `{value}`")
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
