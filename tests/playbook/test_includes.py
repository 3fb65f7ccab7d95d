from pathlib import Path

import pytest

from gswarm_tui.errors import PlaybookError
from gswarm_tui.inventory import Inventory
from gswarm_tui.playbook import Plan, load, plan
from gswarm_tui.playbook.language.includes import MAX_INCLUDES

INNER = """
vars: {model: tiny, port: 8000}
actions:
  - {action_id: start, action_type: noop, message: "${vars.model}:${vars.port}"}
  - {action_id: check, action_type: noop, message: "${start.message}!"}
always:
  - {action_id: end, action_type: noop, message: "${check.message}"}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "inner.yaml").write_text(INNER)
    return tmp_path


def planned(text: str, inventory: Inventory) -> Plan:
    Path("p.yaml").write_text(text)
    return plan(load(Path("p.yaml")), inventory)


def messages(plan: Plan) -> dict[str, str]:
    return {planned.action_id: planned.summary for planned in plan.actions}


def test_the_actions_of_a_file_are_part_of_the_playbook(inventory: Inventory) -> None:
    made = planned(
        """
include: [parts/inner.yaml]
actions:
  - {action_id: start, action_type: noop, message: "after ${inner-check.message}"}
  - {action_id: last, action_type: noop, dependencies: [inner-start]}
always:
  - {action_id: end, action_type: noop, dependencies: [inner-end]}
""",
        inventory,
    )
    assert messages(made) == {
        "inner-start": "tiny:8000",
        "inner-check": "tiny:8000!",
        "last": "nothing",
        "start": "after tiny:8000!",
        "inner-end": "tiny:8000!",
        "end": "nothing",
    }
    needs = {one.action_id: one.needs for one in made.actions}
    assert needs["inner-check"] == ("inner-start",)
    assert needs["start"] == ("inner-check",)
    assert needs["last"] == ("inner-start",)
    assert needs["end"] == ("inner-end",)
    assert [one.action_id for one in made.actions if one.options.always] == ["inner-end", "end"]


def test_a_file_can_be_included_again_with_other_values(inventory: Inventory) -> None:
    made = planned(
        """
vars: {base: llama, file: inner}
include:
  - {file: "parts/${vars.file}.yaml", as: one, vars: {model: "${vars.base}-7b"}}
  - {file: parts/inner.yaml, as: two, vars: {port: 9000}}
""",
        inventory,
    )
    found = messages(made)
    assert (found["one-start"], found["two-start"]) == ("llama-7b:8000", "tiny:9000")


def test_files_are_relative_to_the_one_that_names_them(inventory: Inventory) -> None:
    Path("parts/outer.yaml").write_text("include: [inner.yaml, ../top.yaml]\n")
    Path("top.yaml").write_text("- {action_id: a, action_type: noop}\n")
    made = planned("include: [{file: parts/outer.yaml, as: o}]\n", inventory)
    assert set(messages(made)) == {"o-inner-start", "o-inner-check", "o-inner-end", "o-top-a"}
    assert set(made.origin.texts) == {"p.yaml", "parts/outer.yaml", "parts/inner.yaml", "top.yaml"}


def test_places_are_those_of_the_file(inventory: Inventory) -> None:
    made = planned("include: [parts/inner.yaml]\n", inventory)
    assert [one.where for one in made.actions] == [
        f"parts/inner.yaml:{place}" for place in ("4:5", "5:5", "7:5")
    ]


def test_an_included_file_sees_only_itself(inventory: Inventory) -> None:
    Path("parts/inner.yaml").write_text(
        "- {action_id: a, action_type: noop, message: '${own.message} ${vars.x}'}\n"
    )
    with pytest.raises(PlaybookError) as caught:
        planned(
            "vars: {x: 1}\ninclude: [parts/inner.yaml]\n"
            "actions: [{action_id: own, action_type: noop}]\n",
            inventory,
        )
    assert str(caught.value).splitlines() == [
        "parts/inner.yaml:1:46: ${own.message}: there is no action `own`",
        "parts/inner.yaml:1:46: there is no variable `x`; it has none",
    ]


def test_each_file_has_secrets_of_its_own(inventory: Inventory) -> None:
    Path("parts/key").write_text("inner-key")
    Path("parts/inner.yaml").write_text("""
secrets: {key: {file: key}}
actions:
  - {action_id: a, action_type: command, node: node1, argv: [env], env: {K: "${secrets.key}"}}
""")
    made = planned("include: [parts/inner.yaml]\n", inventory)
    assert made.mask("inner-key") == "***"
    action = made.complete(made.actions[0], {})
    assert getattr(action, "env", None) == {"K": "inner-key"}


def chain(length: int) -> None:
    for number in range(1, length):
        Path(f"f{number}.yaml").write_text(f"include: [{{file: f{number + 1}.yaml, as: x}}]\n")
    Path(f"f{length}.yaml").write_text("- {action_id: a, action_type: noop}\n")


def test_files_include_each_other_over_twenty_levels(inventory: Inventory) -> None:
    chain(20)
    assert len(planned("include: [{file: f1.yaml, as: x}]\n", inventory).actions) == 1
    chain(21)
    with pytest.raises(PlaybookError, match="over 20 levels") as caught:
        planned("include: [{file: f1.yaml, as: x}]\n", inventory)
    assert caught.value.where == "f20.yaml:1:11"


def test_files_that_multiply_are_stopped(inventory: Inventory) -> None:
    for number in range(12):
        both = ", ".join(f"{{file: f{number + 1}.yaml, as: {name}}}" for name in "ab")
        Path(f"f{number}.yaml").write_text(f"include: [{both}]\n")
    Path("f12.yaml").write_text("- {action_id: a, action_type: noop}\n")
    with pytest.raises(PlaybookError, match=f"more than {MAX_INCLUDES} files"):
        planned("include: [f0.yaml]\n", inventory)


def test_a_file_with_an_error_in_it_is_told_of_at_its_place(inventory: Inventory) -> None:
    Path("parts/inner.yaml").write_text("actions: [\n")
    with pytest.raises(PlaybookError) as caught:
        planned("include: [parts/inner.yaml]\n", inventory)
    assert str(caught.value.where).startswith("parts/inner.yaml:")
