"""From a plan to what is drawn of it."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gswarm_tui.playbook import Plan
from gswarm_tui.playbook.drawing import lanes, steps_of

MakePlan = Callable[[str], Plan]


def stop(name: str, *needs: str) -> str:
    """An action that is in nobody's way."""
    what = f"action_id: {name}, action_type: stop_serve, model_name: {name}, device: node1:gpu0"
    return f"- {{{what}, dependencies: [{', '.join(needs)}]}}\n"


def test_a_chain_is_followed_to_its_end(make_plan: MakePlan) -> None:
    plan = make_plan(stop("a") + stop("b", "a") + stop("c", "a") + stop("d", "b") + stop("e", "c"))
    assert [step.id for step in steps_of(plan)] == ["a", "b", "d", "c", "e"]


def test_implied_edges_are_left_out(make_plan: MakePlan) -> None:
    plan = make_plan(stop("a") + stop("b", "a") + stop("c", "a", "b"))
    assert [step.needs for step in steps_of(plan)] == [(), ("a",), ("b",)]


def test_a_large_for_each_is_one_step(make_plan: MakePlan) -> None:
    many = "- {action_id: many, action_type: noop, for_each: %s, dependencies: [a]}\n"
    after = "- {action_id: b, action_type: noop, dependencies: [many, a]}\n"
    plan = make_plan(stop("a") + many % list(range(9)) + after)
    assert [(step.id, step.needs, step.notes) for step in steps_of(plan)] == [
        ("a", (), ()),
        ("many", ("a",), ("× 9",)),
        ("b", ("many",), ()),
    ]
    assert steps_of(plan)[1].summary == "many[0]: nothing; and 8 more"
    assert len(steps_of(plan, fold=9)) == 11
    assert len(steps_of(make_plan(stop("a") + many % list(range(8)) + after))) == 10


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edges=st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=12))
def test_every_step_is_there_once_and_after_what_it_needs(
    make_plan: MakePlan, edges: list[set[int]]
) -> None:
    needs = {f"s{i}": [f"s{j}" for j in sorted(some) if j < i] for i, some in enumerate(edges)}
    steps = steps_of(make_plan("".join(stop(name, *needed) for name, needed in needs.items())))
    assert sorted(step.id for step in steps) == sorted(needs)
    above: dict[str, set[str]] = {}
    for step in steps:
        above[step.id] = set(step.needs).union(*(above[needed] for needed in step.needs))
        assert set(needs[step.id]) <= above[step.id]
    for step, lines in lanes.lay_out(steps, lambda step, _: [step.id, step.summary]):
        assert lines[0].drawn.count("●") == 1
        assert lines[0].label == step.id
