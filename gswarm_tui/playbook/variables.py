"""The ``vars:`` of a playbook, and ``-e name=value`` over them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gswarm_tui.errors import PlaybookError, UsageError
from gswarm_tui.nearest import did_you_mean
from gswarm_tui.playbook.expressions import (
    VARS,
    ExpressionError,
    Lookup,
    Reference,
    expressions,
    substitute,
    texts,
)
from gswarm_tui.playbook.problems import Problems
from gswarm_tui.yamlfile import load_yaml

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number"}
_KINDS |= {list: "a list, such as [a, b]", dict: "a mapping, such as {a: 1}"}


def parse_overrides(pairs: Sequence[str]) -> dict[str, str]:
    """Read ``name=value`` pairs of the command line; the last one of a name counts.

    Raises:
        UsageError: one has no ``=`` or no name.
    """
    overrides: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not _NAME.fullmatch(name):
            raise UsageError(
                f"{pair!r:.120} is not a variable", where="-e", hint="write -e name=value"
            )
        overrides[name] = value
    return overrides


def resolve(
    defaults: Mapping[str, Any], overrides: Mapping[str, Any], problems: Problems
) -> dict[str, Any]:
    """Every variable with its value: the override's, else the default's with its own expressions
    replaced. A variable whose default is null must be given. What is wrong goes to ``problems``.

    An override that is text is converted to the type of the default; any other is taken as it is.
    """
    values: dict[str, Any] = {}
    for name, value in overrides.items():
        if name not in defaults:
            known = did_you_mean(name, defaults) or _known(defaults)
            problems.add((VARS,), f"the playbook has no variable `{name}` (-e){known}", key=True)
        else:
            try:
                values[name] = convert(name, value, defaults[name])
            except PlaybookError as error:
                problems.add((VARS, name), error.message)
    for name, default in defaults.items():
        if not _NAME.fullmatch(name):
            message = f"`{name}` is no name of a variable: letters, digits, `_` and `-` are"
            problems.add((VARS, name), message, key=True)
        elif name not in values and default is None:
            hint = f"give it with -e {name}=…"
            problems.add((VARS, name), f"the variable `{name}` has no value", hint=hint, key=True)
    _Defaults(defaults, values, problems).resolve_all()
    return values


def convert(name: str, value: Any, default: Any) -> Any:
    """An override as the type of the default; a null default takes text.

    Raises:
        PlaybookError: it cannot be read as that type.
    """
    if not isinstance(value, str) or default is None or isinstance(default, str):
        return value
    wanted = type(default)
    try:
        read = load_yaml(value, name="-e").data
    except UsageError:
        read = None
    if wanted is float and type(read) is int:
        return float(read)
    if type(read) is not wanted:
        raise PlaybookError(f"-e {name}={value} is not {_KINDS[wanted]}, as its default is")
    return read


def _known(defaults: Mapping[str, Any]) -> str:
    return f"; it has: {', '.join(defaults)}" if defaults else "; it has none"


class _Defaults:
    """Replaces ``${vars.other}`` in defaults, in whatever order they were written."""

    def __init__(
        self, defaults: Mapping[str, Any], values: dict[str, Any], problems: Problems
    ) -> None:
        self._defaults = defaults
        self._values = values
        self._problems = problems
        self._open: list[str] = []

    def resolve_all(self) -> None:
        for name in self._defaults:
            self._resolve(name)

    def _resolve(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        if name in self._open:
            circle = " → ".join([*self._open[self._open.index(name) :], name])
            raise ExpressionError(f"variables refer to each other in a circle: {circle}")
        self._open.append(name)
        value: Any = self._defaults[name]
        try:
            value = substitute(value, self._lookup(name))
        except ExpressionError as error:
            self._problems.add((VARS, name), error.message, hint=error.hint)
        finally:
            self._open.pop()
        self._values[name] = value
        return value

    def _lookup(self, name: str) -> Lookup:
        def lookup(reference: Reference, whole: bool) -> Any:
            if reference.owner != VARS:
                raise ExpressionError(
                    f"{reference} is in a variable, where only ${{{VARS}.name}} can be: "
                    "variables are known before anything runs"
                )
            check(reference, self._defaults)
            value = self._resolve(reference.field)
            return "" if value is None and not whole else value

        return lookup


def check(reference: Reference, known: Mapping[str, Any]) -> None:
    """Raises ExpressionError where there is no such variable."""
    if reference.field not in known:
        nearest = did_you_mean(reference.field, known) or _known(known)
        raise ExpressionError(f"there is no variable `{reference.field}`{nearest}")


def static(value: Any, variables: Mapping[str, Any], what: str) -> Any:
    """Replace variables in a value that must not depend on what actions return.

    Raises:
        ExpressionError: it refers to an action, or to a variable that is not there.
    """
    for _, text in texts(value):
        for reference in expressions(text):
            if reference.owner != VARS:
                raise ExpressionError(f"{reference} cannot be in `{what}`: only variables can")
            check(reference, variables)
    return substitute(value, lambda reference, _: variables[reference.field])
