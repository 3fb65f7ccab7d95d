"""`gswarm run` as a user calls it; the models beneath it are in memory."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from gswarm_tui.cli import job_report, main, running
from gswarm_tui.cron.history import forget
from gswarm_tui.errors import GswarmError, UnreachableError
from gswarm_tui.jobs import JobResult, TaskResult
from gswarm_tui.jobs.events import Task
from gswarm_tui.models.results import DownloadResult, HealthResult, ServeResult
from gswarm_tui.progress import Progress
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.states import State

PLAYBOOK = """
name: demo
description: two steps
vars: {model: tiny, port: 8000}
actions:
  - action_id: fetch
    action_type: download
    model_name: ${vars.model}
    source: hf://org/tiny
    device: node1:disk
  - action_id: serve
    action_type: serve
    model_name: ${vars.model}
    device: node1:dram
    port: ${vars.port}
    dependencies: [fetch]
  - action_id: ask
    action_type: health_check
    target_url: ${serve.url}
    prompt: "The quick"
"""

Call = Callable[..., int]


class FakeModels:
    """Downloads, services and answers that are there at once, unless a test says otherwise."""

    def __init__(self) -> None:
        self.completion = "brown fox"
        self.failure: Exception | None = None
        self.is_reached = True
        self.while_checking: Callable[[], Any] | None = None

    async def take_leases(self, *_: Any) -> None:
        """They are free."""

    async def drop_leases(self, wants: Any) -> None: ...

    async def download(
        self, name: str, source: str, devices: list[Any], *, progress: Any, **_: Any
    ) -> DownloadResult:
        progress(Progress("download", 5_000_000, 10_000_000, 1_000_000.0))
        path = f"/models/{name}/r1"
        places = [str(device) for device in devices]
        return DownloadResult(
            name, "r1", "sha256:00", 10_000_000, places[0], places, path, False, 1.0
        )

    async def serve(self, name: str, devices: list[Any], *, port: int, **_: Any) -> ServeResult:
        if self.failure is not None:
            raise self.failure
        url = f"http://node1:{port}"
        endpoint = f"http://127.0.0.1:{port}" if self.is_reached else None
        tunnel = None if self.is_reached else f"ssh -N -L {port}:127.0.0.1:{port} node1"
        places = [str(device) for device in devices]
        return ServeResult(
            name, places[0], places, "mlx", "node1", port, url, endpoint, tunnel, "s1", False
        )

    async def check_health(self, url: str, *, prompt: str | None = None, **_: Any) -> HealthResult:
        if self.while_checking is not None:
            self.while_checking()
            await asyncio.Event().wait()
        return HealthResult(url, 200, True, 2.0, "node1", prompt, self.completion)


@pytest.fixture
def fake() -> FakeModels:
    return FakeModels()


@pytest.fixture
def call(fake: FakeModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls `gswarm run` in a folder of its own; the arguments follow the playbook."""

    class Session:
        models = fake

    @asynccontextmanager
    async def open_session(settings: object, **_: object) -> AsyncIterator[Session]:
        yield Session()

    monkeypatch.setattr(running, "open_session", open_session)
    monkeypatch.setenv("GSWARM_QUEUE_RETRY_COUNT", "0")
    monkeypatch.chdir(tmp_path)
    Path("inventory.yaml").write_text("nodes: {node1: {connection: local, root: /tmp/x}}")
    Path("demo.yaml").write_text(PLAYBOOK)

    def call(*arguments: str, playbook: str = "demo.yaml") -> int:
        return main(["run", playbook, "--data-dir", str(tmp_path / "home"), *arguments])

    return call


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_a_run_prints_what_happens_and_what_is_where(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call() == 0
    out, err = capsys.readouterr()
    watched = lines_of(err)
    assert any(
        line.endswith("fetch: download tiny from hf://org/tiny to node1:disk") for line in watched
    )
    assert any("5.0 MB of 10.0 MB, 1.0 MB/s, 5 s left" in line for line in watched)
    assert any(
        line.endswith("ask: health_check http://node1:8000 and a completion") for line in watched
    )
    lines = lines_of(out)
    assert lines[:2] == ["", "Models"]
    assert "tiny  node1:disk  /models/tiny/r1" in lines
    assert "tiny  http://127.0.0.1:8000  (mlx on node1:dram)" in lines
    assert "node1: The quick → brown fox" in lines
    assert any(line.startswith("curl http://127.0.0.1:8000/v1/completions") for line in lines)
    assert watched[-1].startswith("job 1 (demo): 3 tasks done in")
    assert (out + err).count("tasks done in") == 1
    # Where there is nothing to report, nothing is printed.
    Path("nothing.yaml").write_text("actions: [{action_id: a, action_type: noop}]")
    assert call(playbook="nothing.yaml") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("job 2 (nothing): 1 task done in")


def test_what_to_try_next_reaches_the_same_fleet(
    call: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    call("-i", "inventory.yaml")
    expected = f"gswarm -i inventory.yaml --data-dir {tmp_path / 'home'} model stop tiny"
    assert expected in lines_of(capsys.readouterr().out)


def test_a_service_that_is_not_reached_from_here_needs_its_tunnel_first(
    call: Call, fake: FakeModels, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.is_reached = False
    call()
    lines = lines_of(capsys.readouterr().out)
    tunnel, curl = lines[lines.index("Try next") + 1 :][:2]
    assert tunnel.startswith("ssh -N -L 8000:127.0.0.1:8000 node1  #")
    assert curl.startswith("curl http://127.0.0.1:8000/v1/completions")


def test_variables_are_given_on_the_command_line(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("-e", "model=other", "-e", "port=9000", "--check", "--offline") == 0
    out, err = capsys.readouterr()
    assert "other on node1:dram, port 9000" in out
    assert "http://node1:9000 and a completion" in out
    assert err == "the playbook is right; nothing was done and no node asked (--offline)\n"


def test_check_does_nothing(call: Call, tmp_path: Path) -> None:
    assert call("--check", "--offline") == 0
    assert not (tmp_path / "home").exists()


def test_check_as_json(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--check", "--offline", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert [(a["action_id"], a["needs"]) for a in plan["actions"]] == [
        ("fetch", []),
        ("serve", ["fetch"]),
        ("ask", ["serve"]),
    ]
    assert plan["actions"][0]["where"] == "demo.yaml:6:5"


def test_json_is_one_object_a_line(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    events = [event for event in events if event["event"] != "task_waiting"]
    assert [event["event"] for event in events] == [
        "job_started",
        "task_started",
        "task_progress",
        "task_finished",
        "task_started",
        "task_finished",
        "task_started",
        "task_finished",
        "job_finished",
    ]
    assert events[2] | {"time": ""} == {
        "event": "task_progress",
        "time": "",
        "action_id": "fetch",
        "phase": "download",
        "done": 5_000_000,
        "total": 10_000_000,
        "rate": 1_000_000.0,
        "message": None,
        "output": None,
    }
    assert events[-2]["result"]["completion"] == "brown fox"
    assert events[-1]["exit_code"] == 0
    assert events[-1]["models"] == [{"model": "tiny", "device": "node1:disk"}]
    assert events[-1]["services"][0]["url"] == "http://node1:8000"


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        (GswarmError("no room", where="node1:dram", hint="free some"), 1, "node1:dram: no room"),
        (UnreachableError("connection refused", where="node1"), 3, "node1: connection refused"),
    ],
)
def test_a_failure_is_said_on_stderr_with_its_reason(
    call: Call,
    fake: FakeModels,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    failure: GswarmError,
    code: int,
    said: str,
) -> None:
    fake.failure = failure
    assert call() == code
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert any(line.endswith("  ask: skipped: needs serve, which failed") for line in lines)
    assert any(line.endswith(f"  serve: failed: {said}") for line in lines)
    assert lines[-1].startswith("job 1 (demo): 3 tasks: 1 done, 1 failed, 1 skipped")
    assert lines[-1].endswith(str(tmp_path / "home" / "logs" / "job-1.log"))
    assert "tiny  node1:disk  /models/tiny/r1" in lines_of(out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-e", "modl=x"], "error: demo.yaml:4:1: the playbook has no variable `modl` (-e)"),
        (["-e", "port"], "error: -e: 'port' is not a variable"),
        (["-i", "none.yaml"], "error: none.yaml"),
    ],
)
def test_what_is_written_wrong_ends_with_2(
    call: Call, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert call(*arguments) == 2
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--overlap", "join"], "--overlap join is none of fail, wait, skip, cancel-previous"),
        (["--priority", "urgent"], "--priority urgent is none of critical, high, normal, low"),
        (["--timeout", "soon"], "error: --timeout: "),
        (["--timeout", "0"], "--timeout: a time limit of 0 would end everything at once"),
        (["--junit", "missing/junit.xml"], "missing/junit.xml: cannot be written"),
        (["--log-file", "missing/log"], "missing/log: cannot be written: No such file"),
        (["--offline"], "--offline is part of --check"),
        (["--check", "--detach"], "--check does nothing that --detach could hand over"),
    ],
)
def test_options_that_are_wrong_end_with_2_before_anything_is_done(
    call: Call, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert "job 1" not in out + err


@pytest.mark.parametrize("quiet", [False, True])
def test_the_number_of_a_job_that_was_handed_over_is_data(
    call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, quiet: bool
) -> None:
    async def hand_over(*_: object) -> int:
        return 17

    monkeypatch.setattr("gswarm_tui.cli.detached._hand_over", hand_over)
    assert call("--detach", *["--quiet"] * quiet) == 0
    out, err = capsys.readouterr()
    assert out == "job 17\n"
    assert ("follow it" not in err) is quiet


def test_quiet_is_quiet_unless_it_fails(
    call: Call, fake: FakeModels, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("--quiet", "--log-file", "log") == 0
    assert capsys.readouterr() == ("", "")
    fake.failure = GswarmError("no room", where="node1:dram", hint="free some")
    assert call("--quiet", "--log-file", "log") == 1
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "failed: serve: node1:dram: no room"
    assert lines[1] == "  hint: free some"
    assert lines[-1].startswith("job 2 (demo): 3 tasks: 1 done, 1 failed, 1 skipped")
    log = Path("log").read_text()
    assert "job 1: 3 tasks done" in log
    assert "serve: failed: node1:dram: no room" in log


def test_what_goes_wrong_before_there_is_a_job_is_in_the_files_too(call: Call) -> None:
    Path("broken.yaml").write_text("actions: [{action_id: a, action_type: fly}]")
    assert call("--log-file", "log", "--junit", "junit.xml", playbook="broken.yaml") == 2
    assert "error: broken.yaml:1:39: unknown action type `fly`" in Path("log").read_text()
    assert "unknown action type `fly`" in Path("junit.xml").read_text()


def test_a_run_goes_on_where_its_cron_job_is_removed(
    call: Call, fake: FakeModels, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "home" / "cron"
    download = fake.download

    async def removed_meanwhile(*arguments: Any, **options: Any) -> DownloadResult:
        forget(folder, "nightly")
        (folder / "nightly").touch()  # what cannot be noted is no reason to fail either
        return await download(*arguments, **options)

    fake.download = removed_meanwhile  # type: ignore[method-assign]
    assert call("--cron", "nightly", "--junit", "junit.xml") == 0
    assert Path("junit.xml").exists()
    *_, verdict, warning = capsys.readouterr().err.splitlines()
    assert verdict.startswith("job 1 (demo): 3 tasks done")
    assert warning.startswith("warning: ")
    assert warning.endswith("what runs cannot be noted: Not a directory")


def test_a_broken_playbook_ends_with_2(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.yaml").write_text("actions: [{action_id: a, action_type: fly}]")
    assert call(playbook="broken.yaml") == 2
    assert "unknown action type `fly`" in capsys.readouterr().err


def test_a_file_whose_name_is_not_utf_8_is_refused(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("b\udcff.yaml").write_text("actions: [{action_id: a, action_type: noop}]")
    assert call(playbook="b\udcff.yaml") == 2
    assert "is not UTF-8 text" in capsys.readouterr().err


@pytest.mark.parametrize("action_type", ["noop", "command"])
def test_a_new_job_goes_on_only_where_nothing_but_nodes_knows_what_was_done(
    action_type: str,
) -> None:
    task = TaskResult(Task("a", action_type, "", ()), State.CANCELLED, 1.0, cast(Any, None))
    (line,) = job_report.afterwards(JobResult(7, "demo", State.CANCELLED, 1.0, (task,)))
    also = "" if action_type == "command" else ", and so does the same command"
    assert line == f"gswarm job resume 7 goes on from here{also}"


def test_ctrl_c_cancels_and_ends_with_130(
    call: Call, fake: FakeModels, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fake.while_checking = lambda: os.kill(os.getpid(), signal.SIGINT)
    assert call() == 130
    out, err = capsys.readouterr()
    lines = lines_of(err)
    assert any(line.endswith("cancelling what runs; Ctrl-C again leaves at once") for line in lines)
    assert any(line.endswith("  ask: cancelled") for line in lines)
    assert "3 tasks: 2 done, 1 cancelled" in lines[-3]
    assert lines[-2] == "what is done stays done:"
    assert lines[-1] == "gswarm job resume 1 goes on from here, and so does the same command"
    assert "tiny  node1:disk  /models/tiny/r1" in lines_of(out)
    with Database(tmp_path / "home" / "gswarm.db") as database:
        states = [str(task.state) for task in Jobs(database).tasks(1)]
    assert states == ["succeeded", "succeeded", "cancelled"]


def test_the_log_is_the_users_alone_and_has_what_happened(
    call: Call, fake: FakeModels, tmp_path: Path
) -> None:
    fake.failure = ZeroDivisionError("a bug")
    assert call() == 1
    log = tmp_path / "home" / "logs" / "job-1.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    text = log.read_text()
    assert "serve: failed: unexpected ZeroDivisionError: a bug" in text
    assert "Traceback (most recent call last)" in text


def test_secrets_are_in_no_log_and_not_in_the_database(
    call: Call,
    fake: FakeModels,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MY_KEY", "very-secret-key")
    text = PLAYBOOK.replace("port: ${vars.port}", "port: 8000\n    api_key_env: MY_KEY")
    Path("note").write_text("very-secret-note\n")
    text = text.replace("vars: {", "secrets: {note: {file: note}}\nvars: {")
    Path("demo.yaml").write_text(text.replace("prompt:", "api_key_env: MY_KEY\n    prompt:"))
    fake.completion = "the very-secret-note"
    assert call("--junit", "junit.xml", "--log-file", "log") == 0
    assert call("--json") == 0
    paths = [*(tmp_path / "home").rglob("*"), Path("junit.xml"), Path("log")]
    written = [path.read_bytes() for path in paths if path.is_file()]
    printed = capfd.readouterr()
    everything = b"".join(written) + (printed.out + printed.err).encode()
    assert b"job 1" in everything
    assert b"very-secret" not in everything


def test_what_comes_from_nodes_cannot_steer_the_terminal(
    call: Call, fake: FakeModels, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.completion = "\x1b]0;title\x07\x1b[2Jfox\u202e \r\n[bold]x[/bold]"
    call()
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(out)
    assert "fox� [bold]x[/bold]\n" in out


STUBBORN = """
import asyncio, contextlib, sys
from gswarm_tui.cli import main, running

class Models:
    async def check_health(self, url, **_):
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

class Session:
    models = Models()

@contextlib.asynccontextmanager
async def open_session(settings, **_):
    yield Session()

running.open_session = open_session
sys.exit(main(["run", "demo.yaml", "--data-dir", "home"]))
"""


def test_ctrl_c_twice_leaves_at_once_and_the_next_run_knows(tmp_path: Path) -> None:
    """The action does not end when it is cancelled, as when a node does not answer."""
    (tmp_path / "inventory.yaml").write_text("nodes: {node1: {connection: local}}")
    (tmp_path / "demo.yaml").write_text(
        "[{action_id: a, action_type: health_check, target_url: 'http://x/'}]"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stderr is not None
    with process.stderr as lines:
        next(line for line in lines if "a: health_check" in line)
        process.send_signal(signal.SIGINT)
        next(line for line in lines if "Ctrl-C again leaves at once" in line)
        process.send_signal(signal.SIGINT)
        rest = lines.read()
        assert "left without waiting" in rest
        assert rest.endswith("nodes may go on; gswarm job resume 1 goes on from there\n")
    assert process.wait(timeout=10) == 130
    with Database(tmp_path / "home" / "gswarm.db") as database:
        jobs = Jobs(database)
        assert [str(job.state) for job in jobs.recent()] == ["running"]
        assert [job.id for job in jobs.mark_lost()] == [1]
