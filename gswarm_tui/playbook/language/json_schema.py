"""The JSON Schema of playbooks, with which editors complete and check them.

It is made of the models that playbooks are read with, and says what they say: keys, types, words.
What needs a look at the rest of the file or at the inventory is left to ``gswarm playbook
validate``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from gswarm_tui.playbook.actions import TYPES
from gswarm_tui.playbook.actions.base import Written
from gswarm_tui.playbook.language.expressions import OWNERS
from gswarm_tui.playbook.language.frame import ACTIONS, INCLUDE, VERSION, Frame, WrittenInclude
from gswarm_tui.playbook.language.options import CONTINUE, LIMIT_SCHEMA, STOP
from gswarm_tui.playbook.language.vartypes import KINDS, TYPE, WrittenVariable
from gswarm_tui.state.states import Priority

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema: TypeAlias = dict[str, Any]

_ID = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$"
_EXPRESSION: Final[Schema] = {
    "description": "An expression that is the value, such as ${vars.name}.",
    "type": "string",
    "pattern": r"^\$\{[^}]+\}$",
}
_NEEDED: Final = r"^[A-Za-z0-9_-]+(\[.*\$\{\s*each\..*\])?$"
_TAKE_NONE: Final = frozenset({"action_id", "action_type", "dependencies", "when", "for_each"})
"""The keys of an action whose schema says already where expressions can be."""


def json_schema() -> Schema:
    """The schema of a whole playbook, in the dialect 2020-12."""
    definitions: dict[str, Schema] = {"expression": _EXPRESSION}
    playbook = _playbook(definitions)
    definitions["action"] = _action()
    for word, action_type in TYPES.items():
        definitions[word] = _of_type(word, action_type.written, definitions)
    actions = {"type": "array", "items": _reference("action"), "minItems": 1}
    return {
        "$schema": DIALECT,
        "title": "A gswarm playbook",
        "if": {"type": "array"},
        "then": actions,
        "else": playbook,
        "$defs": definitions,
    }


def _playbook(definitions: dict[str, Schema]) -> Schema:
    schema = _of_model(Frame, definitions)
    keys = schema["properties"]
    variable = _of_model(WrittenVariable, definitions)
    variable["properties"][TYPE] = {**variable["properties"][TYPE], "enum": list(KINDS)}
    definitions["variable"] = variable
    typed = {
        "if": {"type": "object", "required": [TYPE]},
        "then": _reference("variable"),
    }
    _set(keys, "version", {"const": VERSION})
    _set(keys, "vars", {"type": ["object", "null"], "additionalProperties": typed})
    _set(keys, "priority", _or_expression({"enum": [*Priority, None]}))
    _set(keys, "timeout", _or_expression(LIMIT_SCHEMA, {"type": "null"}))
    _set(keys, "on_failure", _or_expression({"enum": [STOP, CONTINUE, None]}))
    actions = {"type": "array", "items": _reference("action")}
    _set(keys, ACTIONS, actions)
    _set(keys, "always", {**actions, "type": ["array", "null"]})
    del schema["required"]
    nothing_but_includes = {"required": [INCLUDE], "properties": {INCLUDE: {"minItems": 1}}}
    some = {"required": [ACTIONS], "properties": {ACTIONS: {"minItems": 1}}}
    return {**schema, "anyOf": [some, nothing_but_includes]}


def _action() -> Schema:
    """What all actions have, and which definition has the rest."""
    return {
        "type": "object",
        "required": ["action_id", "action_type"],
        "properties": {"action_type": {"enum": list(TYPES)}},
        "allOf": [
            {
                "if": {
                    "required": ["action_type"],
                    "properties": {"action_type": {"const": word}},
                },
                "then": _reference(word),
            }
            for word in TYPES
        ],
    }


def _of_type(word: str, written: type[Written], definitions: dict[str, Schema]) -> Schema:
    schema = _of_model(written, definitions)
    keys = schema["properties"]
    for key, value in keys.items():
        if key not in _TAKE_NONE:
            keys[key] = _with_expressions(value)
    _set(keys, "action_id", {"type": "string", "pattern": _ID, "not": {"enum": list(OWNERS)}})
    _set(keys, "action_type", {"const": word})
    ids = {"type": "array", "items": {"type": "string", "pattern": _NEEDED}}
    _set(keys, "dependencies", {**ids, "type": ["array", "null"]})
    lists = {"additionalProperties": _or_expression({"type": "array"}), "type": "object"}
    each = _or_expression({"type": "array"}, lists, {"type": "null"})
    _set(keys, "for_each", each)
    return schema


def _of_model(model: type[BaseModel], definitions: dict[str, Schema]) -> Schema:
    """The schema of a model; those of the models within it go to ``definitions``."""
    schema = model.model_json_schema()
    for name, inner in schema.pop("$defs", {}).items():
        inner = _without_titles(inner)
        if name != WrittenInclude.__name__:  # it takes expressions within its texts only
            for key, value in inner.get("properties", {}).items():
                inner["properties"][key] = _with_expressions(value)
        definitions[name] = inner
    return _without_titles(schema)


def _without_titles(schema: Schema) -> Schema:
    """pydantic names every field and model: an editor would show that in place of descriptions."""
    schema = {key: value for key, value in schema.items() if key not in ("title", "default")}
    if "properties" in schema:
        properties = schema["properties"].items()
        schema["properties"] = {key: _without_titles(value) for key, value in properties}
    return schema


def _with_expressions(value: Schema) -> Schema:
    """A schema that takes an expression in place of the value, and of each item of a list."""
    kept = {key: value[key] for key in ("description",) if key in value}
    rest = {key: item for key, item in value.items() if key not in kept}
    branches = [_with_expressions_inside(branch) for branch in rest.get("anyOf", [rest])]
    if any(branch == {"type": "string"} or not branch for branch in branches):
        return {**kept, "anyOf": branches} if len(branches) > 1 else {**kept, **branches[0]}
    return {**kept, "anyOf": [*branches, _reference("expression")]}


def _with_expressions_inside(branch: Schema) -> Schema:
    if branch.get("type") != "array" or "items" not in branch:
        return branch
    return {**branch, "items": _with_expressions(branch["items"])}


def _or_expression(*schemas: Mapping[str, Any]) -> Schema:
    return {"anyOf": [*schemas, _reference("expression")]}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _set(keys: dict[str, Schema], key: str, schema: Mapping[str, Any]) -> None:
    """Replace what a key can be; its description stays."""
    keys[key] = {"description": keys[key]["description"], **schema}
