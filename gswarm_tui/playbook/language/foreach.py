"""``for_each``: one written action, and as many of a plan as there are items."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any, Final

from gswarm_tui.playbook.language.expressions import (
    ENV,
    NODES,
    VARS,
    ExpressionError,
    Path,
    Reference,
    expressions,
    substitute,
    texts,
)
from gswarm_tui.playbook.language.lookup import Values
from gswarm_tui.playbook.language.scope import Source
from gswarm_tui.playbook.language.secrets import Mask
from gswarm_tui.playbook.language.site import Site

MAX_ACTIONS: Final = 100_000
"""In one plan."""

VALUE: Final = "value"
INDEX: Final = "index"

_FORMS = "write a list, an expression that is one, or names with a list each: {model: [a, b]}"
_LABEL = re.compile(r"[A-Za-z0-9._-]{1,64}")


class ForEachError(ExpressionError):
    """What is wrong with a ``for_each``; ``path`` is within it."""

    def __init__(self, path: Path, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


def check(written: Any, source: Source) -> None:
    """Look at what the expressions of a ``for_each`` refer to.

    Raises:
        ForEachError: it is something that is only known in the run.
    """
    for path, text in texts(written):
        for reference in expressions(text):
            if reference.owner not in (VARS, ENV, NODES):
                raise ForEachError(
                    path,
                    f"`for_each` must be known before anything runs, and {reference} is not",
                    hint="variables, the environment and ${nodes.PATTERN} are",
                )


def expand(name: str, source: Source, site: Site) -> Iterator[tuple[str, Source]]:
    """The actions that a ``for_each`` makes, each with its id.

    Raises:
        ForEachError: it is no list, or has more items than there can be.
    """
    written = source.raw["for_each"]
    lookup = Values(source, {}, site, running=False)
    try:
        value = substitute(written, lookup)
    except ExpressionError as error:
        raise ForEachError((), error.message, hint=error.hint) from None
    _refuse_secrets(written, source, lookup)
    items = list(_items(value, written))
    for label, each in zip(_labels(items), items, strict=True):
        yield f"{name}[{label}]", replace(source, each=each)


def _refuse_secrets(written: Any, source: Source, lookup: Values) -> None:
    """Items are in the ids of actions, which are shown everywhere."""
    mask = Mask(source.scope.reader.hidden().values())
    for path, text in texts(written):
        value = substitute(text, lookup)
        if mask.json(value) != value:
            raise ForEachError(
                path,
                f"items of `for_each` are in the ids of actions, and {text} looks like a secret",
                hint="go by names that anybody may read, and name the secret under `secrets:`",
            )


def _items(value: Any, written: Any) -> Iterator[Mapping[str, Any]]:
    """What ``${each.…}`` is, for each item."""
    if isinstance(value, list):
        _check_count(len(value))
        for index, item in enumerate(value):
            keys = item if isinstance(item, dict) else {}
            yield {**keys, VALUE: item, INDEX: index}
    elif isinstance(value, dict) and isinstance(written, dict):
        for key, items in value.items():
            if not isinstance(items, list):
                message = f"`{key}` is no list"
                raise ForEachError((key,), message, hint=_FORMS)
            if key in (VALUE, INDEX):
                message = f"`{key}` is what ${{each.{key}}} has for every item: call it otherwise"
                raise ForEachError((key,), message)
        _check_count(prod(map(len, value.values())))
        for index, chosen in enumerate(product(*value.values())):
            item = dict(zip(value, chosen, strict=True))
            yield {**item, VALUE: item, INDEX: index}
    else:
        raise ForEachError((), "`for_each` is no list", hint=_FORMS)


def _check_count(count: int) -> None:
    if count > MAX_ACTIONS:
        message = f"`for_each` has {count} items; a plan has {MAX_ACTIONS} actions at most"
        raise ForEachError((), message)


def _labels(items: list[Mapping[str, Any]]) -> list[str]:
    """What stands in the brackets: the items' own texts where these can be told apart by them."""
    labels = [_label(item[VALUE]) for item in items]
    if len(set(labels)) == len(labels) and all(map(_LABEL.fullmatch, labels)):
        return labels
    return [str(index) for index in range(len(items))]


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else ""


def check_each(reference: Reference, source: Source) -> None:
    """Look at one ``${each.…}``, without an item to look at.

    Raises:
        ExpressionError: the action has no ``for_each``, or its items cannot have that key.
    """
    written = source.raw.get("for_each")
    if written is None:
        hint = "give the action a `for_each`"
        raise ExpressionError(f"{reference} is only there within a `for_each`", hint=hint)
    if isinstance(written, dict) and reference.field not in (*written, VALUE, INDEX):
        known = ", ".join([*written, VALUE, INDEX])
        raise ExpressionError(f"{reference}: an item has no `{reference.field}`; it has: {known}")
