from collections.abc import Callable
from types import SimpleNamespace
from typing import TypeAlias

import pytest

from gswarm_tui.errors import PlaybookError
from gswarm_tui.playbook import Options, Plan, Retry
from gswarm_tui.playbook.build import MissingValueError
from gswarm_tui.state.states import Priority

MakePlan: TypeAlias = Callable[..., Plan]


def options(plan: Plan) -> Options:
    (planned,) = plan.actions
    return planned.options


def test_an_action_says_how_it_is_run(make_plan: MakePlan) -> None:
    plan = make_plan("""
vars: {timeout: 10m, urgency: high}
actions:
  - action_id: a
    action_type: noop
    priority: ${vars.urgency}
    timeout: ${vars.timeout}
    retry: {attempts: 4, backoff: 2s, max_backoff: 1m, on: [unreachable, in_use]}
    on_failure: continue
""")
    on = frozenset({"unreachable", "in_use"})
    assert options(plan) == Options(Priority.HIGH, 600.0, Retry(4, 2.0, 60.0, on), "continue")


def test_what_is_not_said_is_left_open(make_plan: MakePlan) -> None:
    plan = make_plan("- {action_id: a, action_type: noop}")
    assert options(plan) == Options()
    assert (plan.priority, plan.timeout_s, plan.on_failure) == (None, None, "continue")


def test_a_number_is_that_many_attempts(make_plan: MakePlan) -> None:
    plan = make_plan("- {action_id: a, action_type: noop, retry: 3}")
    assert options(plan).retry == Retry(3, 1.0, 60.0, None)


def test_the_longest_backoff_is_no_shorter_than_the_first(make_plan: MakePlan) -> None:
    plan = make_plan("- {action_id: a, action_type: noop, retry: {attempts: 2, backoff: 5m}}")
    assert options(plan).retry == Retry(2, 300.0, 300.0, None)


@pytest.mark.parametrize(("timeout", "limit"), [("", None), (", timeout: 1m", 90.0)])
def test_what_watches_its_own_time_has_more_of_it(
    make_plan: MakePlan, timeout: str, limit: float | None
) -> None:
    text = f"- {{action_id: a, action_type: health_check, target_url: 'http://x/'{timeout}}}"
    assert options(make_plan(text)).timeout_s == limit


def test_the_playbook_says_how_the_job_is_run(make_plan: MakePlan) -> None:
    plan = make_plan("""
vars: {limit: 90}
priority: low
timeout: ${vars.limit}
on_failure: stop
schedule: "0 3 * * 1-5"
actions: [{action_id: a, action_type: noop}]
""")
    assert (plan.priority, plan.timeout_s, plan.on_failure) == (Priority.LOW, 90.0, "stop")
    assert plan.schedule == "0 3 * * 1-5"


WHEN = """
vars: {engine: vllm, flags: {serve: true}}
actions:
  - {action_id: ask, action_type: health_check, target_url: "http://x/"}
  - {action_id: a, action_type: noop, when: "CONDITION"}
"""


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        ("true", True),
        ("false", False),
        ("${vars.engine} == vllm", True),
        ("${vars.engine} != vllm", False),
        ("${ask.ok}", None),
        ("not ${ask.ok}", None),
        ("${ask.status} == 200", None),
    ],
)
def test_a_condition_is_decided_as_soon_as_it_can_be(
    make_plan: MakePlan, condition: str, runs: bool | None
) -> None:
    plan = make_plan(WHEN.replace("CONDITION", condition))
    ask, planned = plan.actions
    assert planned.runs is runs
    assert planned.options.when == condition
    assert planned.needs == (("ask",) if "ask" in condition else ())
    assert ask.runs is True
    assert plan.decide(ask, {}) is True
    if runs is not None:
        assert plan.decide(planned, {}) is runs


def answered(*, status: int, ok: bool) -> dict[str, object]:
    return {"ask": SimpleNamespace(status=status, ok=ok, completion=None)}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("${ask.ok}", True),
        ("not ${ask.ok}", False),
        ("${ask.status} == 200", True),
        ("${ask.completion} == ''", True),
    ],
)
def test_a_condition_of_the_run_is_decided_in_it(
    make_plan: MakePlan, condition: str, holds: bool
) -> None:
    plan = make_plan(WHEN.replace("CONDITION", condition))
    assert plan.decide(plan.actions[1], answered(status=200, ok=True)) is holds


def test_a_condition_on_what_did_not_succeed_cannot_be_decided(make_plan: MakePlan) -> None:
    plan = make_plan(WHEN.replace("CONDITION", "${ask.ok}"))
    with pytest.raises(MissingValueError) as caught:
        plan.decide(plan.actions[1], {})
    assert str(caught.value) == "p.yaml:5:45: there is no ${ask.ok}: `ask` did not succeed"


def test_a_value_of_what_did_not_succeed_is_missing(make_plan: MakePlan) -> None:
    plan = make_plan("""
- {action_id: ask, action_type: health_check, target_url: "http://x/"}
- {action_id: a, action_type: noop, message: "it said ${ask.status}"}
""")
    with pytest.raises(MissingValueError, match="`ask` did not succeed"):
        plan.complete(plan.actions[1], {})


def test_of_two_that_exclude_each_other_one_runs(make_plan: MakePlan) -> None:
    text = """
vars: {from: web}
actions:
  - {action_id: a, action_type: download, model_name: m, device: "node1:disk", when: "${vars.from} == web"}
  - {action_id: b, action_type: copy, model_name: m, devices: ["node2:disk", "node1:disk"], when: WHEN}
"""  # noqa: E501
    plan = make_plan(text.replace("WHEN", '"${vars.from} != web"'))
    assert [planned.runs for planned in plan.actions] == [True, False]
    with pytest.raises(PlaybookError, match="nothing says which is first"):
        make_plan(text.replace("WHEN", "true"))


ALWAYS = """
actions:
  - {action_id: load, action_type: move, model_name: m, devices: ["node1:disk", "node1:gpu0"]}
  - {action_id: serve, action_type: serve, model_name: m, device: "node2:gpu0"}
always:
  - {action_id: tell, action_type: noop, message: "was ${serve.url}", dependencies: [free]}
  - {action_id: free, action_type: delete, model_name: m, device: "node1:gpu0"}
"""


def test_always_is_after_all_others(make_plan: MakePlan) -> None:
    plan = make_plan(ALWAYS)
    assert [one.action_id for one in plan.actions] == ["load", "serve", "free", "tell"]
    assert [one.options.always for one in plan.actions] == [False, False, True, True]
    needs = {one.action_id: one.needs for one in plan.actions}
    assert (needs["free"], needs["tell"]) == ((), ("free", "serve"))
