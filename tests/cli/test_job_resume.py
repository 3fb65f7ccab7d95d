"""`gswarm job resume` and `retry`: what is refused, and what is done again; with no node at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gswarm_tui.state.states import State

from .conftest import Command
from .story import Story

PLAYBOOK = """
name: steps
vars: {go: false}
actions:
  - {action_id: one, action_type: noop, message: first}
  - {action_id: two, action_type: noop, message: "${one.message}", when: "${vars.go}"}
  - {action_id: three, action_type: noop, dependencies: [two]}
"""


@pytest.fixture
def ran(gswarm: Command, tmp_path: Path) -> Command:
    """A job of three steps, of which two ran."""
    (tmp_path / "steps.yaml").write_text(PLAYBOOK)
    assert gswarm("run", "steps.yaml").code == 0
    return gswarm


def attempts(gswarm: Command) -> list[int]:
    return [task["attempt"] for task in gswarm("job", "show", "1", "--json").document["tasks"]]


def test_what_has_ended_is_not_resumed_but_done_again_from_a_task_on(ran: Command) -> None:
    refused = ran("job", "resume", "1")
    assert refused.code == 2
    assert "error: job 1 has ended: succeeded" in refused.err
    assert "gswarm job retry 1" in refused.err
    nothing = ran("job", "retry", "1")
    assert nothing.code == 2
    assert "nothing of job 1 failed" in nothing.err
    unknown = ran("job", "retry", "1", "--from", "tree")
    assert unknown.code == 2
    assert "did you mean `three`?" in unknown.err
    assert attempts(ran) == [1, 0, 1]
    assert ran("job", "retry", "1", "--from", "three").code == 0
    assert attempts(ran) == [1, 0, 2]


def test_from_a_task_on_is_beside_what_failed(ran: Command, story: Story) -> None:
    story.database.execute("UPDATE tasks SET state = 'failed' WHERE action_id = 'one'")
    assert ran("job", "retry", "1", "--from", "three").code == 0
    assert attempts(ran) == [2, 0, 2]


def test_it_may_get_another_time_limit(ran: Command) -> None:
    for verb in ("resume", "retry"):
        refused = ran("job", verb, "1", "--timeout", "0")
        assert refused.code == 2
        assert "a time limit of 0 would end everything at once" in refused.err
    ran("queue", "pause")
    late = ran("job", "retry", "1", "--from", "three", "--timeout", "20ms")
    assert late.code == 5
    assert "the job took longer than 0.02 s" in late.err
    assert "gswarm job resume 1 --timeout TIME" in late.err
    ran("queue", "resume")
    assert ran("job", "resume", "1", "--timeout", "10m").code == 0


def test_the_events_of_a_resumed_job_begin_with_what_was_done(ran: Command) -> None:
    ended = ran("job", "retry", "last", "--from", "three", "--json")
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert events[0]["event"] == "job_started"
    assert [task["action_id"] for task in events[0]["done"]] == ["one"]
    finished = [event for event in events if event["event"] == "task_finished"]
    assert [(event["action_id"], event["state"]) for event in finished] == [
        ("two", "skipped"),  # its `when` is looked at again
        ("three", "succeeded"),
    ]


def test_the_playbook_of_then_is_run_and_not_the_file_of_now(ran: Command, tmp_path: Path) -> None:
    (tmp_path / "steps.yaml").write_text("no playbook any more")
    assert ran("job", "retry", "1", "--from", "one").code == 0
    assert attempts(ran) == [2, 0, 2]


def test_a_job_that_was_cancelled_goes_on(ran: Command, story: Story) -> None:
    # As if it had been cancelled between its steps.
    story.database.execute("UPDATE jobs SET state = 'cancelled'")
    story.database.execute("UPDATE tasks SET state = 'cancelled' WHERE action_id = 'three'")
    assert ran("job", "resume", "1").code == 0
    assert attempts(ran) == [1, 0, 2]
    assert ran("jobs", "--json").document["jobs"][0]["state"] == State.SUCCEEDED


def test_a_job_that_somebody_runs_is_left_to_them(gswarm: Command, story: Story) -> None:
    story.waiting()
    for verb in ("resume", "retry"):
        refused = gswarm("job", verb, "1")
        assert refused.code == 2
        assert "job 1 is run by process 7 on cabin" in refused.err


def test_a_job_of_a_version_that_kept_no_document_cannot_be_run_again(
    gswarm: Command, story: Story
) -> None:
    story.failed()
    refused = gswarm("job", "retry", "1")
    assert refused.code == 2
    assert "was made by an older gswarm and cannot be run again" in refused.err
    assert story.jobs.recent()[0].state is State.FAILED


def test_a_wrong_overlap_is_refused_before_anything_is_opened_again(ran: Command) -> None:
    refused = ran("job", "retry", "1", "--from", "one", "--overlap", "maybe")
    assert refused.code == 2
    assert "--overlap maybe is none of" in refused.err
    assert ran("jobs", "--json").document["jobs"][0]["state"] == State.SUCCEEDED
