"""The JSON Schema says of a playbook what gswarm itself says of its shape."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gswarm_tui.errors import UsageError
from gswarm_tui.playbook.actions import TYPES
from gswarm_tui.playbook.language.json_schema import json_schema
from gswarm_tui.yamlfile import load_yaml
from tests.playbook.broken import BROKEN, Case, catalogue
from tests.playbook.test_seeds import LATER

ROOT = Path(__file__).parents[2]
RIGHT = [*(ROOT / "playbooks").glob("*.yaml")]
RIGHT += [p for p in (ROOT / "tests" / "data" / "seeds").glob("*.yaml") if p.stem != LATER]
DOCUMENTS = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
PARTS = {"vars", "secrets", "include", "always", "version", "name"}
"""Keys that an example may show without the rest of its playbook."""
SHAPES = [
    *("frame-keys", "frame-no-actions", "frame-types", "frame-job", "version", "include-shape"),
    *("ids", "types", "unknown-keys", "values", "options", "conditions", "for-each"),
    *("for-each-references", "variables-typed", "dependencies", "expression-values"),
]


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


def is_valid(text: str) -> bool:
    return validator().is_valid(load_yaml(text).data)


def written_in(document: Path) -> list[str]:
    """The examples in a document that are playbooks or the actions of one."""
    examples = re.findall(r"^```yaml\n(.*?)^```", document.read_text(), flags=re.S | re.M)
    found = []
    for text in examples:
        if document.name == "playbooks.md" and text.startswith("when:"):
            continue  # three ways to write one key
        data = load_yaml(text).data
        if isinstance(data, list) or "actions" in data:
            found.append(text)
        elif set(data) <= PARTS:
            found.append(f"{text}\nactions: [{{action_id: nothing, action_type: noop}}]")
    return found


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", sorted(RIGHT), ids=lambda path: path.stem)
def test_what_is_right_is_valid(path: Path) -> None:
    assert not [error.message for error in validator().iter_errors(load_yaml(path).data)]


@pytest.mark.parametrize("document", sorted(DOCUMENTS), ids=lambda path: path.name)
def test_what_documents_show_is_valid(document: Path) -> None:
    for text in written_in(document):
        problems = [error.message for error in validator().iter_errors(load_yaml(text).data)]
        assert not problems, text


def test_documents_show_playbooks() -> None:
    assert sum(len(written_in(document)) for document in DOCUMENTS) >= 6


@pytest.mark.parametrize("case", catalogue(), ids=lambda case: case.name)
def test_it_refuses_what_it_is_said_to(case: Case) -> None:
    try:
        data = load_yaml(case.path).data
    except UsageError:
        assert not case.by_schema
        return
    assert validator().is_valid(data) is not case.by_schema


@pytest.mark.parametrize("name", SHAPES)
def test_what_has_another_shape_is_not(name: str) -> None:
    assert not validator().is_valid(load_yaml(BROKEN / f"{name}.yaml").data)


FULL = """
version: 1
name: all of it
description: of ${vars.a}
vars:
  a: 1
  b: {type: integer, default: 3, description: b, choices: [3, 4]}
  c: {type: list}
  d: {x: 1}
secrets: {s: {env: X}, t: {file: x}}
include: [x.yaml, {file: "${vars.a}.yaml", as: y, vars: {z: [1]}}]
priority: high
timeout: 1h30m
on_failure: stop
schedule: "0 3 * * *"
actions:
  - action_id: a
    action_type: command
    dependencies: [b, y-c]
    node: ${vars.node}
    argv: [sleep, 1, "${vars.a}"]
    env: {A: "${secrets.s}", B: 1}
    when: true
    for_each: {a: [1], b: "${vars.c}"}
    retry: {attempts: 3, backoff: 0, max_backoff: 1m, on: [timeout]}
    timeout: 90
  - {action_id: b, action_type: noop, retry: "${vars.a}", priority: "${vars.p}", timeout: "${vars.t}"}
  - {action_id: c, action_type: delete, model_name: m, devices: "${vars.c}", force: "${vars.f}"}
  - {action_id: d, action_type: serve, model_name: m, devices: ["${vars.c}"], port: "${vars.port}",
     timeout: 10m, config: {any: [thing]}, for_each: "${nodes.a100}", when: "${vars.a} == 1"}
always:
  - {action_id: e, action_type: noop}
"""  # noqa: E501


def test_all_that_can_be_said_is_valid() -> None:
    assert not [error.message for error in validator().iter_errors(load_yaml(FULL).data)]


@pytest.mark.parametrize(
    "wrong",
    [
        "version: 2",
        "priority: urgent",
        "timeout: 5 minutes",
        "on_failure: ignore",
        "vars: {a: {type: int}}",
        "secrets: {a: {env: X, value: y}}",
        "include: [{as: x}]",
        "always: [{action_id: b}]",
        "unknown: 1",
    ],
)
def test_a_key_at_the_top_has_its_values(wrong: str) -> None:
    actions = "actions: [{action_id: a, action_type: noop}]\n"
    assert is_valid(actions)
    assert not is_valid(actions + wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        "retry: 0",
        "retry: {backoff: 1s}",
        "retry: {attempts: 1, on: [never]}",
        "timeout: 0",
        "timeout: soon",
        "priority: 1",
        "on_failure: maybe",
        "dependencies: b",
        "for_each: 3",
        "for_each: text",
        "when: 3",
        "model_name: m",
        "message: [a]",
    ],
)
def test_a_key_of_an_action_has_its_values(wrong: str) -> None:
    action = "- {{action_id: a, action_type: noop, {}}}"
    assert is_valid(action.format("message: m"))
    assert not is_valid(action.format(wrong))


def keys(schema: Any, where: str) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{where}.{key}", value) for key, value in schema.get("properties", {}).items()]


def test_every_key_says_what_it_is() -> None:
    schema = json_schema()
    found = keys(schema["else"], "playbook")
    for name, definition in schema["$defs"].items():
        if name != "action":  # which only says where the rest is
            found += keys(definition, name)
    assert not [where for where, value in found if not value.get("description")]
    assert {where.split(".")[0] for where, _ in found} >= set(TYPES)
