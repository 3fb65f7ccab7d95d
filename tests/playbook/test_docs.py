"""docs/playbooks.md says what there is, and nothing else."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gswarm_tui.playbook import Plan
from gswarm_tui.playbook.actions import TYPES

TEXT = (Path(__file__).parents[2] / "docs" / "playbooks.md").read_text()
SECTIONS = {
    section.split("`")[1]: section for section in re.split(r"^### ", TEXT, flags=re.M)[1:]
    if section.startswith("`")
}  # fmt: skip
COMMON = {"action_id", "action_type", "dependencies"}


def named(section: str, heading: str) -> set[str]:
    """The names in the first column of the table with that heading."""
    table = re.search(rf"^\| {heading} \| \|\n\|---\|---\|\n((?:\|.*\n)+)", section, flags=re.M)
    rows = table[1].splitlines() if table else []
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}


def certain(section: str) -> set[str]:
    return set(re.findall(r"`(\w+)` •", section))


def test_every_action_type_has_its_section() -> None:
    assert set(SECTIONS) == set(TYPES)


@pytest.mark.parametrize("name", TYPES)
def test_all_keys_are_there(name: str) -> None:
    written = set(TYPES[name].written.model_fields) - COMMON
    assert named(SECTIONS[name], "key") - {"framework"} == written


@pytest.mark.parametrize("name", TYPES)
def test_all_fields_that_it_returns_are_there(name: str) -> None:
    section = SECTIONS[name]
    fields = named(section, "returns")
    if "Returns what `download` returns" in section:
        fields |= named(SECTIONS["download"], "returns")
        fields |= set(re.findall(r", and `(\w+)`\.", section))
    assert fields == set(TYPES[name].fields())


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("download", "device: 'node1:disk'"),
        ("serve", "device: 'node1:gpu0'"),
        ("stop_serve", "device: 'node1:gpu0'"),
        ("delete", "device: 'node1:gpu0'"),
    ],
)
def test_what_is_marked_as_certain_is_known_before_the_run(
    name: str, rest: str, make_plan: Callable[[str], Plan]
) -> None:
    plan = make_plan(f"- {{action_id: a, action_type: {name}, model_name: m, {rest}}}")
    assert certain(SECTIONS[name]) == set(plan.actions[0].action.known())


def test_the_example_is_right(make_plan: Callable[[str], Plan]) -> None:
    example = re.search(r"```yaml\n(.*?)```", TEXT, flags=re.S)
    assert example is not None
    assert [planned.needs for planned in make_plan(example[1]).actions] == [
        (),
        ("fetch",),
        ("serve",),
    ]
