"""Jobs from other terminals: followed, ended, gone on with; whether their process lives or not.

The work is a command on a real node: it says that it began, and ends when a file is there.
"""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from .lab import Command, Lab, until


class Work:
    """A playbook whose first task is held, and what can be seen of it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._began, self._go = lab.folder / "began", lab.folder / "go"
        script = (
            f"echo $$ >> {self._began}; echo at it; until [ -e {self._go} ]; do sleep 0.05; done"
        )
        self.playbook = lab.playbook(
            {
                "action_id": "hold",
                "action_type": "command",
                "node": "node1",
                "argv": ["sh", "-c", f"{script}; echo over"],
            },
            {"action_id": "after", "action_type": "noop", "dependencies": ["hold"]},
        )

    def began(self) -> list[int]:
        """The processes of the command so far."""
        return [int(pid) for pid in self._began.read_text().split()] if self._began.exists() else []

    def let_go(self) -> None:
        self._go.touch()

    def runs(self) -> bool:
        return any(map(_lives, self.began()))

    def start(self) -> Command:
        """Run it, until the command is under way."""
        running = self.lab.start("run", self.playbook)
        until(self.began, "the command")
        return running

    def states(self, job: str = "last") -> tuple[str, list[str]]:
        document = self.lab.asked("job", "show", job)
        return document["state"], [task["state"] for task in document["tasks"]]


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def work(lab: Lab) -> Work:
    return Work(lab)


def test_a_job_in_the_background_is_followed_from_any_terminal(lab: Lab, work: Work) -> None:
    handed_over = lab.gswarm("run", work.playbook, "--detach")
    assert (handed_over.code, handed_over.stdout) == (0, "job 1\n")
    watching = lab.start("job", "show", "1", "--watch", "--json")
    reading = lab.start("job", "logs", "1", "hold", "-f")
    until(lambda: reading.says("at it"), "what the command wrote")
    until(lambda: watching.says("task_started"), "the task's beginning")
    assert lab.asked("queue", "tasks")["tasks"][0]["id"] == "1/hold"
    work.let_go()
    watched, read = watching.end(), reading.end()
    assert (watched.code, read.code) == (0, 0)
    events = [json.loads(line) for line in watched.stdout.splitlines()]
    assert [event["action_id"] for event in events if event["event"] == "task_finished"] == [
        "hold",
        "after",
    ]
    assert events[-1]["event"] == "job_finished"
    assert [line for line in read.stdout.splitlines() if line in ("at it", "over")] == [
        "at it",
        "over",
    ]
    assert work.states() == ("succeeded", ["succeeded", "succeeded"])


def test_a_job_is_cancelled_from_another_terminal(lab: Lab, work: Work) -> None:
    running = work.start()
    cancelled = lab.gswarm("job", "cancel", "last")
    assert (cancelled.code, cancelled.stdout) == (0, "job 1: cancelled\n")
    assert running.end().code == 130
    assert not work.runs()
    assert work.states() == ("cancelled", ["cancelled", "cancelled"])


def test_one_task_is_cancelled_and_the_job_fails_without_it(lab: Lab, work: Work) -> None:
    running = work.start()
    assert lab.gswarm("queue", "cancel", "1/hold").code == 0
    assert running.end().code != 0
    assert not work.runs()
    assert work.states()[1] == ["cancelled", "skipped"]


def test_a_job_whose_process_was_killed_is_cancelled_on_its_nodes(lab: Lab, work: Work) -> None:
    work.start().kill()
    assert work.runs()
    assert "job 1 (bad-day) was lost" in lab.gswarm("jobs").stdout
    cancelled = lab.gswarm("job", "cancel", "1")
    assert (cancelled.code, cancelled.stdout) == (0, "job 1: cancelled\n")
    until(lambda: not work.runs(), "the end of the command")
    work.let_go()
    assert lab.gswarm("job", "resume", "1").code == 0
    assert len(work.began()) == 2
    assert work.states() == ("succeeded", ["succeeded", "succeeded"])


@pytest.mark.parametrize("ends_first", [False, True])
def test_a_job_whose_process_was_killed_goes_on_with_what_its_node_did(
    lab: Lab, work: Work, ends_first: bool
) -> None:
    work.start().kill()
    if ends_first:
        work.let_go()
        until(lambda: not work.runs(), "the end of the command")
        resumed = lab.gswarm("job", "resume", "last")
    else:
        going_on = lab.start("job", "resume", "last")
        until(lambda: going_on.says("hold: attempt 2"), "the attempt")
        work.let_go()
        resumed = going_on.end()
    assert resumed.code == 0
    assert len(work.began()) == 1
    assert work.states() == ("succeeded", ["succeeded", "succeeded"])
    written = lab.gswarm("job", "logs", "last", "hold").stdout.splitlines()
    assert [line for line in written if line in ("at it", "over")] == ["at it", "over"]


def test_a_job_is_resumed_and_retried_in_the_background(lab: Lab, work: Work) -> None:
    work.start().kill()
    resumed = lab.gswarm("job", "resume", "1", "--detach")
    assert (resumed.code, resumed.stdout) == (0, "job 1\n")
    refused = lab.gswarm("job", "retry", "1")
    assert refused.code == 2
    assert refused.error[0].startswith("job 1 is run by process")
    work.let_go()
    assert lab.gswarm("job", "show", "1", "--watch").code == 0
    assert len(work.began()) == 1
    again = lab.gswarm("job", "retry", "1", "--from", "hold", "--detach", "--overlap", "wait")
    assert again.code == 0
    assert lab.gswarm("job", "show", "1", "--watch").code == 0
    assert len(work.began()) == 2
    exported = lab.gswarm("job", "export", "1")
    document = json.loads(Path(exported.stdout.strip()).read_text())
    attempts = [attempt["state"] for attempt in document["tasks"][0]["attempts"]]
    assert attempts == ["lost", "succeeded", "succeeded"]
    assert lab.gswarm("job", "rm", "1").code == 0
    assert lab.asked("jobs") == {"jobs": [], "without_job": []}
