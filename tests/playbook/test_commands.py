"""The action types `command` and `noop`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gswarm_tui.errors import PlaybookError, RemoteError
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan
from gswarm_tui.progress import Progress
from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry

from ..models.fake import FakeFleet

MakePlan = Callable[[str], Plan]

BUILD = """
- action_id: build
  action_type: command
  node: 192.168.1.100
  argv: [make, -j, 4]
  cwd: ~/src
  env: {LEVEL: 3, NAME: x}
  creates: out/model.bin
"""


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet()


@pytest.fixture
def models(fleet: FakeFleet, database: Database) -> Models:
    return Models(fleet, Registry(database))  # type: ignore[arg-type]


async def test_a_command_runs_on_its_node(
    make_plan: MakePlan, models: Models, fleet: FakeFleet
) -> None:
    action = make_plan(BUILD).actions[0].action
    assert action.summary() == "make -j 4 on node1"
    assert "unless out/model.bin is there" in action.sentence()
    assert [use.key for use in action.uses()] == [("command", "node1")]
    fleet["node1"].commands["make"] = {"output": "built\n"}
    told: list[Progress] = []
    result = await action.run(models, progress=told.append)
    assert (result.node, result.output, result.status) == ("node1", "built\n", 0)
    assert [report.output for report in told] == ["built\n"]
    asked = fleet["node1"].asked("command.run")[0]
    assert asked["argv"] == ["make", "-j", "4"]
    assert (asked["cwd"], asked["creates"]) == ("~/src", "out/model.bin")
    assert asked["env"] == {"LEVEL": "3", "NAME": "x"}


async def test_a_command_that_fails_fails_the_action(
    make_plan: MakePlan, models: Models, fleet: FakeFleet
) -> None:
    fleet["node1"].commands["make"] = {"status": 2, "output": "no rule"}
    with pytest.raises(RemoteError) as caught:
        await make_plan(BUILD).actions[0].action.run(models, progress=lambda report: None)
    assert caught.value.kind == "failed"
    assert "no rule" in caught.value.message


def test_what_it_is_given_in_its_environment_is_shown_nowhere(make_plan: MakePlan) -> None:
    plan = make_plan("- {action_id: a, action_type: command, node: node1, argv: [x], env: {K: v0}}")
    action = plan.actions[0].action
    assert "v0" not in f"{action!r} {action.summary()} {action.sentence()}"


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("node: node1, argv: make -j 4", "write `argv: [make, -j, 4]`"),
        ("node: node1, argv: []", "argv"),
        ("node: node1, argv: [-c]", "not the name of a program"),
        ("node: node1, argv: [sleep, 1.5]", "argv"),
        ("node: node9, argv: [x]", "node9"),
        ("argv: [x]", "node"),
        ("node: node1, argv: [x], env: [A]", "env"),
    ],
)
def test_what_is_written_wrong(make_plan: MakePlan, rest: str, message: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        make_plan(f"- {{action_id: a, action_type: command, {rest}}}")
    assert message in str(caught.value)


async def test_a_noop_says_what_it_is_told_to(make_plan: MakePlan, models: Models) -> None:
    plan = make_plan(
        "- {action_id: a, action_type: noop, message: hello, node: node2}\n"
        "- {action_id: b, action_type: noop, message: '${a.message} you'}\n"
        "- {action_id: c, action_type: noop}"
    )
    actions = {planned.action_id: planned.action for planned in plan.actions}
    said = {name: action.known()["message"] for name, action in actions.items()}
    assert said == {"a": "hello", "b": "hello you", "c": ""}
    assert [use.key for use in actions["a"].uses()] == [("command", "node2")]
    assert list(actions["c"].uses()) == []
    result = await actions["b"].run(models, progress=lambda report: None)
    assert result.message == "hello you"


def test_a_later_action_reads_what_a_command_wrote(make_plan: MakePlan) -> None:
    plan = make_plan(
        "- {action_id: a, action_type: command, node: node1, argv: [date]}\n"
        "- {action_id: b, action_type: noop, message: '${a.output}'}"
    )
    assert plan.actions[1].needs == ("a",)
    assert plan.actions[1].action.summary() == "${a.output}"
