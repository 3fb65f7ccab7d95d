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
from gswarm_tui.tui.widgets.dialog import NoticeScreen

from .fleets import fleet, gpu, node, process
from .stage import on_stage

ANSWERS = {"signal": "TERM", "foreign": ""}


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child
        child.kill()


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """As much of /proc as is looked at, in the initial PID namespace: tests may run elsewhere."""
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to("pid:[4026531836]")
    return tmp_path


class Guard:
    """Signals as the node does."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        self.prelude = ""

    def __call__(
        self, pid: int, since: float, whose: str = "own"
    ) -> subprocess.CompletedProcess[str]:
        words = [str(pid), "TERM", str(round(since)), whose, str(self.proc)]
        argv = ["/bin/sh", "-c", self.prelude + GUARD, "sh", *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def be_in_a_container(self) -> None:
        (self.proc / "self/ns/pid").unlink()
        (self.proc / "self/ns/pid").symlink_to("pid:[4026532421]")


@pytest.fixture
def guard(proc: Path) -> Guard:
    return Guard(proc)


def test_a_process_of_ones_own_gets_it(guard: Guard, sleeper: subprocess.Popen[bytes]) -> None:
    assert guard(sleeper.pid, time.time()).returncode == 0
    assert sleeper.wait(10) == -15


def test_another_process_of_the_same_number_does_not(
    guard: Guard, sleeper: subprocess.Popen[bytes]
) -> None:
    refused = guard(sleeper.pid, time.time() - 3600)
    assert refused.returncode == 1
    assert refused.stderr == f"number {sleeper.pid} is another process by now\n"
    assert sleeper.poll() is None


def test_one_that_has_ended_is_said_to_have(guard: Guard, sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    assert "has ended" in guard(sleeper.pid, time.time()).stderr


def test_another_users_only_where_that_was_said(
    guard: Guard, sleeper: subprocess.Popen[bytes]
) -> None:
    guard.prelude = f"id() {{ echo {os.getuid() + 1}; }}\n"
    refused = guard(sleeper.pid, time.time())
    assert refused.returncode == 1
    assert refused.stderr == f"process {sleeper.pid} is another user's\n"
    assert guard(sleeper.pid, time.time(), "anybody").returncode == 0
    assert sleeper.wait(10) == -15


def test_a_number_of_the_hosts_is_not_signalled_in_a_container(
    guard: Guard, sleeper: subprocess.Popen[bytes]
) -> None:
    guard.be_in_a_container()
    files = guard.proc / str(sleeper.pid) / "fd"
    refused = guard(sleeper.pid, time.time())
    assert refused.returncode == 1
    assert f"number {sleeper.pid} may be another process" in refused.stderr
    files.mkdir(parents=True)
    (files / "0").symlink_to("/dev/null")
    assert guard(sleeper.pid, time.time()).returncode == 1
    assert sleeper.poll() is None
    (files / "3").symlink_to("/dev/nvidia0")
    assert guard(sleeper.pid, time.time()).returncode == 0
    assert sleeper.wait(10) == -15


def test_one_of_which_nobody_knows_since_when_it_is_there_is_not_signalled() -> None:
    with pytest.raises(UsageError, match=r"one does not tell since when process 7 is there"):
        signalling.ask("one", [process(), process(pid=7, since=None)])


def test_one_that_cannot_be_seen_is_never_offered() -> None:
    strange = process(pid=7, user=None, command="", since=None, verified=False)
    for make in (
        lambda: signalling.ask("one", [process(), strange]),
        lambda: signalling.signal("one", [process(), strange], ANSWERS),
    ):
        with pytest.raises(UsageError, match="process 7, which may be another process on one"):
            make()


def test_it_is_a_playbook_that_can_be_run(tmp_path: Path) -> None:
    hostile = process(pid=7, command="${secrets.token} [b]", user="${vars.x}")
    deed = signalling.signal("one", [hostile, process(pid=8)], ANSWERS)
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


async def test_x_on_a_gpu_is_for_its_processes() -> None:
    gpus = [gpu("one", i, processes=(process(pid=7 + i),) * (i < 2)) for i in range(3)]
    async with on_stage(fleet(node("one", *gpus)), actor=Recording()) as stage:
        await stage.open("node", "one")
        await stage.press("j", "x")
        await stage.shows("signal process 8 on one")
        await stage.press("escape", "j", "x")
        await stage.shows("no process is on gpu2")
        await stage.press("enter", "tab", "x")
        await stage.shows("signal process 7 on one")
        await stage.press("escape", "space", "shift+tab", "x")  # what is marked is meant
        await stage.shows("signal process 7 on one")


async def test_x_on_what_cannot_be_seen_answers_why() -> None:
    actor = Recording()
    strange = process(pid=7, user=None, command="", since=None, verified=False)
    async with on_stage(
        fleet(node("one", gpu("one", 0, processes=(strange,)))), actor=actor
    ) as stage:
        await stage.open("gpu", "one:gpu0")
        await stage.shows("cannot be seen from here")
        await stage.press("x")
        await stage.shows("that cannot be signalled")
        await stage.shows("--pid=host")
        assert actor.done == []


async def test_without_leave_there_is_no_key() -> None:
    one = fleet(node("one", gpu("one", 0)))
    for options in ({"actor": None}, {"read_only": True}):
        async with on_stage(one, **options) as stage:
            await stage.open("gpu", "one:gpu0")
            assert "x Signal" not in stage.text()
            await stage.press("x")
            assert isinstance(stage.app.screen, NoticeScreen)


async def test_nothing_to_signal() -> None:
    one = fleet(node("one", gpu("one", 0, processes=())))
    actor = Recording()
    async with on_stage(one, actor=actor) as stage:
        await stage.open("gpu", "one:gpu0")
        await stage.press("x")
        await stage.shows("there is nothing to signal")
        assert actor.done == []


def test_a_command_that_is_cut_says_so() -> None:
    long = process(command="torchrun --standalone --nproc-per-node 8 train.py --config big.yaml")
    about = signalling.ask("alpha", [long, process(command="python train.py")]).about
    assert about.splitlines() == [
        "4242 torchrun --standalone --nproc-per-node 8 train.py --config … of ana",
        "4242 python train.py of ana",
    ]
