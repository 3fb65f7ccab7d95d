"""A signal to processes on GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gswarm_tui.errors import UsageError
from gswarm_tui.playbook import load, plan
from gswarm_tui.tui import signalling
from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.signalling import GUARD

from .fleets import fleet, gpu, node, process
from .stage import on_stage

ANSWERS = {"signal": "TERM", "foreign": ""}


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child
        child.kill()


def guard(pid: int, since: float, whose: str = "own") -> subprocess.CompletedProcess[str]:
    words = ["/bin/sh", "-c", GUARD, "sh", str(pid), "TERM", str(round(since)), whose]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_a_process_of_ones_own_gets_it(sleeper: subprocess.Popen[bytes]) -> None:
    assert guard(sleeper.pid, time.time()).returncode == 0
    assert sleeper.wait(10) == -15


def test_another_process_of_the_same_number_does_not(sleeper: subprocess.Popen[bytes]) -> None:
    refused = guard(sleeper.pid, time.time() - 3600)
    assert refused.returncode == 1
    assert refused.stderr == f"number {sleeper.pid} is another process by now\n"
    assert sleeper.poll() is None
    assert guard(sleeper.pid, 0).returncode == 0  # the node does not tell since when it is there


def test_one_that_has_ended_is_said_to_have(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    assert "has ended" in guard(sleeper.pid, 0).stderr


def test_another_users_only_where_that_was_said(sleeper: subprocess.Popen[bytes]) -> None:
    uid = f"id() {{ echo {os.getuid() + 1}; }}\n"

    def as_somebody_else(whose: str) -> subprocess.CompletedProcess[str]:
        words = ["/bin/sh", "-c", uid + GUARD, "sh", str(sleeper.pid), "TERM", "0", whose]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    refused = as_somebody_else("own")
    assert (refused.returncode, refused.stderr) == (
        1,
        f"process {sleeper.pid} is another user's\n",
    )
    assert as_somebody_else("anybody").returncode == 0
    assert sleeper.wait(10) == -15


def test_it_is_a_playbook_that_can_be_run(tmp_path: Path) -> None:
    hostile = process(pid=7, command="${secrets.token} [b]", user="${vars.x}")
    deed = signalling.signal("one", [hostile, process(pid=8, since=None)], ANSWERS)
    file = tmp_path / "signal.yaml"
    file.write_text(deed.playbook())
    read = load(file)
    assert [each.action.action_id for each in plan(read, None).actions] == ["signal_7", "signal_8"]
    assert read.name == "send TERM to processes 7, 8 on one"
    assert "${" not in deed.playbook()
    assert deed.losses[0].startswith("7 ${secrets.token}")


def test_only_signals_that_there_are() -> None:
    made = signalling.signal("one", [process()], {"signal": "sigint", "foreign": ""})
    assert made.title == "send INT to process 4242 on one"
    with pytest.raises(UsageError, match="there is no signal `STOPP`"):
        signalling.signal("one", [process()], {"signal": "stopp", "foreign": ""})
    harmless = signalling.signal("one", [process()], {"signal": "CONT", "foreign": "yes"})
    assert harmless.losses == ()
    assert harmless.actions[0]["argv"][-1] == "anybody"


async def test_x_asks_shows_and_does_it() -> None:
    actor = Recording()
    one = node("one", gpu("one", 0, processes=(process(pid=7), process("eve", pid=8))))
    async with on_stage(fleet(one), actor=actor) as stage:
        await stage.open("gpu", "one:gpu0")
        await stage.shows("x Signal")
        await stage.press("j", "x")
        await stage.shows("signal process 8 on one")
        assert "python train.py of eve" in stage.text()
        await stage.press("enter")
        await stage.shows("send TERM to process 8 on one")
        await stage.shows("Enter does it")
        assert "what it has not saved is lost" in stage.text()
        assert actor.done == []
        await stage.press("enter")
        assert [deed.title for deed in actor.done] == ["send TERM to process 8 on one"]


async def test_marked_processes_are_signalled_together_each_once() -> None:
    actor = Recording()
    both = process(pid=7)
    one = node("one", gpu("one", 0, processes=(both,)), gpu("one", 1, processes=(both,)))
    async with on_stage(fleet(one), actor=actor) as stage:
        await stage.open("node", "one")
        await stage.press("tab", "ctrl+@", "x", "enter")
        await stage.shows("Enter does it")
        await stage.press("enter")
        assert [len(deed.actions) for deed in actor.done] == [1]


async def test_without_leave_there_is_no_key() -> None:
    one = fleet(node("one", gpu("one", 0)))
    for options in ({}, {"actor": Recording(), "read_only": True}):
        async with on_stage(one, **options) as stage:
            await stage.open("gpu", "one:gpu0")
            assert "x Signal" not in stage.text()
            await stage.press("x")
            assert stage.app.screen is stage.view


async def test_nothing_to_signal() -> None:
    one = fleet(node("one", gpu("one", 0, processes=())))
    async with on_stage(one, actor=Recording()) as stage:
        await stage.open("gpu", "one:gpu0")
        await stage.press("x")
        assert stage.app.screen is stage.view
