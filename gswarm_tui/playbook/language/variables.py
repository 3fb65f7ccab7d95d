"""The ``vars:`` of a playbook, and ``-e name=value`` over them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gswarm_tui.errors import PlaybookError, UsageError
from gswarm_tui.nearest import did_you_mean
from gswarm_tui.playbook.language.expressions import (
    ENV,
    VARS,
    ExpressionError,
    Lookup,
    Path,
    Reference,
    expressions,
    substitute,
    texts,
)
from gswarm_tui.playbook.language.problems import Problems
from gswarm_tui.playbook.language.reader import Reader
from gswarm_tui.playbook.language.vartypes import KINDS, TYPE, Variable, WrittenVariable
from gswarm_tui.yamlerrors import described, validate
from gswarm_tui.yamlfile import Document, load_yaml

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_WORDS = {bool: "true or false", int: "a whole number", float: "a number"}
_WORDS |= {list: "a list, such as [a, b]", dict: "a mapping, such as {a: 1}"}


@dataclass(frozen=True, slots=True)
class Given:
    """Values for the variables of a file, from outside it.

    Args:
        values: by name; text is converted to the type that the variable has.
        document: the playbook that includes the file; None for ``-e`` and scripts.
        path: where the values are in ``document``.
    """

    values: Mapping[str, Any]
    document: Document | None = None
    path: Path = ()

    def called(self, name: str, value: Any) -> str:
        """A value as it was given, for a message."""
        return f"-e {name}={value}" if self.document is None else f"`{name}: {value}`"


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


def declared(
    written: Mapping[str, Any], document: Document, problems: Problems
) -> dict[str, Variable]:
    """What ``vars:`` says; a mapping with the key ``type`` is a variable with its type."""
    variables: dict[str, Variable] = {}
    for name, value in written.items():
        path = (VARS, name)
        if not _NAME.fullmatch(name):
            message = f"`{name}` is no name of a variable: letters, digits, `_` and `-` are"
            problems.add(document, path, message, key=True)
        elif not (isinstance(value, dict) and TYPE in value):
            variables[name] = Variable(value, path)
        else:
            try:
                variables[name] = _typed(document, path)
            except PlaybookError as error:
                problems.add_error(document, error)
                variables[name] = Variable("", path)
    return variables


def _typed(document: Document, path: Path) -> Variable:
    written = validate(document.part(path), WrittenVariable, PlaybookError)
    where = document.position((*path, TYPE))
    if written.type not in KINDS:
        raise PlaybookError(
            f"`{written.type}` is no type of a variable{did_you_mean(written.type, KINDS)}",
            where=where,
            hint=f"the types are {', '.join(KINDS)}",
        )
    kind = KINDS[written.type]
    for index, choice in enumerate(written.choices or ()):
        if not kind.fits(choice):
            where = document.position((*path, "choices", index))
            raise PlaybookError(f"the choice is not {kind.words}", where=where)
    choices = tuple(written.choices or ())
    default_path = (*path, "default")
    return Variable(written.default, default_path, written.type, choices, written.description)


def resolve(
    variables: Mapping[str, Variable],
    given: Given,
    document: Document,
    reader: Reader,
    problems: Problems,
) -> dict[str, Any]:
    """Every variable with its value: the given one, else the default with its own expressions
    replaced. A variable whose default is null must be given. What is wrong goes to ``problems``.
    """
    values: dict[str, Any] = {}
    for name, value in given.values.items():
        try:
            if name not in variables:
                known = did_you_mean(name, variables) or _known(variables)
                by = " (-e)" if given.document is None else ""
                whose = "the playbook" if given.document is None else document.name
                raise PlaybookError(f"{whose} has no variable `{name}`{by}{known}")
            values[name] = convert(given.called(name, value), value, variables[name])
        except PlaybookError as error:
            # What was given on the command line has no place but that of the variable.
            at, path = given.document or document, (*given.path, name)
            path = path if given.document else (VARS, name)
            problems.add(at, path, error.message, hint=error.hint, key=name not in variables)
            values[name] = value
    for name, variable in variables.items():
        if name not in values and variable.default is None:
            message = f"the variable `{name}` has no value"
            if given.document is None:
                hint = f"give it with -e {name}=…"
                problems.add(document, (VARS, name), message, hint=hint, key=True)
            else:
                message += f" in {document.name}"
                hint = f"give it here: `{{file: …, vars: {{{name}: …}}}}`"
                problems.add(given.document, given.path[:-1], message, hint=hint)
    _Defaults(variables, values, document, reader, problems).resolve_all()
    return values


def convert(called: str, value: Any, variable: Variable) -> Any:
    """A given value as the type of the variable; where that is not known it is taken as it is.

    Args:
        called: the value as it was given, for a message.

    Raises:
        PlaybookError: it cannot be read as that type, or is none of the choices.
    """
    if variable.kind is None:
        return _like(called, value, variable.default)
    kind = KINDS[variable.kind]
    if isinstance(value, str) and not kind.is_text:
        value = _read(value)
    if not kind.fits(value):
        raise PlaybookError(f"{called} is not {kind.words}, which its type is")
    _check_choice(called, value, variable)
    return value


def _like(called: str, value: Any, default: Any) -> Any:
    """A value as the type of a default; a null default takes text."""
    if not isinstance(value, str) or default is None or isinstance(default, str):
        return value
    wanted = type(default)
    read = _read(value)
    if wanted is float and type(read) is int:
        return float(read)
    if type(read) is not wanted:
        raise PlaybookError(f"{called} is not {_WORDS[wanted]}, as its default is")
    return read


def _read(text: str) -> Any:
    try:
        return load_yaml(text, name="-e").data
    except UsageError:
        return None


def _check_choice(called: str, value: Any, variable: Variable) -> None:
    if variable.choices and value not in variable.choices:
        choices = ", ".join(map(str, variable.choices))
        raise PlaybookError(f"{called} is not one of its choices: {choices}")


def _known(names: Mapping[str, Any]) -> str:
    return f"; it has: {', '.join(names)}" if names else "; it has none"


class _Defaults:
    """Replaces ``${vars.other}`` in defaults, in whatever order they were written."""

    def __init__(
        self,
        variables: Mapping[str, Variable],
        values: dict[str, Any],
        document: Document,
        reader: Reader,
        problems: Problems,
    ) -> None:
        self._variables = variables
        self._values = values
        self._document = document
        self._reader = reader
        self._problems = problems
        self._open: list[str] = []

    def resolve_all(self) -> None:
        for name in self._variables:
            self._resolve(name)

    def _resolve(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        if name in self._open:
            circle = " → ".join([*self._open[self._open.index(name) :], name])
            raise ExpressionError(f"variables refer to each other in a circle: {circle}")
        self._open.append(name)
        variable = self._variables[name]
        value: Any = variable.default
        try:
            value = substitute(value, self._lookup())
            self._check(name, value, variable)
        except ExpressionError as error:
            self._problems.add(self._document, variable.path, error.message, hint=error.hint)
        finally:
            self._open.pop()
        self._values[name] = value
        return value

    def _check(self, name: str, value: Any, variable: Variable) -> None:
        if variable.kind is None or value is None:
            return
        kind = KINDS[variable.kind]
        if not kind.fits(value):
            found = described(value, self._document.values[variable.path].plain)
            raise ExpressionError(f"the default of `{name}` is not {kind.words}: it is {found}")
        try:
            _check_choice(f"the default of `{name}`", value, variable)
        except PlaybookError as error:
            raise ExpressionError(error.message) from None

    def _lookup(self) -> Lookup:
        def lookup(reference: Reference, whole: bool) -> Any:
            if reference.owner == ENV:
                return self._reader.env(reference.field)
            if reference.owner != VARS:
                raise ExpressionError(
                    f"{reference} is in a variable, where only ${{{VARS}.name}} and "
                    f"${{{ENV}.NAME}} can be: variables are known before anything runs"
                )
            check(reference, self._variables)
            value = self._resolve(reference.field)
            return "" if value is None and not whole else value

        return lookup


def check(reference: Reference, known: Mapping[str, Any]) -> None:
    """Raises ExpressionError where there is no such variable."""
    if reference.field not in known:
        nearest = did_you_mean(reference.field, known) or _known(known)
        raise ExpressionError(f"there is no variable `{reference.field}`{nearest}")


def static(value: Any, variables: Mapping[str, Any], reader: Reader, what: str) -> Any:
    """Replace variables in a value that must not depend on what actions return.

    Raises:
        ExpressionError: it refers to anything but variables and the environment, or to one that
            is not there.
    """
    for _, text in texts(value):
        for reference in expressions(text):
            if reference.owner == VARS:
                check(reference, variables)
            elif reference.owner != ENV:
                raise ExpressionError(
                    f"{reference} cannot be in `{what}`: only variables and the environment can"
                )
    return substitute(
        value,
        lambda reference, _: (
            reader.env(reference.field) if reference.owner == ENV else variables[reference.field]
        ),
    )
