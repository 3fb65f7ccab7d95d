"""From an action as written to its normal form, with what is known of the actions before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import ValidationError

from gswarm_tui.errors import PlaybookError
from gswarm_tui.playbook.actions import TYPES, Action
from gswarm_tui.playbook.actions.base import ParseDevice, SpellingError
from gswarm_tui.playbook.expressions import (
    VARS,
    ExpressionError,
    Lookup,
    Path,
    Reference,
    substitute,
    texts,
)
from gswarm_tui.yamlerrors import explain
from gswarm_tui.yamlfile import Document, Mark

_EXAMPLES: Mapping[Any, Any] = {int: 1, float: 1.0, bool: False, list: []}
"""What stands for a value that is not there yet, by type. For text it is the expression itself."""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """An action that another one refers to, as far as it is known.

    Args:
        known: the fields that are certain before it runs.
        result: what it returned; None before it ran.
    """

    action_type: str
    known: Mapping[str, Any]
    result: Any = None


@dataclass(frozen=True, slots=True)
class Source:
    """An action as written: its part of the document.

    Args:
        raw: the mapping.
        path: where it is in ``document``.
    """

    raw: Mapping[str, Any]
    path: Path
    document: Document


def build(
    source: Source,
    variables: Mapping[str, Any],
    ancestors: Mapping[str, Ancestor],
    parse: ParseDevice,
) -> Action:
    """Replace the expressions, check the shape, and make the normal form.

    Args:
        ancestors: every action that ``source`` refers to.

    Raises:
        PlaybookError: with each thing that is wrong and its place.
    """
    written = TYPES[source.raw["action_type"]].written
    values, late = _values(source, variables, ancestors)
    for name in sorted(written.decides & late.keys()):
        raise _located(source, (name,), *_too_late(name, late[name], ancestors))
    try:
        return written.model_validate(values).action(parse, late)
    except ValidationError as error:
        explained = explain(error, _part(source, values), PlaybookError, model=written)
        explained.hint = _origin(source, error)
        raise explained from None
    except SpellingError as error:
        raise _located(source, error.path, error.message, error.hint) from None


def _values(
    source: Source, variables: Mapping[str, Any], ancestors: Mapping[str, Ancestor]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields with their expressions replaced, and those that still wait for a value."""
    values: dict[str, Any] = {}
    late: dict[str, str] = {}
    for name, value in source.raw.items():
        waiting: list[Reference] = []
        try:
            values[name] = substitute(value, _lookup(variables, ancestors, waiting))
        except ExpressionError as error:
            raise _located(source, (name,), error.message, error.hint) from None
        if waiting:
            late[name] = value if isinstance(value, str) else str(waiting[0])
    return values, late


def _lookup(
    variables: Mapping[str, Any], ancestors: Mapping[str, Ancestor], waiting: list[Reference]
) -> Lookup:
    def lookup(reference: Reference, whole: bool) -> Any:
        if reference.owner == VARS:
            return variables[reference.field]
        ancestor = ancestors[reference.owner]
        # What the plan was checked with is also what runs.
        if reference.field in ancestor.known:
            return ancestor.known[reference.field]
        if ancestor.result is not None:
            return getattr(ancestor.result, reference.field)
        waiting.append(reference)
        example = _example(TYPES[ancestor.action_type].fields()[reference.field])
        return str(reference) if example is None or not whole else example

    return lookup


def _example(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (branch for branch in get_args(annotation) if branch is not NoneType)
    return _EXAMPLES.get(get_origin(annotation) or annotation)


def _too_late(name: str, text: str, ancestors: Mapping[str, Ancestor]) -> tuple[str, str | None]:
    message = f"`{name}` must be known before anything runs, and {text} is not"
    known = sorted({f"{owner}.{field}" for owner, a in ancestors.items() for field in a.known})
    return message, f"known before the run: {', '.join(known)}" if known else None


def _origin(source: Source, error: ValidationError) -> str | None:
    """The expressions that the values in question came from."""
    fields = dict.fromkeys(problem["loc"][0] for problem in error.errors() if problem["loc"])
    found = [text for name in fields for _, text in texts(source.raw.get(str(name)))]
    return f"the value is that of {', '.join(found)}" if found else None


def _located(source: Source, path: Path, message: str, hint: str | None) -> PlaybookError:
    where = source.document.position((*source.path, *path))
    return PlaybookError(message, where=where, hint=hint)


def _part(source: Source, values: Mapping[str, Any]) -> Document:
    """The action as a document of its own, with its values in place of the expressions."""
    depth, document = len(source.path), source.document

    def below(marks: Mapping[Path, Mark]) -> dict[Path, Mark]:
        return {path[depth:]: mark for path, mark in marks.items() if path[:depth] == source.path}

    marks = below(document.values)
    part = Document(dict(source.raw), document.name, marks, below(document.keys))
    _mark_replaced(part, values, (), marks)
    return replace(part, data=values)


def _mark_replaced(part: Document, value: Any, path: Path, marks: dict[Path, Mark]) -> None:
    """Give what an expression brought in the place of that expression."""
    written = part.resolve(path)
    if written != path or part.value(written) != value:
        marks[path] = replace(marks[written], plain=None)
    if isinstance(value, dict):
        for key, item in value.items():
            _mark_replaced(part, item, (*path, key), marks)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _mark_replaced(part, item, (*path, index), marks)
