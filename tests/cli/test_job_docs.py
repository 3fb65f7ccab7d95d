"""docs/jobs.md says what there is, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gswarm_tui.cli.commands import load
from gswarm_tui.cli.job_view import open_view, print_event
from gswarm_tui.playbook.actions import TYPES
from gswarm_tui.state.states import JOB_TRANSITIONS, TASK_TRANSITIONS, State

from .conftest import Command
from .story import Story
from .views import EVENTS

TEXT = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text()


def table(heading: str) -> list[list[str]]:
    """The rows of the table with that heading; their cells."""
    found = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT, flags=re.M)
    assert found is not None, heading
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in found[1].splitlines()]


def names(cell: str) -> list[str]:
    return re.findall(r"`([a-z_]+)`", cell)


def test_the_states_are_those_of_the_state_machine() -> None:
    rows = {names(row[0])[0]: row for row in table("state")}
    assert list(rows) == [str(state) for state in State]
    assert {name for name, row in rows.items() if row[1]} == set(map(str, TASK_TRANSITIONS))
    assert {name for name, row in rows.items() if row[2]} == set(map(str, JOB_TRANSITIONS))


def test_what_a_cancel_leaves_is_said_of_every_action_type() -> None:
    said = [name for row in table("action type") for name in names(row[0])]
    assert set(said) == set(TYPES)


@pytest.mark.parametrize("group", ["job", "queue"])
def test_every_command_is_there(group: str) -> None:
    said = {
        word for row in table("command") for word in re.findall(rf"`gswarm {group} (\w+)", row[0])
    }
    assert said == set(load(group).commands)


def test_the_document_has_these_fields(gswarm: Command, story: Story) -> None:
    story.failed()
    document = gswarm("job", "show", "1", "--json").document
    assert {name for row in table("field") for name in names(row[0])} == set(document)
    of_task = table("field of a task")
    (task, *_) = document["tasks"]
    assert {name for row in of_task for name in names(row[0])} == set(task)
    assert set(names(of_task[-1][1])) == set(task["attempts"][0])


def fields_of(row: list[str]) -> set[str]:
    """The fields of an event: the words in code that are in no brackets."""
    return set(names(re.sub(r"\([^)]*\)", "", row[1]).split(": ")[0]))


def test_the_events_have_these_fields(capsys: pytest.CaptureFixture[str]) -> None:
    with open_view(as_json=True, logs=None) as view:
        for event in EVENTS:
            view(event)
        view.cancelling()
    print_event("notice", message="waits")
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {event["event"]: set(event) - {"event", "time"} for event in printed} == {
        names(row[0])[0]: fields_of(row) for row in table("event")
    }
    errors = [event["error"] for event in printed if event.get("error")]
    assert errors == [{"message": "no", "where": "n", "hint": "h", "kind": "failed"}] * 2
