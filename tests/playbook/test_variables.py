from typing import Any

import pytest

from gswarm_tui.errors import PlaybookError, UsageError
from gswarm_tui.playbook import schema
from gswarm_tui.playbook.variables import parse_overrides
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
