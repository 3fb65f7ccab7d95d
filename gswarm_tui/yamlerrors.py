"""What pydantic found wrong in a YAML document, in words for the person who wrote it.

All problems of a document become one error, one line each: ``file:line:column: what was
expected``. Unknown keys name the nearest known one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel, Tag, ValidationError
from pydantic.fields import FieldInfo

from gswarm_tui.errors import UsageError
from gswarm_tui.nearest import did_you_mean
from gswarm_tui.yamlfile import Document, Location
from gswarm_tui.yamlproblems import Mark

MAX_PROBLEMS = 40

ErrorT = TypeVar("ErrorT", bound=UsageError)
ModelT = TypeVar("ModelT", bound=BaseModel)

# What is expected, by pydantic's type of error. These can be one branch of a union each.
_EXPECTED = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "iterable_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "none_required": "nothing",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "string_too_short": "a text of at least {min_length} character(s)",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text of the form {pattern}",
    "too_short": "at least {min_length} item(s)",
    "too_long": "at most {max_length} items",
}


def validate(
    document: Document, model: type[ModelT], error_class: type[UsageError], *, context: Any = None
) -> ModelT:
    """Make a ``model`` of a document.

    Args:
        context: handed to pydantic's validators.

    Raises:
        UsageError: (as ``error_class``) with every problem and where it is.
    """
    try:
        return model.model_validate(document.data, context=context)
    except ValidationError as error:
        raise explain(error, document, error_class, model=model) from None


def explain(
    error: ValidationError, document: Document, error_class: type[ErrorT], *, model: Any = None
) -> ErrorT:
    """Turn pydantic's problems into one error of ours; the caller raises it.

    Args:
        model: the model (or other type) that was validated; with it, unknown keys name the
            nearest known one.
    """
    found = [_problem(details, document, model) for details in error.errors(include_url=False)]
    problems = _merged(found)
    lines = [f"{problem.where}: {problem.message}" for problem in problems[1:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"... and {len(problems) - MAX_PROBLEMS} more")
    return error_class("\n".join([problems[0].message, *lines]), where=problems[0].where)


@dataclass(frozen=True, slots=True)
class _Problem:
    """One problem. Where ``expected`` is set, ``text`` is what was found instead."""

    path: Location
    label: str
    where: str
    order: tuple[int, int]
    text: str
    expected: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        text = f"expected {' or '.join(self.expected)}, {self.text}" if self.expected else self.text
        return f"{self.label}: {text}" if self.label else text


def _merged(found: list[_Problem]) -> list[_Problem]:
    """One problem for each place, in the order of the file; the branches of a union are joined."""
    kept: list[_Problem] = []
    for problem in found:
        if problem.expected and any(_is_below(other.path, problem.path) for other in found):
            continue  # a branch of a union that was not meant: another one got further in
        twin = _index_of_twin(kept, problem)
        if twin is None:
            kept.append(problem)
        else:
            joined = dict.fromkeys((*kept[twin].expected, *problem.expected))
            text = max(kept[twin].text, problem.text, key=len)
            kept[twin] = replace(kept[twin], expected=tuple(joined), text=text)
    return sorted(kept, key=lambda problem: problem.order)


def _is_below(path: Location, top: Location) -> bool:
    return len(path) > len(top) and path[: len(top)] == top


def _index_of_twin(kept: list[_Problem], problem: _Problem) -> int | None:
    for index, other in enumerate(kept):
        both_expect = bool(other.expected) == bool(problem.expected)
        if (
            other.path == problem.path
            and both_expect
            and (problem.expected or other.text == problem.text)
        ):
            return index
    return None


def _problem(details: Mapping[str, Any], document: Document, model: Any) -> _Problem:
    kind: str = details["type"]
    loc: Location = details["loc"]
    if kind == "missing":
        return _missing(loc, document)
    if kind == "extra_forbidden":
        return _unknown_key(loc, document, model)
    if kind.startswith("union_tag"):
        return _union_tag(details, document)
    if loc and loc[-1] == "[key]":
        return _bad_key(loc[:-1], details, document)
    path = document.resolve(loc)
    expected = _expected(details)
    text = _found(details["input"], document, path, expected) if expected else _bad_value(details)
    if expected:
        text += _instead(details["input"], expected, loc, model)
    return _make(
        document, path, text, expected=expected, label=_label(loc, path, details, document)
    )


def _make(
    document: Document,
    path: Location,
    text: str,
    *,
    mark: Mark | None = None,
    expected: str | None = None,
    label: str | None = None,
) -> _Problem:
    mark = mark or _best_mark(document, path)
    return _Problem(
        path=path,
        label=_dotted(path) if label is None else label,
        where=f"{document.name}:{mark.line}:{mark.column}",
        order=(mark.line, mark.column),
        text=text,
        expected=(expected,) if expected else (),
    )


def _best_mark(document: Document, path: Location) -> Mark:
    """The value's place; for a list or mapping the place of its key, where a reader looks."""
    if isinstance(document.value(path), dict | list):
        return document.keys.get(path, document.values[path])
    return document.values[path]


def _missing(loc: Location, document: Document) -> _Problem:
    parent = document.resolve(loc[:-1])
    problem = _make(document, parent, f"`{loc[-1]}` is missing")
    return replace(problem, path=(*parent, loc[-1]))


def _unknown_key(loc: Location, document: Document, model: Any) -> _Problem:
    path = document.resolve(loc)
    known = sorted(_known_keys(model, loc[:-1]))
    text = f"unknown key `{loc[-1]}`"
    if known:
        text += did_you_mean(str(loc[-1]), known) or f"; known here: {', '.join(known)}"
    return _make(document, path, text, mark=document.keys.get(path), label=_dotted(path[:-1]))


def _bad_key(loc: Location, details: Mapping[str, Any], document: Document) -> _Problem:
    path = document.resolve(loc)
    expected = _expected(details)
    found = f"found {described(loc[-1], None)}"
    text = f"expected {expected}, {found}" if expected else _bad_value(details)
    above = path[:-1] if path[-1:] == loc[-1:] else path  # a validator may have made the key
    return _make(document, path, text, mark=document.keys.get(path), label=_dotted(above))


def _union_tag(details: Mapping[str, Any], document: Document) -> _Problem:
    """A tagged union whose tag is not there, or is none of the known ones."""
    context = details["ctx"]
    discriminator = context["discriminator"].strip("'")
    path = document.resolve(details["loc"])
    if details["type"] == "union_tag_not_found":
        problem = _make(document, path, f"`{discriminator}` is missing")
        return replace(problem, path=(*path, discriminator))
    tags = re.findall(r"'([^']*)'", context["expected_tags"])
    tag = context["tag"]
    text = f"expected one of {', '.join(tags)}; found `{tag}`{did_you_mean(tag, tags)}"
    return _make(document, document.resolve((*details["loc"], discriminator)), text)


def _expected(details: Mapping[str, Any]) -> str | None:
    template = _EXPECTED.get(details["type"])
    return template.format_map(details.get("ctx", {})) if template else None


def _bad_value(details: Mapping[str, Any]) -> str:
    if details["type"] in ("value_error", "assertion_error"):
        return str(details["ctx"]["error"])
    message: str = details["msg"]
    return message[:1].lower() + message[1:]


def _found(value: Any, document: Document, path: Location, expected: str) -> str:
    at_path = document.value(path)
    plain = (
        document.values[path].plain if type(at_path) is type(value) and at_path == value else None
    )
    found = f"found {described(value, plain)}"
    if "text" in expected and plain and not isinstance(value, str) and value is not None:
        found += f"; put it in quotes to make it text: '{plain}'"
    if isinstance(value, str):
        found += did_you_mean(value, re.findall(r"'([^']+)'", expected))
        if _WITHOUT_QUOTES.get(expected, _NEVER).fullmatch(value):
            found += "; write it without quotes"
    return found


def _instead(value: Any, expected: str, loc: Location, model: Any) -> str:
    """How a list is written where a text was found, or which other key takes one."""
    if isinstance(value, str) and expected == "a list" and "${" not in value:
        return f"; write [{value}]" if str in _types_at(model, (*loc, 0)) else ""
    if isinstance(value, list) and expected == "text" and loc:
        plural = f"{loc[-1]}s"
        return f"; `{plural}` takes one" if plural in _known_keys(model, loc[:-1]) else ""
    return ""


_NEVER = re.compile(r"(?!)")
_WITHOUT_QUOTES = {
    "a whole number": re.compile(r"[-+]?[0-9]+"),
    "a number": re.compile(r"[-+]?[0-9]+(\.[0-9]*)?"),
    "true or false": re.compile(r"true|false|yes|no|on|off", re.IGNORECASE),
}


def described(value: Any, plain: str | None) -> str:
    """A value in words; ``plain`` is the text of a scalar without quotes."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{plain or str(value).lower()}`, which is true or false in YAML"
    if isinstance(value, int | float):
        return f"the number {plain or value}"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _label(loc: Location, path: Location, details: Mapping[str, Any], document: Document) -> str:
    """The dotted path, and after it the field that a validator made and the data has not."""
    made = loc and loc[-1] not in path and isinstance(document.value(path), dict)
    if made and not isinstance(details["input"], dict):
        return _dotted((*path, loc[-1]))
    return _dotted(path)


def _dotted(path: Location) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _known_keys(model: Any, loc: Location) -> set[str]:
    """The keys of the models that ``loc`` leads to, in the type that was validated."""
    return {key for kind in _types_at(model, loc) for key in _keys(kind)}


def _types_at(model: Any, loc: Location) -> list[Any]:
    """The types that ``loc`` leads to, in the type that was validated."""
    types = list(_alternatives(model))
    for part in loc:
        deeper = [child for kind in types for child in _children(kind, part)]
        # A part that leads nowhere is a union's tag: it chooses among the alternatives.
        types = deeper or [kind for kind in types if _has_tag(kind, part)] or types
    return [kind.type for kind in types]


@dataclass(frozen=True, slots=True)
class _Alternative:
    type: Any
    tag: str | None


def _alternatives(annotation: Any, tag: str | None = None) -> Iterator[_Alternative]:
    origin = get_origin(annotation)
    if origin is Annotated:
        annotation, *metadata = get_args(annotation)
        tags = [item.tag for item in metadata if isinstance(item, Tag)]
        yield from _alternatives(annotation, tags[0] if tags else tag)
    elif origin in (Union, UnionType):
        for branch in get_args(annotation):
            yield from _alternatives(branch)
    elif annotation is not None:
        yield _Alternative(annotation, tag)


def _children(kind: _Alternative, part: str | int) -> Iterator[_Alternative]:
    arguments = get_args(kind.type)
    if isinstance(kind.type, type) and issubclass(kind.type, BaseModel):
        for name, field in kind.type.model_fields.items():
            if part in _names(name, field):
                yield from _alternatives(field.annotation)
    elif len(arguments) == 2 and isinstance(part, str):
        yield from _alternatives(arguments[1])
    elif arguments and isinstance(part, int):
        yield from _alternatives(arguments[0])


def _has_tag(kind: _Alternative, part: str | int) -> bool:
    if kind.tag is not None:
        return kind.tag == part
    if not (isinstance(kind.type, type) and issubclass(kind.type, BaseModel)):
        return False
    literals = (field.annotation for field in kind.type.model_fields.values())
    tagged = any(get_origin(kind) is Literal and part in get_args(kind) for kind in literals)
    return tagged or kind.type.__name__ == part


def _keys(kind: Any) -> set[str]:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return set()
    return {key for name, field in kind.model_fields.items() for key in _names(name, field)}


def _names(name: str, field: FieldInfo) -> set[str]:
    """What a field is called in YAML: its aliases where it has any, else its name."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    names = {str(c.path[0]) if isinstance(c, AliasPath) else c for c in choices if c is not None}
    return names or {name}
