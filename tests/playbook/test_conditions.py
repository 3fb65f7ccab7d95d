from typing import Any

import pytest

from gswarm_tui.playbook.language.conditions import read
from gswarm_tui.playbook.language.expressions import ExpressionError, Reference

VALUES = {"yes": True, "no": False, "port": 80, "name": "tiny", "empty": "", "none": None}
VALUES |= {"text": "true", "list": [1], "op": "a == b"}


def value(reference: Reference, whole: bool) -> Any:
    return VALUES[reference.field]


@pytest.mark.parametrize(
    ("written", "holds"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("not true", False),
        ("${vars.yes}", True),
        ("${vars.text}", True),
        ("not ${vars.yes}", False),
        ("not   ${vars.no}", True),
        ("${vars.port} == 80", True),
        ("${vars.port}==80", True),
        ("80 != ${vars.port}", False),
        ("${vars.yes} == true", True),
        ("${vars.name}-7b == tiny-7b", True),
        ("${vars.none} == ''", True),
        ('${vars.empty} != ""', False),
        ("${vars.name} == 'tiny'", True),
        ('${vars.name} == "rock and roll"', False),
        ("${vars.op} == 'a == b'", True),
        ("$${x} == $${x}", True),
    ],
)
def test_a_condition_is_true_or_false(written: bool | str, holds: bool) -> None:
    assert read(written).holds(value) is holds


@pytest.mark.parametrize(
    "written",
    [
        "",
        "tiny",
        "yes",
        "${vars.yes} ${vars.yes}",
        "${vars.yes} and ${vars.no}",
        "not not true",
        "not ${vars.port} > 3",
        "${vars.port} <= 80",
        "${vars.port} == 80 && true",
        "== 3",
        "a == b == c",
        "len(x)",
        "${vars.port} in 80",
    ],
)
def test_there_is_nothing_more(written: str) -> None:
    with pytest.raises(ExpressionError):
        read(written)


@pytest.mark.parametrize("written", ["${vars.port}", "not ${vars.name}", "${vars.list} == 1"])
def test_a_value_must_fit(written: str) -> None:
    condition = read(written)
    with pytest.raises(ExpressionError):
        condition.holds(value)
