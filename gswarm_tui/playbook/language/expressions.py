"""``${action_id.field}``, ``${vars.name}`` and their like in the strings of a playbook.

``${env.NAME}`` is a variable of the environment, ``${nodes.PATTERN}`` the names of nodes,
``${each.value}`` the item of a ``for_each``, ``${secrets.name}`` a secret.
A string that is one expression and nothing else becomes the value itself, with its type; elsewhere
the value is put into the text. ``$${`` is a ``${`` that stays. That is all: nothing else is
evaluated, and what comes out of an expression is never read again for expressions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

VARS: Final = "vars"
ENV: Final = "env"
NODES: Final = "nodes"
EACH: Final = "each"
SECRETS: Final = "secrets"
OWNERS: Final = (VARS, ENV, NODES, EACH, SECRETS)
"""The owners that are not actions, and therefore no action's ids."""

FORMS: Final = (
    "${action_id.field}, ${vars.name}, ${env.NAME}, ${nodes.PATTERN}, ${each.value} or "
    "${secrets.name}"
)

Path: TypeAlias = tuple[str | int, ...]

LONGEST_TEXT: Final = 2**20
"""Characters of a text with its values: variables of variables double with each line."""

_TOKEN = re.compile(r"\$\$\{|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_INSIDE = re.compile(r"\s*(?P<owner>[A-Za-z0-9_][A-Za-z0-9_-]*)\.(?P<field>[A-Za-z0-9_-]+)\s*")
# A pattern of node names has its own grammar: see `gswarm_tui.inventory.patterns`.
_NODES = re.compile(r"\s*(?P<owner>nodes)\.(?P<field>[^{}\s](?:[^{}]*[^{}\s])?)\s*")
# One of those that a `for_each` makes.
_MADE = re.compile(r"\s*([A-Za-z0-9_-]+)\[[^\]]*\]\.([A-Za-z0-9_-]+)\s*")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_DEEPER = re.compile(rf"{_WORD.pattern}\.{_WORD.pattern}[.\[]")


@dataclass(frozen=True, slots=True)
class Reference:
    """One expression: ``owner`` is an action's id, or one of `OWNERS`."""

    owner: str
    field: str

    @property
    def is_output(self) -> bool:
        """Whether it is what an action returns."""
        return self.owner not in OWNERS

    def __str__(self) -> str:
        return f"${{{self.owner}.{self.field}}}"


class ExpressionError(Exception):
    """A text whose ``${`` cannot be understood, or whose value does not fit into it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def parse(text: str) -> list[str | Reference]:
    """Split a text into plain parts and references.

    Raises:
        ExpressionError: there is a ``${`` that is no expression.
    """
    parts: list[str | Reference] = []
    end = 0
    for match in _TOKEN.finditer(text):
        parts.append(text[end : match.start()])
        parts.append("${" if match["inside"] is None else _reference(match))
        end = match.end()
    parts.append(text[end:])
    return [part for part in parts if part != ""]


def _reference(match: re.Match[str]) -> Reference:
    inside = _INSIDE.fullmatch(match["inside"]) or _NODES.fullmatch(match["inside"])
    if not match["end"]:
        raise ExpressionError("`${` is not closed with `}`", hint="a `${` that is text is `$${`")
    if inside is None and (made := _MADE.fullmatch(match["inside"])):
        raise ExpressionError(
            f"`{match[0]}` is not an expression",
            hint=f"${{{made[1]}.{made[2]}}} is the list of what all its `for_each` makes return",
        )
    if inside is None:
        raise ExpressionError(f"`{match[0]}` is not an expression", hint=_meant(match["inside"]))
    return Reference(inside["owner"], inside["field"])


def _meant(inside: str) -> str:
    """What to write instead of what stands in the braces."""
    text = inside.strip().strip("{}").strip()
    if text != inside.strip() and _INSIDE.fullmatch(text):
        return f"write ${{{text}}}"
    if text in (EACH, "item"):
        return f"write ${{{EACH}.value}}, or ${{{EACH}.name}} for a key of the item"
    if text in (f"{NODES}.", NODES):
        return f"write ${{{NODES}.all}} for all nodes, or a pattern of names"
    if _WORD.fullmatch(text):
        return (
            f"write ${{{VARS}.{text}}} for a variable, ${{{ENV}.{text}}} for one of the "
            f"environment, ${{{text}.field}} for what an action returned"
        )
    if _DEEPER.match(text):
        return "a value is only taken as a whole: its parts have no expression"
    return f"write {FORMS}; nothing is computed, and a `${{` that is text is `$${{`"


def expressions(text: str) -> list[Reference]:
    """The references in a text, without what is between them.

    Raises:
        ExpressionError: as for `parse`.
    """
    return [part for part in parse(text) if isinstance(part, Reference)]


def texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every string within a value that has a ``${``, with its path."""
    if isinstance(value, str):
        if "${" in value:
            yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, (*path, index))


Lookup: TypeAlias = Callable[[Reference, bool], Any]
"""Gives the value of a reference; the second argument says whether it is the whole string."""


def substitute(value: Any, lookup: Lookup) -> Any:
    """A copy of a value in which every expression is replaced by what ``lookup`` gives for it.

    Raises:
        ExpressionError: a text cannot be parsed, or a value cannot be part of a text.
    """
    if isinstance(value, str):
        return _substitute_text(value, lookup) if "${" in value else value
    if isinstance(value, dict):
        return {key: substitute(item, lookup) for key, item in value.items()}
    if isinstance(value, list):
        return [substitute(item, lookup) for item in value]
    return value


def _substitute_text(text: str, lookup: Lookup) -> Any:
    parts = parse(text)
    if len(parts) == 1 and isinstance(parts[0], Reference):
        return lookup(parts[0], True)
    whole, length = [], 0
    for part in parts:
        piece = as_text(part, lookup(part, False)) if isinstance(part, Reference) else part
        whole.append(piece)
        length += len(piece)
        if length > LONGEST_TEXT:
            message = f"the text is longer than {LONGEST_TEXT} characters with its values"
            raise ExpressionError(message)
    return "".join(whole)


def as_text(reference: Reference, value: Any) -> str:
    """What a value is within a longer text.

    Raises:
        ExpressionError: it is a list, a mapping, or nothing.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    kind = {type(None): "nothing", list: "a list", dict: "a mapping"}.get(type(value), "no text")
    raise ExpressionError(f"{reference} is {kind}, which cannot be part of a text")
