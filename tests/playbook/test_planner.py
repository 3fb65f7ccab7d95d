import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.errors import PlaybookError
from gswarm_tui.playbook import Plan, plan
from gswarm_tui.playbook.actions import TYPES
from gswarm_tui.playbook.language import schema
from gswarm_tui.playbook.language.frame import Frame
from gswarm_tui.playbook.language.problems import MAX_NOTED
from gswarm_tui.playbook.language.reader import Reader
from gswarm_tui.playbook.unjudged import Unjudged
from gswarm_tui.yamlfile import load_yaml

from .conftest import two_nodes

MakePlan: TypeAlias = Callable[..., Plan]


def shape(text: str) -> Plan:
    """A plan without an inventory."""
    return plan(schema.read(load_yaml(text, name="p.yaml"), {}, default_name="p"), None)


UNKNOWN = """
- {action_id: a, action_type: download, model_name: m, device: "far:disk"}
- {action_id: b, action_type: download, for_each: "${nodes.gpu}", model_name: m,
   device: "${each.value}:disk", dependencies: [a]}
- {action_id: c, action_type: command, node: far, argv: "${nodes.all}"}
- {action_id: d, action_type: delete, model_name: m, devices: "${b.devices}"}
- {action_id: e, action_type: noop, dependencies: [b, d]}
"""


def test_without_an_inventory_shapes_are_checked() -> None:
    made = shape(UNKNOWN)
    judged = {one.action_id: not isinstance(one.action, Unjudged) for one in made.actions}
    assert judged == {"a": True, "b": False, "c": False, "d": False, "e": True}
    assert {one.action_id: one.needs for one in made.actions}["e"] == ("b", "d")
    assert made.actions[0].summary == "m from its registered source to far:disk"


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("action_type: delete, model_name: m, device: far", "did you mean `far:disk`?"),
        ("action_type: noop, mesage: x", "did you mean `message`?"),
        ("action_type: noop, message: '${x.y}'", "there is no action `x`"),
        ("action_type: noop, for_each: '${nodes.a}', message: '${z.y}'", "no action `z`"),
        ("action_type: noop, for_each: '${nodes.a}', mesage: x", "did you mean `message`?"),
        ("action_type: noop, for_each: '${nodes.a}', message: '${each.x}'", "has no `x`"),
        ("action_type: command, node: '${nodes.a}', argv: [ls]", "it is one node"),
        (
            "action_type: delete, model_name: m, for_each: {n: '${nodes.a}', t: [disc]},"
            " device: '${each.n}:${each.t}'",
            "did you mean `a-node:disk`?",
        ),
    ],
)
def test_without_an_inventory_shapes_can_be_wrong(action: str, message: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        shape(f"- {{action_id: a, {action}}}")
    assert message in str(caught.value)


def test_what_is_not_judged_cannot_be_run() -> None:
    made = shape(UNKNOWN)
    assert made.actions[1].summary == "depends on which nodes there are"


VALUES: list[Any] = [
    *(None, True, 0, -1, 3.5, 10**30, "", "x", "a" * 300, [], [1], [[]], [{}], {}, {"x": [1]}),
    *("${", "${}", "$${x}", "${vars.a}", "${vars.l}", "${vars.m}", "x ${vars.l}", "${vars.no}"),
    *("${a.message}", "${b.status}", "${b.output}", "${c[x].url}", "${each.value}", "${each.x}"),
    *("${nodes.all}", "${nodes.!!}", "${nodes.[}", "${env.HOME}", "${env.NO}", "${secrets.s}"),
    *("node1", "node1:disk", "node1:gpu0", ["node1:disk", "node2:disk"], ["${vars.l}"]),
    *("== ", "a == b", "not", "not ${vars.t}", "${vars.t} == true", "1h", "critical", "stop"),
    *({"type": "text"}, {"type": []}, {"type": "text", "default": "x", "choices": 3}),
    *({"attempts": 1}, {"attempts": None, "on": None}, {"env": "HOME"}, {"file": "/no"}),
    *("* * * * *", "61 * * * *", "http://[", "hf://a/b", {"m": "${vars.l}"}),
]
VALUE = st.sampled_from(VALUES)


def action_of(word: str) -> st.SearchStrategy[dict[str, Any]]:
    """An action that may be right, and may have anything in any of its keys."""
    keys = [key for key in TYPES[word].written.model_fields if not key.startswith("action_")]
    others = st.dictionaries(st.sampled_from(keys), VALUE, max_size=3)
    right = {
        "download": {"model_name": "m", "device": "node1:disk"},
        "command": {"node": "node1", "argv": ["ls"]},
        "health_check": {"target_url": "http://x/"},
        "noop": {},
    }.get(word, {"model_name": "m", "device": "node1:gpu0"})
    return others.map(lambda other: {"action_type": word, **right, **other})


ACTIONS = st.lists(st.sampled_from(list(TYPES)).flatmap(action_of), max_size=4)
FRAMES = st.dictionaries(st.sampled_from(list(Frame.model_fields)), VALUE, max_size=2)
RIGHT = {"vars": {"a": "v", "l": ["x", "y"], "m": {"k": 1}, "t": True}}
RIGHT |= {"secrets": {"s": {"env": "KEY"}}}


@given(ACTIONS, FRAMES, st.booleans())
def test_whatever_is_written_is_right_or_told_of(
    some: list[dict[str, Any]], frame: dict[str, Any], known: bool
) -> None:
    named = [{"action_id": name, **one} for name, one in zip("abcd", some, strict=False)]
    text = json.dumps({**RIGHT, "actions": named, **frame})
    document = load_yaml(text, name="p.yaml")
    reader = Reader(environ={"HOME": "/home/ana", "KEY": "s3cr3t"})
    with suppress(PlaybookError):
        playbook = schema.read(document, {}, default_name="p", reader=reader)
        made = plan(playbook, two_nodes() if known else None)
        assert "s3cr3t" not in repr(made)


def actions(count: int, rest: str) -> str:
    return "".join(
        f"- {{action_id: a{index}, {rest.replace('PREVIOUS', f'a{max(index - 1, 0)}')}}}\n"
        for index in range(count)
    )


NOOP = "action_type: noop"
SAME = "action_type: download, model_name: m, device: 'node1:disk'"


@pytest.mark.parametrize(
    ("rest", "problems"),
    [
        (NOOP, 0),
        (f"{SAME}, dependencies: [aPREVIOUS]", 10_000),
        (f"{NOOP}, dependencies: [b]", 10_000),
        (f"{NOOP}, mesage: x", MAX_NOTED),
        (SAME, MAX_NOTED),
    ],
)
def test_large_playbooks_are_judged_in_seconds(
    make_plan: MakePlan, rest: str, problems: int
) -> None:
    text = actions(10_000, rest)
    began = time.process_time()
    if problems:
        with pytest.raises(PlaybookError) as caught:
            make_plan(text)
        assert f"... and {problems - 40} more" in str(caught.value)
    else:
        assert len(make_plan(text).actions) == 10_000
    assert time.process_time() - began < 20  # 2 s on one core of 2024


def test_a_long_chain_on_one_place_is_in_order(make_plan: MakePlan) -> None:
    text = actions(2000, f"{SAME}, dependencies: [PREVIOUS]")
    assert len(make_plan(text.replace(", dependencies: [a0]", "", 1)).actions) == 2000
