from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from gswarm_tui.errors import GswarmError, PlaybookError
from gswarm_tui.jobs import Runner
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan
from gswarm_tui.playbook.actions.noop import Noop, NoopResult
from gswarm_tui.state.database import Database

if TYPE_CHECKING:
    from tests.playbook.conftest import FakeModels

MakePlan: TypeAlias = Callable[..., Plan]


def ids(plan: Plan) -> list[str]:
    return [planned.action_id for planned in plan.actions]


def messages(plan: Plan) -> list[str]:
    return [planned.summary for planned in plan.actions]


def noop(each: str, message: str = "") -> str:
    text = f"- {{action_id: a, action_type: noop, for_each: {each}"
    return text + (f', message: "{message}"}}\n' if message else "}\n")


@pytest.mark.parametrize(
    ("items", "labels"),
    [
        ("[node1, node2]", ["node1", "node2"]),
        ("[7, 8.5, true]", ["7", "8.5", "true"]),
        ("[a, a]", ["0", "1"]),
        ("[a, two words]", ["0", "1"]),
        ("[1, '1']", ["0", "1"]),
        ("[a, null]", ["0", "1"]),
        ("[{a: 1}]", ["0"]),
        ("{m: [x, y], n: [z]}", ["0", "1"]),
        ("[]", []),
        ("{m: [x], n: []}", []),
    ],
)
def test_an_item_names_its_action(make_plan: MakePlan, items: str, labels: list[str]) -> None:
    assert ids(make_plan(noop(items))) == [f"a[{label}]" for label in labels]


def test_an_item_is_there_with_its_number(make_plan: MakePlan) -> None:
    plan = make_plan(noop("[x, y]", "${each.index} ${each.value}"))
    assert messages(plan) == ["0 x", "1 y"]


def test_the_keys_of_an_item_are_there(make_plan: MakePlan) -> None:
    plan = make_plan(noop("[{x: m, y: 1}, {x: n, y: 2}]", "${each.x}${each.y}"))
    assert messages(plan) == ["m1", "n2"]


def test_names_with_lists_make_every_combination(make_plan: MakePlan) -> None:
    plan = make_plan(noop("{m: [a, b], node: '${nodes.all}'}", "${each.m} ${each.node}"))
    assert messages(plan) == ["a node1", "a node2", "b node1", "b node2"]


def test_variables_and_nodes_are_lists(make_plan: MakePlan) -> None:
    text = "vars: {l: [x, y]}\nactions:\n" + noop("'${vars.l}'")
    assert ids(make_plan(text)) == ["a[x]", "a[y]"]
    assert ids(make_plan(noop("'${nodes.node[1-2] !node1}'"))) == ["a[node2]"]


def test_a_value_keeps_its_type(make_plan: MakePlan) -> None:
    plan = make_plan("""
- action_id: a
  action_type: serve
  for_each: [{gpu: 0, port: 8000}, {gpu: 1, port: 8001}]
  model_name: m${each.index}
  device: node1:gpu${each.gpu}
  port: ${each.port}
""")
    assert [planned.action.known()["port"] for planned in plan.actions] == [8000, 8001]


DEPENDING = """
- {action_id: a, action_type: noop, for_each: ITEMS, message: "got ${each.value}"}
- {action_id: b, action_type: noop, dependencies: [a]}
- {action_id: c, action_type: stop_serve, model_name: m, devices: "${s.devices}"}
- {action_id: s, action_type: noop, for_each: [x], dependencies: [b]}
"""


def test_a_dependency_is_on_all_of_them(make_plan: MakePlan) -> None:
    text = "".join(DEPENDING.splitlines(keepends=True)[:3])
    plan = make_plan(text.replace("ITEMS", "[x, y]"))
    assert plan.actions[-1].needs == ("a[x]", "a[y]")
    assert make_plan(text.replace("ITEMS", "[]")).actions[-1].needs == ()


LISTS = """
- action_id: fetch
  action_type: download
  for_each: [node1, node2]
  model_name: m
  device: ${each.value}:disk
  when: WHEN
- {action_id: end, action_type: delete, model_name: m, devices: "${fetch.device}"}
- action_id: tell
  action_type: command
  node: node1
  argv: ${fetch.path}
"""


def test_a_field_of_all_is_a_list(make_plan: MakePlan) -> None:
    plan = make_plan(LISTS.replace("WHEN", "true"))
    by_id = {planned.action_id: planned for planned in plan.actions}
    assert by_id["end"].summary == "m from node1:disk, node2:disk"
    assert by_id["tell"].action.late == {"argv": "${fetch.path}"}
    assert by_id["tell"].needs == ("fetch[node1]", "fetch[node2]")
    results = {
        "fetch[node2]": SimpleNamespace(path="/two"), "fetch[node1]": SimpleNamespace(path="/one")
    }  # fmt: skip
    action: Any = plan.complete(by_id["tell"], results)
    assert action.argv == ("/one", "/two")
    del results["fetch[node1]"]
    action = plan.complete(by_id["tell"], results)
    assert action.argv == ("/two",)


def test_those_that_are_not_done_are_not_in_the_list(make_plan: MakePlan) -> None:
    plan = make_plan(LISTS.replace("WHEN", "${each.value} != node1"))
    by_id = {planned.action_id: planned for planned in plan.actions}
    assert by_id["end"].summary == "m from node2:disk"


def test_one_for_each_can_refer_to_another(make_plan: MakePlan) -> None:
    plan = make_plan("""
- {action_id: a, action_type: command, for_each: [1, 2], node: node1, argv: [ls]}
- {action_id: b, action_type: noop, for_each: [x, y], message: "${each.value}${one.message}"}
- {action_id: one, action_type: noop, dependencies: [a]}
""")
    assert ids(plan) == ["a[1]", "a[2]", "one", "b[x]", "b[y]"]
    last = plan.complete(plan.actions[-1], {"one": NoopResult("!")})
    assert isinstance(last, Noop)
    assert last.message == "y"  # the message of `one` was certain before the run


def test_items_side_by_side_must_not_disturb_each_other(make_plan: MakePlan) -> None:
    text = "- {action_id: a, action_type: download, for_each: [x, y], device: 'node1:disk'"
    make_plan(text + ', model_name: "${each.value}"}')
    with pytest.raises(PlaybookError, match=r"`a\[x\]` writes m on node1:disk"):
        make_plan(text + ", model_name: m}")


def test_ten_thousand_are_no_trouble(make_plan: MakePlan) -> None:
    text = "- {action_id: b, action_type: noop, dependencies: [a]}\n"
    plan = make_plan(
        "actions:\n" + noop("'${vars.l}'") + text + "vars: {l: []}", l=[*range(10_000)]
    )
    assert len(plan.actions) == 10_001
    assert len(plan.actions[-1].needs) == 10_000


def test_too_many_needs_are_refused(make_plan: MakePlan) -> None:
    text = "- {action_id: b, action_type: noop, for_each: '${vars.l}', dependencies: [a]}\n"
    with pytest.raises(PlaybookError, match="need too many others") as caught:
        make_plan("vars: {l: []}\nactions:\n" + noop("'${vars.l}'") + text, l=[*range(2000)])
    assert caught.value.hint is not None
    assert "noop" in caught.value.hint


CHAIN = """
- {action_id: fetch, action_type: download, for_each: [node1, node2], model_name: m,
   source: 'hf://o/m', device: '${each.value}:disk'}
- {action_id: load, action_type: move, for_each: [node2, node1], model_name: m,
   devices: ['${each.value}:disk', '${each.value}:dram'], dependencies: ['fetch[${each.value}]']}
"""
TELL = """
- {action_id: tell, action_type: command, for_each: [node1], node: node1, argv: '${fetch.path}',
   dependencies: ['fetch[${ each.value }]', 'load[${each.value}]']}
"""


def test_an_action_needs_only_the_one_of_its_item(make_plan: MakePlan) -> None:
    assert {one.action_id: one.needs for one in make_plan(CHAIN + TELL).actions} == {
        "fetch[node1]": (),
        "fetch[node2]": (),
        "load[node2]": ("fetch[node2]",),
        "load[node1]": ("fetch[node1]",),
        "tell[node1]": ("fetch[node1]", "fetch[node2]", "load[node1]"),  # it refers to all paths
    }


def test_what_needs_another_item_is_not_in_order_with_it(make_plan: MakePlan) -> None:
    crossed = CHAIN.replace("'${each.value}:dram'", "'node1:dram'").replace("node2, node1", "node2")
    make_plan(crossed)
    with pytest.raises(PlaybookError, match="nothing says which is first"):
        make_plan(
            crossed.replace("'${each.value}:disk', 'node1:dram'", "'node1:disk', 'node2:dram'")
        )
    late = (
        crossed + "- {action_id: end, action_type: delete, model_name: m, device: 'node2:disk',\n"
    )
    make_plan(late + "   dependencies: [load]}\n")
    with pytest.raises(PlaybookError, match="nothing says which is first"):
        make_plan(late.replace("node2:disk", "node1:disk") + "   dependencies: [load]}\n")


def test_items_of_ten_thousand_are_no_trouble(make_plan: MakePlan) -> None:
    items = str(list(range(10_000)))
    made = make_plan(
        f"- {{action_id: a, action_type: noop, for_each: {items}}}\n"
        f"- {{action_id: b, action_type: noop, for_each: {items},"
        " dependencies: ['a[${each.value}]']}\n"
    )
    assert made.actions[-1].needs == ("a[9999]",)


async def test_a_node_that_fails_holds_up_no_other(
    make_plan: MakePlan, models: Models, fake: "FakeModels", database: Database
) -> None:
    text = CHAIN.replace("model_name: m", "model_name: 'm-${each.value}'")
    fake.failures["download", "m-node1"] = GswarmError("404")
    result = await Runner(make_plan(text), models, database).run()
    states = {task.task.action_id: str(task.state) for task in result.tasks}
    assert states == {
        "fetch[node1]": "failed",
        "fetch[node2]": "succeeded",
        "load[node2]": "succeeded",
        "load[node1]": "skipped",
    }
