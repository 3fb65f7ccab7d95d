from typing import Any

import pytest

from gswarm_tui.errors import PlaybookError, UsageError
from gswarm_tui.playbook.language import schema
from gswarm_tui.playbook.language.reader import Reader
from gswarm_tui.playbook.language.variables import parse_overrides
from gswarm_tui.yamlfile import load_yaml

PLAYBOOK = """\
name: deploy ${vars.model}
description: to ${vars.disk}
vars:
  model:
  node: node1
  disk: ${vars.node}:disk
  port: 8080
  rate: 0.5
  keep: false
  places: [node1, "${vars.node}"]
  config: {depth: 3}
actions: [{action_id: a}]
"""


def read(**overrides: Any) -> schema.Playbook:
    return schema.read(load_yaml(PLAYBOOK, name="p.yaml"), overrides, default_name="p")


def test_defaults_refer_to_other_variables_in_any_order() -> None:
    values = read(model="tiny", node="node7").variables
    assert values["disk"] == "node7:disk"
    assert values["places"] == ["node1", "node7"]


def test_name_and_description_can_have_variables() -> None:
    playbook = read(model="tiny")
    assert (playbook.name, playbook.description) == ("deploy tiny", "to node1:disk")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("model", "7", "7"),
        ("model", "", ""),
        ("model", "a=b ${vars.node}", "a=b ${vars.node}"),
        ("node", "true", "true"),
        ("port", "9000", 9000),
        ("rate", "2", 2.0),
        ("rate", "0.25", 0.25),
        ("keep", "yes", True),
        ("keep", "false", False),
        ("places", "[a, b]", ["a", "b"]),
        ("config", "{x: 1}", {"x": 1}),
    ],
)
def test_an_override_takes_the_type_of_the_default(name: str, text: str, value: Any) -> None:
    became = read(**{"model": "m", name: text}).variables[name]
    assert became == value
    assert type(became) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("port", "many", "a whole number"),
        ("port", "80.5", "a whole number"),
        ("port", "", "a whole number"),
        ("rate", "fast", "a number"),
        ("keep", "1", "true or false"),
        ("places", "a, b", "a list, such as [a, b]"),
        ("places", "[a", "a list, such as [a, b]"),
        ("config", "x", "a mapping, such as {a: 1}"),
    ],
)
def test_an_override_of_another_type_is_refused(name: str, text: str, expected: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        read(**{"model": "m", name: text})
    assert caught.value.message == f"-e {name}={text} is not {expected}, as its default is"
    assert str(caught.value.where).startswith("p.yaml:")


def test_values_from_a_script_are_taken_as_they_are() -> None:
    assert read(model="m", port=None).variables["port"] is None


def test_an_unknown_variable_names_the_nearest() -> None:
    with pytest.raises(PlaybookError) as caught:
        read(model="m", prot="1")
    assert caught.value.message == (
        "the playbook has no variable `prot` (-e); did you mean `port`?"
    )


def test_a_variable_without_a_default_must_be_given() -> None:
    with pytest.raises(PlaybookError) as caught:
        read()
    assert caught.value.message == "the variable `model` has no value"
    assert caught.value.where == "p.yaml:4:3"
    assert caught.value.hint == "give it with -e model=…"


def test_pairs_of_the_command_line() -> None:
    assert parse_overrides(["a=1", "b=x=y", "a=2", "c="]) == {"a": "2", "b": "x=y", "c": ""}


@pytest.mark.parametrize("pair", ["a", "=1", "a b=1"])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_overrides([pair])
    assert caught.value.where == "-e"


TYPED = """\
vars:
  text: {type: text, default: a}
  number: {type: number, default: 0.5}
  integer: {type: integer, default: 80, choices: [80, 81]}
  boolean: {type: boolean, default: false, description: whether}
  list: {type: list, default: ["${vars.text}"]}
  device: {type: device, default: "node1:disk"}
  node: {type: node, default: node1}
  model: {type: model, default: tiny}
  plain: {kind: text, default: a}
actions: [{action_id: a}]
"""


def typed(**overrides: Any) -> schema.Playbook:
    return schema.read(load_yaml(TYPED, name="p.yaml"), overrides, default_name="p")


def test_a_variable_can_have_a_type() -> None:
    assert typed().variables == {
        "text": "a",
        "number": 0.5,
        "integer": 80,
        "boolean": False,
        "list": ["a"],
        "device": "node1:disk",
        "node": "node1",
        "model": "tiny",
        "plain": {"kind": "text", "default": "a"},
    }


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("text", "7", "7"),
        ("number", "7", 7),
        ("number", 7.5, 7.5),
        ("integer", "81", 81),
        ("boolean", "yes", True),
        ("list", "[x, 1]", ["x", 1]),
        ("list", ["x"], ["x"]),
        ("device", "node2:gpu0", "node2:gpu0"),
        ("node", "192.168.1.101", "192.168.1.101"),
        ("model", "big-7b", "big-7b"),
    ],
)
def test_a_given_value_takes_the_type(name: str, given: Any, value: Any) -> None:
    became = typed(**{name: given}).variables[name]
    assert became == value
    assert type(became) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("text", 7, "-e text=7 is not text, which its type is"),
        ("number", "fast", "-e number=fast is not a number, which its type is"),
        ("number", "true", "-e number=true is not a number, which its type is"),
        ("integer", "80.5", "-e integer=80.5 is not a whole number, which its type is"),
        ("integer", "82", "-e integer=82 is not one of its choices: 80, 81"),
        ("boolean", "1", "-e boolean=1 is not true or false, which its type is"),
        ("list", "x", "-e list=x is not a list, such as [a, b], which its type is"),
        (
            "device",
            "node2",
            "-e device=node2 is not a device, such as node1:disk, which its type is",
        ),
        ("node", "a b", "-e node=a b is not the name of a node, which its type is"),
        ("model", "a/b", "-e model=a/b is not the name of a model, which its type is"),
        ("model", None, "-e model=None is not the name of a model, which its type is"),
    ],
)
def test_a_given_value_of_another_type_is_refused(name: str, given: Any, expected: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        typed(**{name: given})
    assert caught.value.message == expected


def test_a_variable_of_the_environment_is_a_default() -> None:
    text = "vars: {home: '${env.HOME}/x'}\nactions: [{action_id: a}]"
    document = load_yaml(text, name="p.yaml")
    reader = Reader(environ={"HOME": "/h"})
    playbook = schema.read(document, {}, default_name="p", reader=reader)
    assert playbook.variables == {"home": "/h/x"}
    assert playbook.origin().environment == {"HOME": "/h"}
