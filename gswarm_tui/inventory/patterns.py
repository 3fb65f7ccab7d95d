"""How several nodes are named at once.

====================  ==========================================================================
``node1``             the node of that name, the nodes of that group, or the node of that host
``gpu-*``, ``n?``     every node whose name fits
``node[01-16,20]``    ``node01`` to ``node16``, and ``node20``
``label=rack1``       nodes with the label ``rack1``, or with a label of that value
``label:rack=r*``     nodes whose label ``rack`` has a value that fits; ``label:rack``: that have it
``all``               every node
``!PATTERN``          not those, whatever else is said
====================  ==========================================================================

Several are separated by commas or spaces. With exclusions only, the rest is meant.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gswarm_tui.errors import DeviceError
from gswarm_tui.nearest import did_you_mean
from gswarm_tui.wording import few

ALL = "all"
MAX_EXPANSION = 10_000
_SHOWN = 12

_RANGE = re.compile(r"\[([^\[\]]*)\]")
_SPAN = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", re.ASCII)
_SEPARATOR = re.compile(r"[,\s]+(?![^\[]*\])")


@dataclass(frozen=True, slots=True)
class Candidates:
    """What patterns choose from.

    Args:
        names: every node, in the order in which a selection is given.
        groups: the nodes of each group.
        labels: each node's labels; a label without a value has "".
        hosts: each node's host.
    """

    names: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    labels: Mapping[str, Mapping[str, str]]
    hosts: Mapping[str, str]


def expand(text: str) -> list[str]:
    """The names of ``r[1-2]n[01-16,20]``, in order; the text itself where it has no range.

    Numbers keep the width of the range's start: ``[08-10]`` is 08, 09, 10.

    Raises:
        ValueError: a range is malformed, runs backwards, or makes more than `MAX_EXPANSION` names.
    """
    parts = _RANGE.split(text)
    if any("[" in part or "]" in part for part in parts[::2]):
        raise ValueError(f"a bracket is left open in `{text}`")
    choices = [
        [part] if index % 2 == 0 else _numbers(part, text) for index, part in enumerate(parts)
    ]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MAX_EXPANSION:
        raise ValueError(f"`{text}` makes more than {MAX_EXPANSION} names")
    return ["".join(combination) for combination in itertools.product(*choices)]


def _numbers(inside: str, text: str) -> list[str]:
    numbers: list[str] = []
    for span in inside.split(","):
        match = _SPAN.fullmatch(span.strip())
        if match is None:
            raise ValueError(f"`[{inside}]` in `{text}` is no range; write it as [1-4,7]")
        first, last = match[1], match[2] or match[1]
        if int(last) < int(first):
            raise ValueError(f"the range `{span.strip()}` in `{text}` runs backwards")
        if int(last) - int(first) >= MAX_EXPANSION:
            raise ValueError(f"`{text}` makes more than {MAX_EXPANSION} names")
        numbers += [str(n).zfill(len(first)) for n in range(int(first), int(last) + 1)]
    return numbers


def split(text: str) -> list[str]:
    """The patterns in a text, which are separated by commas or spaces outside of brackets."""
    return [pattern for pattern in _SEPARATOR.split(text.strip()) if pattern]


def select(patterns: str | Sequence[str] | None, candidates: Candidates) -> list[str]:
    """The nodes that patterns mean, each once, in the order of the candidates.

    Args:
        patterns: one text or several, each of which may hold several patterns; None or no texts
            mean all, an empty text is an error.

    Raises:
        DeviceError: a pattern means no node, or none is left.
    """
    texts = [patterns] if isinstance(patterns, str) else patterns or []
    if not all(split(text) for text in texts):
        raise DeviceError("an empty pattern names no node", hint=f"`{ALL}` names every node")
    wanted: set[str] = set()
    excluded: set[str] = set()
    only_exclusions = True
    for pattern in itertools.chain.from_iterable(split(text) for text in texts):
        if pattern.startswith("!"):
            excluded.update(_meant(pattern[1:], candidates))
        else:
            wanted.update(_meant(pattern, candidates))
            only_exclusions = False
    chosen = candidates.names if only_exclusions else wanted
    selected = [name for name in candidates.names if name in chosen and name not in excluded]
    if not selected and candidates.names:
        raise DeviceError(f"`{' '.join(texts)}` leaves no node")
    return selected


def _meant(pattern: str, candidates: Candidates) -> Iterable[str]:
    if pattern == ALL:
        return candidates.names
    if pattern.startswith(("label=", "label:")):
        return _labelled(pattern, candidates)
    try:
        names = expand(pattern)
    except ValueError as error:
        raise DeviceError(str(error), hint="see `Node patterns` in docs/inventory.md") from None
    return [node for name in names for node in _named(name, pattern, candidates)]


def _named(name: str, pattern: str, candidates: Candidates) -> list[str]:
    if name in candidates.names:
        return [name]
    if name in candidates.groups:
        return list(candidates.groups[name])
    if "*" in name or "?" in name:
        found = [node for node in candidates.names if fnmatchcase(node, name)]
    else:
        found = [node for node in candidates.names if candidates.hosts[node] == name]
    if not found:
        raise _unknown(name, pattern, candidates)
    return found


def _unknown(name: str, pattern: str, candidates: Candidates) -> DeviceError:
    within = "" if name == pattern else f" (from `{pattern}`)"
    known = [*candidates.names, *candidates.groups]
    suggestion = did_you_mean(name, known)
    hint = None if suggestion else f"the inventory has: {few(known, _SHOWN)}"
    return DeviceError(f"no node or group is called `{name}`{within}{suggestion}", hint=hint)


def _labelled(pattern: str, candidates: Candidates) -> list[str]:
    wanted = pattern[len("label") :]
    found = [node for node in candidates.names if _has_label(candidates.labels[node], wanted)]
    if not found:
        known = sorted(
            {p for labels in candidates.labels.values() for p in _label_patterns(labels)}
        )
        suggestion = did_you_mean(pattern, known)
        hint = None if suggestion else f"there are: {few(known, _SHOWN)}" if known else None
        raise DeviceError(f"no node has `{pattern}`{suggestion}", hint=hint)
    return found


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """Whether ``=NAME_OR_VALUE``, ``:KEY`` or ``:KEY=VALUE`` is among the labels."""
    key, equals, value = wanted[1:].partition("=")
    if wanted.startswith("="):
        plain = [name for name, text in labels.items() if not text]
        return any(fnmatchcase(text, wanted[1:]) for text in (*plain, *labels.values()) if text)
    if not equals:
        return key in labels
    return key in labels and fnmatchcase(labels[key], value)


def _label_patterns(labels: Mapping[str, str]) -> Iterator[str]:
    for key, value in labels.items():
        yield f"label={value or key}"
        if value:
            yield f"label:{key}={value}"
