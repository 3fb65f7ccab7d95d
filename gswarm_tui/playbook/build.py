"""From an action as written to its normal form, with what is known of the actions before it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from gswarm_tui.errors import PlaybookError
from gswarm_tui.playbook.actions import TYPES, Action
from gswarm_tui.playbook.actions.base import SpellingError
from gswarm_tui.playbook.language.expressions import ExpressionError, Path, substitute, texts
from gswarm_tui.playbook.language.lookup import Ancestor, NoValueError, Values
from gswarm_tui.playbook.language.options import Options
from gswarm_tui.playbook.language.scope import Source
from gswarm_tui.playbook.language.secrets import Mask
from gswarm_tui.playbook.language.site import Site
from gswarm_tui.yamlerrors import explain
from gswarm_tui.yamlfile import Document
from gswarm_tui.yamlproblems import Mark


class MissingValueError(PlaybookError):
    """A value of the run is not there: the action that returns it has not succeeded."""


AS_WRITTEN = frozenset({"when", "for_each"})
"""Keys whose expressions are not replaced here: they say whether and how often an action is."""

_ONE_DEVICE = ("source_device", "target_device")


def build(
    name: str,
    source: Source,
    ancestors: Mapping[str, Ancestor],
    site: Site,
    *,
    running: bool = False,
) -> tuple[Action, Options]:
    """Replace the expressions, check the shape, and make the normal form.

    Args:
        name: its id in the whole playbook.
        ancestors: every action that ``source`` refers to, by its id in the whole playbook.
        running: every value must be there, and secrets are put in.

    Raises:
        PlaybookError: with each thing that is wrong and its place.
    """
    written = TYPES[source.raw["action_type"]].written
    values, late, hidden = _values(name, source, Values(source, ancestors, site, running=running))
    for key in sorted(written.decides & late.keys()):
        raise located(source, (key,), *_too_late(key, late[key], ancestors))
    try:
        valid = written.model_validate(values)
        action = valid.action(site.device, late)
    except ValidationError as error:
        explained = explain(error, _part(source, values), PlaybookError, model=written)
        explained.hint = _origin(source, error) or _misplaced(error)
        raise explained from None
    except SpellingError as error:
        raise located(source, error.path, error.message, error.hint) from None
    if hidden:
        action = replace(action, hidden=hidden)
    return action, valid.options(always=source.always)


def _values(
    name: str, source: Source, lookup: Values
) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """The fields with their expressions replaced; those that still wait for a value; and those
    with a secret in them. Each of these with the expression's text, or with ``***`` for what only
    looks like a secret.
    """
    values: dict[str, Any] = {}
    late: dict[str, str] = {}
    hidden: dict[str, str] = {}
    mask = Mask(source.scope.reader.hidden().values())
    for key, value in source.raw.items():
        if key in AS_WRITTEN:
            values[key] = value
            continue
        lookup.begin()
        try:
            values[key] = substitute(value, lookup)
        except ExpressionError as error:
            raise located_expression(source, (key,), error) from None
        if lookup.waiting:
            late[key] = value if isinstance(value, str) else str(lookup.waiting[0])
        if lookup.secret:
            hidden[key] = value if isinstance(value, str) else str(lookup.secret[0])
        elif (masked := mask.json(values[key])) != values[key]:
            hidden[key] = shlex.join(map(str, masked)) if isinstance(masked, list) else str(masked)
    values["action_id"] = name
    return values, late, hidden


def _too_late(name: str, text: str, ancestors: Mapping[str, Ancestor]) -> tuple[str, str | None]:
    message = f"`{name}` must be known before anything runs, and {text} is not"
    known = sorted({f"{owner}.{field}" for owner, a in ancestors.items() for field in a.known})
    return message, f"known before the run: {', '.join(known)}" if known else None


def _origin(source: Source, error: ValidationError) -> str | None:
    """The expressions that the values in question came from."""
    fields = dict.fromkeys(str(problem["loc"][0]) for problem in error.errors() if problem["loc"])
    replaced = [name for name in fields if name not in AS_WRITTEN]
    found = [text for name in replaced for _, text in texts(source.raw.get(name))]
    return f"the value is that of {', '.join(found)}" if found else None


def _misplaced(error: ValidationError) -> str | None:
    """Where that belongs which is not meant here."""
    for problem in error.errors():
        key = problem["loc"][-1] if problem["loc"] else None
        if problem["type"] == "extra_forbidden" and key == "always":
            return "actions that run at the end stand in a list `always`, beside `actions`"
        if key in _ONE_DEVICE and isinstance(problem["input"], list):
            return "several are a list `devices`; for copy and move its first is the source"
    return None


def located(source: Source, path: Path, message: str, hint: str | None) -> PlaybookError:
    """An error at a place within an action."""
    where = source.document.position((*source.path, *path))
    return PlaybookError(message, where=where, hint=hint)


def located_expression(source: Source, path: Path, error: ExpressionError) -> PlaybookError:
    """What is wrong with an expression at a place within an action, as an error to raise."""
    where = source.document.position((*source.path, *path))
    kind = MissingValueError if isinstance(error, NoValueError) else PlaybookError
    return kind(error.message, where=where, hint=error.hint)


def _part(source: Source, values: Mapping[str, Any]) -> Document:
    """The action as a document of its own, with its values in place of the expressions."""
    part = source.document.part(source.path)
    marks = dict(part.values)
    part = replace(part, values=marks)
    shown = {key: value for key, value in values.items() if key != "action_id"}
    _mark_replaced(part, shown, (), marks)
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
