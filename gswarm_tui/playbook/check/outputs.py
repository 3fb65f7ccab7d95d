"""What a plan refers to and only its run brings: fields that actions return, with their types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

from gswarm_tui.playbook.actions import TYPES
from gswarm_tui.playbook.language.expressions import Reference, expressions
from gswarm_tui.playbook.plan import Plan, PlannedAction

_WORDS: Final = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    list: "list",
    dict: "mapping",
}


@dataclass(frozen=True, slots=True)
class Output:
    """``${serve.url}`` is a text, and known after ``serve``."""

    expression: str
    type: str
    after: str


def late_outputs(plan: Plan) -> Iterator[Output]:
    """Each expression whose value is not known before the run, once."""
    owners = {planned.action_id: planned for planned in plan.actions}
    seen: set[Reference] = set()
    for planned in plan.actions:
        for reference in late_references(planned):
            if reference in seen:
                continue
            seen.add(reference)
            owner = owners.get(reference.owner)
            if owner is None:  # the actions of a `for_each` together
                yield Output(str(reference), "list", reference.owner)
            elif reference.field not in owner.action.known():
                kind = TYPES[owner.action_type].fields()[reference.field]
                yield Output(str(reference), type_in_words(kind), reference.owner)


def late_references(planned: PlannedAction) -> Iterator[Reference]:
    """What an action refers to, in its fields and its condition, whose value is not all known."""
    written = list(planned.action.late.values())
    if planned.runs is None and planned.options.when is not None:
        written.append(planned.options.when)
    for text in written:
        for reference in expressions(text):
            if reference.is_output:
                yield reference


def type_in_words(annotation: Any) -> str:
    """``text``, ``list of text``, ``text or nothing``."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        words = [type_in_words(branch) for branch in inner if branch is not NoneType]
        return " or ".join([*words, "nothing"] if NoneType in inner else words)
    if origin is list and inner:
        return f"list of {type_in_words(inner[0])}"
    return _WORDS.get(origin or annotation, "value")
