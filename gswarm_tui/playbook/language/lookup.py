"""What the expressions in an action stand for, before the run and in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Protocol, Union, final, get_args, get_origin

from gswarm_tui.playbook.actions import TYPES
from gswarm_tui.playbook.language.expressions import (
    EACH,
    ENV,
    NODES,
    SECRETS,
    VARS,
    ExpressionError,
    Reference,
)
from gswarm_tui.playbook.language.scope import Source
from gswarm_tui.playbook.language.site import Site

_EXAMPLES: Mapping[Any, Any] = {int: 1, float: 1.0, bool: False}
"""What stands for a value that is not there yet, by type. For text it is the expression itself."""


class NotYetError(Exception):
    """The action that returns a value has not run, or did not succeed."""


class NoValueError(ExpressionError):
    """An action that is referred to in the run has not succeeded."""


class Ancestor(Protocol):
    """An action that another one refers to, as far as it is known."""

    @property
    def known(self) -> Mapping[str, Any]:
        """The fields that are certain before it runs."""

    def value(self, field: str) -> Any:
        """Raises NotYetError where there is none yet."""

    def example(self, reference: Reference) -> Any:
        """A value of the same type; for text it is the expression itself."""

    def describe(self, field: str) -> str | None:
        """What it is that cannot be part of a text; None where it can."""


@final
@dataclass(frozen=True, slots=True)
class Single:
    """One action.

    Args:
        known: the fields that are certain before it runs.
        result: what it returned; None before it ran, or where it did not succeed.
    """

    action_type: str
    known: Mapping[str, Any]
    result: Any = None

    def value(self, field: str) -> Any:
        # What the plan was checked with is also what runs.
        if field in self.known:
            return self.known[field]
        if self.result is None:
            raise NotYetError
        return getattr(self.result, field)

    def example(self, reference: Reference) -> Any:
        kind = field_type(self.action_type, reference.field)
        text = str(reference)
        return [text] if kind is list else _EXAMPLES.get(kind, text)

    def describe(self, field: str) -> str | None:
        return "a list" if field_type(self.action_type, field) is list else None


@final
@dataclass(frozen=True, slots=True)
class Group:
    """All that a ``for_each`` made of one action: each field is the list of theirs.

    Args:
        running: the run is under way: those that did not succeed are left out.
    """

    members: Sequence[Single]
    running: bool = False

    @property
    def known(self) -> Mapping[str, Any]:
        if not self.members:
            return {}
        fields = set.intersection(*(set(member.known) for member in self.members))
        return {field: [member.known[field] for member in self.members] for field in fields}

    def value(self, field: str) -> list[Any]:
        values = []
        for member in self.members:
            try:
                values.append(member.value(field))
            except NotYetError:
                if not self.running:
                    raise
        return values

    def example(self, reference: Reference) -> list[Any]:
        return [member.example(reference) for member in self.members[:1]]

    def describe(self, field: str) -> str:
        return "a list with one for each item"


@final
class Values:
    """A `expressions.Lookup` for the texts of one action.

    Args:
        ancestors: every action that it refers to, by its id in the whole playbook.
        running: every value must be there, and secrets are given.
    """

    def __init__(
        self, source: Source, ancestors: Mapping[str, Ancestor], site: Site, *, running: bool
    ) -> None:
        self._source = source
        self._ancestors = ancestors
        self._site = site
        self._running = running
        self.begin()

    def begin(self) -> None:
        """Forget what was seen until now."""
        self.waiting: list[Reference] = []
        """Those that have no value yet."""
        self.secret: list[Reference] = []
        """Those that are secrets; before the run they wait as well."""

    def __call__(self, reference: Reference, whole: bool) -> Any:
        scope, field = self._source.scope, reference.field
        if reference.owner == VARS:
            return scope.variables[field]
        if reference.owner == ENV:
            return scope.reader.env(field)
        if reference.owner == EACH:
            return self._each(reference)
        if reference.owner == NODES:
            if not whole:
                raise ExpressionError(f"{reference} is a list, which cannot be part of a text")
            return self._site.nodes(field)
        if reference.owner == SECRETS:
            self.secret.append(reference)
            if self._running:
                return scope.secrets[field]
            self.waiting.append(reference)
            return str(reference)
        return self._output(reference, whole)

    def _each(self, reference: Reference) -> Any:
        each = self._source.each or {}
        if reference.field not in each:
            known = ", ".join(each)
            message = f"{reference}: this item has no `{reference.field}`; it has: {known}"
            raise ExpressionError(message)
        return each[reference.field]

    def _output(self, reference: Reference, whole: bool) -> Any:
        owner = self._source.scope.prefix + reference.owner
        ancestor = self._ancestors[owner]
        kind = ancestor.describe(reference.field)
        if kind is not None and not whole:
            raise ExpressionError(f"{reference} is {kind}, which cannot be part of a text")
        try:
            return ancestor.value(reference.field)
        except NotYetError:
            if self._running:
                message = f"there is no {reference}: `{owner}` did not succeed"
                raise NoValueError(message) from None
        self.waiting.append(reference)
        return ancestor.example(reference) if whole else str(reference)


def field_type(action_type: str, field: str) -> Any:
    """The type of what an action returns in a field, without what is in lists, and without None."""
    annotation = TYPES[action_type].fields()[field]
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (branch for branch in get_args(annotation) if branch is not NoneType)
    return get_origin(annotation) or annotation
