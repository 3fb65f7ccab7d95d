import json
from pathlib import Path

import pytest

from gswarm_tui.errors import PlaybookError
from gswarm_tui.inventory import Inventory
from gswarm_tui.playbook import Origin, load, plan, reload

PLAYBOOK = """
vars: {model: tiny, port: 8000}
include: [part.yaml]
actions:
  - {action_id: a, action_type: noop, message: "${vars.model} ${vars.port} ${env.SITE}"}
"""
PART = "- {action_id: b, action_type: noop, message: '${env.ROOM}', when: '${env.SITE} == lab'}\n"


@pytest.fixture
def origin(tmp_path: Path, inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> Origin:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(PLAYBOOK)
    Path("part.yaml").write_text(PART)
    environ = {"SITE": "lab", "ROOM": "3", "OTHER": "unused"}
    playbook = load(Path("p.yaml"), {"port": "9000"}, environ=environ)
    return plan(playbook, inventory).origin


def test_a_job_is_read_again_as_it_was(origin: Origin, inventory: Inventory) -> None:
    kept = json.loads(json.dumps(origin.to_json()))
    Path("p.yaml").write_text("- {action_id: c, action_type: noop}\n")
    Path("part.yaml").unlink()
    again = plan(reload(Origin.from_json(kept), environ={"SITE": "office"}), inventory)
    assert {one.action_id: one.summary for one in again.actions} == {
        "part-b": "3",
        "a": "tiny 9000 lab",
    }
    assert all(one.runs for one in again.actions)
    assert (again.file, again.name) == ("p.yaml", "p")
    assert again.origin == origin


def test_only_what_was_used_is_kept(origin: Origin) -> None:
    assert origin.environment == {"SITE": "lab", "ROOM": "3"}
    assert origin.texts == {"p.yaml": PLAYBOOK, "part.yaml": PART}
    assert origin.overrides == {"port": "9000"}


def test_a_file_that_was_not_a_part_is_not_read(origin: Origin) -> None:
    kept = origin.to_json()
    del kept["texts"]["part.yaml"]
    with pytest.raises(PlaybookError, match=r"part\.yaml was not a part of the playbook"):
        reload(Origin.from_json(kept))


def test_what_looks_like_a_secret_is_read_from_the_environment_again(
    tmp_path: Path, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text("- {action_id: a, action_type: noop, message: '${env.A_TOKEN}'}\n")
    first = plan(load(Path("p.yaml"), environ={"A_TOKEN": "first-token"}), inventory)
    kept = first.origin.to_json()
    assert "first-token" not in json.dumps(kept)
    again = reload(Origin.from_json(kept), environ={"A_TOKEN": "second-token"})
    made = plan(again, inventory)
    assert made.actions[0].action.known() == {"message": "second-token"}
    assert made.actions[0].summary == "***"
    with pytest.raises(PlaybookError, match="the environment has no `A_TOKEN`"):
        plan(reload(Origin.from_json(kept), environ={}), inventory)


READ_AND_NOT = """
description: "${env.A_TOKEN}"
vars:
  folder: {type: text, default: /tmp, description: "such as ${HOME}/x or ${env.A_TOKEN}"}
  engine: {type: text, default: "a${b", choices: ["a${b", "${env.A_TOKEN}"]}
  given: "a ${b"
actions:
  - {action_id: a, action_type: noop, message: "${env.A_TOKEN}"}
"""


def test_only_what_is_read_as_expressions_is_looked_at(
    tmp_path: Path, inventory: Inventory
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(READ_AND_NOT)
    given = {"given": "x", "engine": "a${b"}
    playbook = load(file, given, environ={"A_TOKEN": "first-token"})
    assert plan(playbook, inventory).actions
    lines = [notice.where.removeprefix(str(file)) for notice in playbook.notices()]
    assert lines == [":2:14", ":8:48"]
