from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.playbook.language.expressions import (
    ExpressionError,
    Reference,
    expressions,
    parse,
    substitute,
)

VALUES = {
    "vars.name": "tiny",
    "vars.port": 8080,
    "vars.rate": 0.5,
    "vars.yes": True,
    "vars.none": None,
    "vars.list": ["a", "b"],
    "vars.sly": "${vars.name} $${x}",
    "serve-it.url": "http://node1:8080",
}


def lookup(reference: Reference, whole: bool) -> Any:
    return VALUES[f"{reference.owner}.{reference.field}"]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("plain $5 {x} $", "plain $5 {x} $"),
        ("${vars.name}", "tiny"),
        ("${ vars.name }", "tiny"),
        ("${vars.port}", 8080),
        ("${vars.rate}", 0.5),
        ("${vars.yes}", True),
        ("${vars.none}", None),
        ("${vars.list}", ["a", "b"]),
        ("at ${vars.port}!", "at 8080!"),
        ("${vars.name}${vars.port}", "tiny8080"),
        ("is ${vars.yes}", "is true"),
        ("${serve-it.url}/v1", "http://node1:8080/v1"),
        ("$${vars.name}", "${vars.name}"),
        ("$$${vars.name}", "$${vars.name}"),
        ("$${a} ${vars.name}", "${a} tiny"),
        ({"k": ["${vars.port}", {"l": "x-${vars.name}"}]}, {"k": [8080, {"l": "x-tiny"}]}),
        (7, 7),
        (None, None),
    ],
)
def test_what_an_expression_becomes(written: Any, value: Any) -> None:
    became = substitute(written, lookup)
    assert became == value
    assert type(became) is type(value)


def test_a_value_is_not_read_again_for_expressions() -> None:
    assert substitute("${vars.sly}", lookup) == "${vars.name} $${x}"
    assert substitute("<${vars.sly}>", lookup) == "<${vars.name} $${x}>"


@pytest.mark.parametrize("name", ["list", "none"])
def test_a_value_that_is_no_text_cannot_be_part_of_one(name: str) -> None:
    with pytest.raises(ExpressionError, match="cannot be part of a text"):
        substitute(f"x ${{vars.{name}}}", lookup)


@pytest.mark.parametrize(
    "text", ["${}", "${name}", "${a.b.c}", "${a b.c}", "${1+1}", "${vars['x']}", "${", "x ${a.b"]
)
def test_nothing_else_is_evaluated(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


def test_a_text_with_its_values_has_a_longest_length() -> None:
    # Variables of variables could double it with each line of a playbook.
    half = "x" * 2**19
    assert len(substitute("${vars.a}${vars.a}", lambda *_: half)) == 2**20
    with pytest.raises(ExpressionError, match="longer than 1048576 characters"):
        substitute("${vars.a}${vars.a}.", lambda *_: half)


@given(st.text())
def test_any_text_can_be_escaped(text: str) -> None:
    escaped = text.replace("${", "$${")
    assert substitute(escaped, lookup) == text
    assert expressions(escaped) == []
