"""`gswarm run` as cron, CI servers and impatient people call it: real processes on local nodes."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.records import JobRecord

from . import sshd
from .bad_days.lab import until
from .conftest import Site

TIMEOUT_S = 60
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d  \S")
HINT = re.compile(r"  hint: ")


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder with an inventory of local nodes and playbooks, and `gswarm` to run them."""

    folder: Path
    home: Path

    def playbook(self, *actions: dict[str, Any], name: str = "nightly", **keys: Any) -> str:
        """Write a playbook; returns its file's name."""
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps({"name": name, **keys, "actions": list(actions)}))
        return path.name

    def words(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "gswarm_tui.cli", "--data-dir", str(self.home), *arguments]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(*arguments),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return ended(self.start(*arguments))

    def jobs(self) -> list[JobRecord]:
        """The newest first."""
        with Database(self.home / "gswarm.db") as database:
            return Jobs(database).recent()

    def begun(self, name: str = "begun") -> None:
        """Wait for the command of `gated`."""
        until(lambda: (self.folder / name).exists(), "the command", timeout_s=TIMEOUT_S)

    def open_gate(self) -> None:
        (self.folder / "gate").touch()

    def gated(self, **options: Any) -> dict[str, Any]:
        """A command that waits for `open_gate`."""
        return self.command("touch begun; until [ -e gate ]; do sleep 0.05; done", **options)

    def command(self, script: str, **options: Any) -> dict[str, Any]:
        argv = ["sh", "-c", script]
        fixed = {"action_type": "command", "node": "node1", "cwd": str(self.folder)}
        return {"action_id": "work", **fixed, "argv": argv, **options}


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert "Traceback" not in err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture
def desk(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with socket.socket() as unused:  # bound, and nobody listens
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        folder = site.folder / "desk"
        folder.mkdir()
        nodes = {
            "node1": {"connection": "local", "root": str(site.folder / "roots" / "node1")},
            "gone": {"host": "127.0.0.1", "port": port, "user": "ada"},
        }
        (folder / "inventory.yaml").write_text(json.dumps({"nodes": nodes}))
        monkeypatch.setenv("GSWARM_QUEUE_RETRY_COUNT", "0")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        home = site.home("data")
        (site.controller / ".cache").mkdir()
        (site.controller / ".cache" / "gswarm").symlink_to(home.cache)
        yield Desk(folder, home.root)


NOOP = {"action_id": "nothing", "action_type": "noop"}


def test_ten_at_once_that_wait_come_one_after_the_other(desk: Desk) -> None:
    script = "mkdir alone && sleep 0.05 && rmdir alone && echo x >> done"
    playbook = desk.playbook(desk.command(script))
    runs = [desk.start("run", playbook, "--overlap", "wait", "--quiet") for _ in range(10)]
    assert [(one.returncode, one.stdout, one.stderr) for one in map(ended, runs)] == [
        (0, "", "") for _ in runs
    ]
    assert (desk.folder / "done").read_text() == "x\n" * 10
    assert [str(job.state) for job in desk.jobs()] == ["succeeded"] * 10


@pytest.mark.parametrize(("overlap", "code"), [("fail", 4), ("skip", 0)])
def test_of_ten_at_once_one_runs(desk: Desk, overlap: str, code: int) -> None:
    playbook = desk.playbook(desk.gated())
    runs = [desk.start("run", playbook, "--overlap", overlap) for _ in range(10)]
    until(lambda: sum(run.poll() is not None for run in runs) == 9, "the others' end")
    desk.begun()
    (running,) = (run for run in runs if run.poll() is None)
    others = [ended(run) for run in runs if run is not running]
    desk.open_gate()
    assert ended(running).returncode == 0
    assert {run.returncode for run in others} == {code}
    said = rf"another run of nightly is under way: (job 1, )?process {running.pid} since \d\d:\d\d"
    assert all(re.search(said, run.stderr) for run in others), others
    if overlap == "skip":
        assert all(len(run.stderr.splitlines()) == 1 for run in others)
    assert [str(job.state) for job in desk.jobs()] == ["succeeded"]


def test_the_previous_run_is_cancelled(desk: Desk) -> None:
    playbook = desk.playbook(desk.gated())
    previous = desk.start("run", playbook)
    desk.begun()
    desk.playbook(NOOP)
    run = desk.run("run", playbook, "--overlap", "cancel-previous")
    assert run.returncode == 0, run.stderr
    assert "cancelling the other run of nightly: job 1, process" in run.stderr
    assert ended(previous).returncode == 130
    assert [str(job.state) for job in desk.jobs()] == ["succeeded", "cancelled"]


def test_a_lock_dies_with_its_holder(desk: Desk) -> None:
    playbook = desk.playbook(desk.gated())
    holder = desk.start("run", playbook)
    desk.begun()
    assert desk.run("run", playbook).returncode == 4
    holder.kill()
    holder.communicate()
    desk.playbook(NOOP)
    run = desk.run("run", playbook)
    assert run.returncode == 0
    assert "job 1 of this playbook was lost" in run.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_waits_can_be_interrupted(desk: Desk, number: signal.Signals) -> None:
    playbook = desk.playbook(desk.gated())
    holder = desk.start("run", playbook)
    desk.begun()
    waiting = desk.start("run", playbook, "--overlap", "wait")
    assert waiting.stderr is not None
    assert "waiting: another run of nightly is under way: job 1" in waiting.stderr.readline()
    waiting.send_signal(number)
    run = ended(waiting)
    assert run.returncode == 130
    assert run.stderr == "error: cancelled while it waited for another run\n"
    desk.open_gate()
    assert ended(holder).returncode == 0
    assert len(desk.jobs()) == 1


class TestExitCodes:
    """One for each row of the table in docs/cron.md."""

    def test_0_done(self, desk: Desk, site: Site) -> None:
        """Nothing is said, also where something is fetched for nodes at first."""
        (site.controller / ".cache" / "gswarm").unlink()
        run = desk.run("run", desk.playbook(desk.command("true")), "--quiet")
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")

    def test_1_failed(self, desk: Desk) -> None:
        run = desk.run("run", desk.playbook(desk.command("echo no; exit 3")), "--quiet")
        assert run.returncode == 1
        assert run.stdout == ""
        assert run.stderr.startswith("failed: work: node1: ")
        assert run.stderr.splitlines()[-1].startswith("job 1 (nightly): 1 task: 1 failed, in ")

    def test_2_bad_playbook(self, desk: Desk) -> None:
        run = desk.run("run", desk.playbook({"action_id": "a", "action_type": "fly"}), "--quiet")
        assert run.returncode == 2
        assert "unknown action type `fly`" in run.stderr
        assert not (desk.home / "gswarm.db").exists()

    def test_3_unreachable(self, desk: Desk) -> None:
        run = desk.run("run", desk.playbook(desk.command("true", node="gone")), "--quiet")
        assert run.returncode == 3
        assert run.stderr.startswith("failed: work: gone: ")

    def test_4_locked_out(self, desk: Desk) -> None:
        playbook = desk.playbook(desk.gated())
        holder = desk.start("run", playbook)
        desk.begun()
        run = desk.run("run", playbook, "--quiet")
        assert run.returncode == 4
        assert run.stderr.startswith("error: another run of nightly is under way: job 1, process ")
        desk.open_gate()
        assert ended(holder).returncode == 0

    @pytest.mark.parametrize("where", ["job", "task", "option"])
    def test_5_timed_out(self, desk: Desk, where: str) -> None:
        options = {"timeout": "300ms"} if where == "task" else {}
        keys = {"timeout": "300ms"} if where == "job" else {}
        playbook = desk.playbook(desk.gated(**options), **keys)
        arguments = ["--timeout", "300ms"] if where == "option" else []
        run = desk.run("run", playbook, "--quiet", *arguments)
        assert run.returncode == 5
        assert "took longer than 0.3 s" in run.stderr
        assert [job.exit_code for job in desk.jobs()] == [5]

    def test_5_timed_out_before_its_turn(self, desk: Desk) -> None:
        playbook = desk.playbook(desk.gated())
        holder = desk.start("run", playbook)
        desk.begun()
        run = desk.run("run", playbook, "--overlap", "wait", "--timeout", "300ms", "--quiet")
        assert run.returncode == 5
        assert run.stderr.startswith("error: it could not begin within 0.3 s: ")
        desk.open_gate()
        assert ended(holder).returncode == 0

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_130_cancelled(self, desk: Desk, number: signal.Signals) -> None:
        process = desk.start("run", desk.playbook(desk.gated()))
        desk.begun()
        process.send_signal(number)
        run = ended(process)
        assert run.returncode == 130
        assert "cancelling what runs" in run.stderr
        assert [str(job.state) for job in desk.jobs()] == ["cancelled"]


def test_without_a_terminal_there_are_plain_lines_with_the_time(desk: Desk) -> None:
    actions = [
        NOOP,
        desk.command("printf '\\033[31mred\\033[0m'; exit 1", dependencies=["nothing"]),
    ]
    log = desk.folder / "log"
    run = desk.run("run", desk.playbook(*actions), "--log-file", str(log))
    assert "\x1b" not in run.stdout + run.stderr + log.read_text()
    told = run.stderr.splitlines()
    assert all(LINE.match(line) or HINT.match(line) for line in told[:-1]), told
    assert log.stat().st_mode & 0o777 == 0o600
    before = log.read_text()
    assert desk.run("run", desk.playbook(*actions), "--log-file", str(log)).returncode == 1
    assert log.read_text().startswith(before)
    assert len(log.read_text()) > 1.5 * len(before)


def test_no_question_is_asked(desk: Desk, ssh_site: Site) -> None:
    """Not even at a terminal: of a passphrase, and of a host key that is not known."""
    server, unknown = ssh_site.sshd(), ssh_site.sshd("unknown", known=False)
    change = ["ssh-keygen", "-q", "-p", "-f", str(ssh_site.key), "-P", "", "-N", "a passphrase"]
    subprocess.run(change, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    nodes = {
        name: {"host": one.addresses[0], "port": one.port, "root": str(desk.folder / name)}
        for name, one in (("locked", server), ("unknown", unknown))
    }
    (desk.folder / "inventory.yaml").write_text(json.dumps({"nodes": nodes}))
    actions = [desk.command("true", node=name, action_id=name) for name in nodes]
    words = desk.words("run", desk.playbook(*actions), "--quiet")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(desk.folder)
        os.execv(words[0], words)
    said = b""
    with contextlib.suppress(OSError):  # how Linux says that nobody writes to a terminal any more
        while piece := os.read(terminal, 1000):
            said += piece
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 3, said
    assert b"failed: locked: locked: " in said
    assert b"failed: unknown: unknown: " in said
    assert b"passphrase belongs into ssh-agent" in said


def test_a_background_runner_outlives_the_terminal(desk: Desk) -> None:
    playbook = desk.playbook(desk.gated())
    command = shlex.join(desk.words("run", playbook, "--detach"))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(desk.folder)
        os.execv("/bin/sh", ["sh", "-c", f"{command}; echo ended $?; sleep 60"])
    said = b""
    while b"ended" not in said:
        said += os.read(terminal, 1000)
    os.close(terminal)  # the terminal is gone: all that is on it gets a SIGHUP
    os.waitpid(pid, 0)
    assert b"job 1\r\n" in said, said
    assert b"ended 0" in said, said
    (job,) = desk.jobs()
    assert str(job.state) == "running"
    assert job.pid is not None
    assert os.getsid(job.pid) == job.pid
    assert Path(f"/proc/{job.pid}/fd/0").resolve() == Path("/dev/null")
    locked_out = desk.run("run", playbook)
    assert locked_out.returncode == 4
    assert f"job 1, process {job.pid} since" in locked_out.stderr
    desk.open_gate()
    until(lambda: str(desk.jobs()[0].state) == "succeeded", "the job's end")
    until(lambda: desk.run("run", desk.playbook(NOOP)).returncode == 0, "the lock's end")


def test_detached_as_json_and_ended_from_elsewhere(desk: Desk) -> None:
    options = ["--detach", "--json", "--priority", "high"]
    run = desk.run("run", desk.playbook(desk.gated()), *options)
    assert run.stdout == '{"job": 1}\n'
    assert run.stderr == ""
    desk.begun()
    assert [str(job.priority) for job in desk.jobs()] == ["high"]
    assert desk.run("job", "cancel", "1").returncode == 0
    until(lambda: [str(job.state) for job in desk.jobs()] == ["cancelled"], "the job's end")


def test_a_runner_that_cannot_begin_says_why(desk: Desk) -> None:
    action = {
        "action_id": "load",
        "action_type": "move",
        "model_name": "tiny",
        "source_device": "node1:disk",
        "target_device": "node1:gpu63",
    }
    run = desk.run("run", desk.playbook(action), "--detach")
    assert run.returncode == 2
    assert run.stdout == ""
    assert "the background process ended with 2 before it began: " in run.stderr
    assert "gpu63" in run.stderr
    assert [str(job.state) for job in desk.jobs()] == ["failed"]


def test_what_cron_started_last_night_and_why_it_failed(
    desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that is installed, run as cron runs it: by sh, with next to no environment."""
    table = desk.folder / "table"
    programs = desk.folder / "bin"
    programs.mkdir()
    crontab = programs / "crontab"
    crontab.write_text(f'#!/bin/sh\n[ "$1" = - ] && cat > {table}; [ "$1" = - ] || cat {table}\n')
    crontab.chmod(0o755)
    table.touch()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    playbook = desk.playbook(desk.command("exit 3"), schedule="0 3 * * *", name="100% nightly")
    installed = desk.run("cron", "install", playbook)
    assert installed.returncode == 0, installed.stderr
    run = _as_cron(table.read_text().splitlines()[-1], site.controller)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("failed: work: node1: ")
    listed = desk.run("cron", "list").stdout.splitlines()
    assert "100-nightly failed: work: node1: " in "\n".join(listed)
    (desk.folder / playbook).write_text("name: [")
    run = _as_cron(table.read_text().splitlines()[-1], site.controller)
    assert run.returncode == 2
    (document,) = json.loads(desk.run("cron", "list", "--json").stdout)["cron"]
    assert document["last"]["state"] == "refused"
    log = (desk.home / "logs" / "cron-100-nightly.log").read_text()
    assert "work: failed: " in log
    assert "error: " in log.splitlines()[-1]


def _as_cron(line: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", line.split(None, 5)[5].replace("\\%", "%")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd=home,
        env={
            "HOME": str(home),
            "LOGNAME": "ada",
            "SHELL": "/bin/sh",
            "PATH": "/usr/bin:/bin",
            # cron would not have it; without, helpers of this test would be where all others are
            "GSWARM_RUN_DIR": os.environ["GSWARM_RUN_DIR"],
        },
        check=False,
    )


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("crontab") is None or shutil.which("useradd") is None,
    reason="needs root, useradd and cron's own crontab",
)
def test_the_real_crontab(desk: Desk, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a user of its own: nobody's crontab is touched."""
    real = shutil.which("crontab")
    with sshd.account("/bin/sh", site.folder / "ada") as account:

        def crontab(*words: str, stdin: str = "") -> str:
            command = [str(real), "-u", account.name, *words]
            return subprocess.run(
                command, input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
            ).stdout

        programs = desk.folder / "bin"
        programs.mkdir()
        (programs / "crontab").write_text(f'#!/bin/sh\nexec {real} -u {account.name} "$@"\n')
        (programs / "crontab").chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:/usr/sbin:/usr/bin:/bin")
        playbook = desk.playbook(NOOP, name="x 50%")
        try:
            first = desk.run("cron", "install", playbook, "--schedule", "@daily")
            assert first.returncode == 0, first.stderr
            assert len(crontab("-l").splitlines()) == 1
            others = "# mine\n5 5 * * *\techo '\\%'\n"
            crontab("-", stdin=others)
            assert desk.run("cron", "install", playbook, "--schedule", "@daily").returncode == 0
            table = crontab("-l")
            assert table.startswith(others)
            assert table.endswith(" # gswarm:x-50\n")
            listed = json.loads(desk.run("cron", "list", "--json").stdout)["cron"]
            assert [row["name"] for row in listed] == ["x-50"]
            assert desk.run("cron", "remove", "x-50").returncode == 0
            assert crontab("-l") == others
        finally:
            crontab("-r")
