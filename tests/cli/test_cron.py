"""`gswarm cron` as a user calls it; the crontab and systemd take notes only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gswarm_tui.cron.history import noted
from gswarm_tui.errors import PlaybookError
from gswarm_tui.home import Home
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs, NewJob, NewTask
from gswarm_tui.state.states import State

from ..cron.conftest import Machine
from ..cron.conftest import machine as machine
from .conftest import Command

PLAYBOOK = """
name: nightly
schedule: "0 3 * * *"
vars: {model: tiny, source: "hf://org/tiny"}
actions:
  - {action_id: fetch, action_type: download, model_name: "${vars.model}",
     source: "${vars.source}", device: "node1:disk"}
"""


@pytest.fixture
def playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SSH_AUTH_SOCK", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "nightly.yaml"
    path.write_text(PLAYBOOK)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_a_playbook_is_written_to_the_crontab_with_absolute_paths(
    gswarm: Command, machine: Machine, playbook: Path, tmp_path: Path
) -> None:
    machine.table.write_text("MAILTO=ada\n")
    ended = gswarm(
        "cron", "install", "nightly.yaml", "-e", "source=https://host/a%20b", "--overlap", "skip"
    )
    assert ended.code == 0, ended.err
    assert re.fullmatch(
        r"in the crontab: nightly, 0 3 \* \* \*, next \d{4}-\d\d-\d\d 03:00\n", ended.out
    )
    others, line = machine.table.read_text().splitlines()
    assert others == "MAILTO=ada"
    words = line.removeprefix(f"0 3 * * * cd {tmp_path} && env ").split(" ")
    options = words[words.index("-i") :]
    home = tmp_path / "home"
    assert options == [
        *("-i", str(tmp_path / "inventory.yaml"), "--data-dir", str(home)),
        *("run", str(playbook), "--quiet", "--cron", "nightly"),
        *("--log-file", str(home / "logs" / "cron-nightly.log"), "--overlap", "skip"),
        *("-e", "source=https://host/a\\%20b", "#", "gswarm:nightly"),
    ]
    assert any(word.startswith("PATH=") for word in words)
    assert words[words.index("-i") - 1].startswith("/")


def test_installing_again_changes_it(gswarm: Command, machine: Machine, playbook: Path) -> None:
    for times in ("@daily", "30 4 * * 1"):
        assert gswarm("cron", "install", "nightly.yaml", "--schedule", times).code == 0
    (line,) = machine.table.read_text().splitlines()
    assert line.startswith("30 4 * * 1 cd ")


def test_a_timer_and_a_line_are_not_both_there(
    gswarm: Command, machine: Machine, playbook: Path, tmp_path: Path
) -> None:
    units = tmp_path / "config" / "systemd" / "user"
    gswarm("cron", "install", "nightly.yaml")
    machine.linger("no")
    ended = gswarm("cron", "install", "nightly.yaml", "--systemd")
    assert ended.out.startswith("in systemd's timers: nightly")
    assert "warning: the timer runs only while you are logged in: `loginctl" in ended.err
    assert machine.table.read_text() == ""
    assert sorted(path.name for path in units.iterdir()) == [
        "gswarm-nightly.service",
        "gswarm-nightly.timer",
    ]
    gswarm("cron", "install", "nightly.yaml")
    assert list(units.iterdir()) == []
    assert "gswarm:nightly" in machine.table.read_text()


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (PLAYBOOK.replace("0 3 * * *", "0 25 * * *"), [], "nightly.yaml:3:11: schedule: "),
        (PLAYBOOK.replace("schedule", "#"), [], "has no `schedule`, and none is given"),
        (PLAYBOOK, ["--schedule", "0 25 * * *"], "has a wrong hour"),
        (PLAYBOOK, ["--name", "a b"], "'a b' is no name for a cron job"),
        (PLAYBOOK, ["--overlap", "join"], "--overlap join is none of fail, wait, skip"),
        (PLAYBOOK, ["-e", "model_token=x"], "has no variable `model_token`"),
        (
            PLAYBOOK.replace("vars: {", "vars: {hf_token: x, "),
            ["-e", "hf_token=y"],
            "-e hf_token=… looks like a secret",
        ),
        (
            PLAYBOOK.replace("vars:", "secrets: {key: {env: SOME_VARIABLE}}\nvars:"),
            [],
            "the secret `key` is read from $SOME_VARIABLE, which cron does not have",
        ),
        (PLAYBOOK.replace("tiny,", "'${env.MY_TOKEN}',"), [], "looks like a secret"),
    ],
)
def test_what_is_refused(
    gswarm: Command,
    machine: Machine,
    playbook: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.setenv("SOME_VARIABLE", "very-secret")
    monkeypatch.setenv("MY_TOKEN", "very-secret")
    playbook.write_text(text)
    ended = gswarm("cron", "install", "nightly.yaml", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert not machine.table.exists()


def test_another_playbook_does_not_take_the_name(
    gswarm: Command, machine: Machine, playbook: Path, tmp_path: Path
) -> None:
    gswarm("cron", "install", "nightly.yaml")
    (tmp_path / "other.yaml").write_text(PLAYBOOK)
    ended = gswarm("cron", "install", "other.yaml")
    assert ended.code == 2
    assert f"a cron job `nightly` already, and it runs {playbook}" in ended.err
    assert gswarm("cron", "install", "other.yaml", "--name", "second").code == 0
    assert len(machine.table.read_text().splitlines()) == 2


def test_what_will_be_missing_at_night_is_said(
    gswarm: Command, machine: Machine, playbook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent")
    ended = gswarm("cron", "install", "nightly.yaml", "--json")
    assert ended.document["warnings"] == [
        "an ssh agent is running now and will not be at night: the nodes need a key"
        " without a passphrase (IdentityFile in ~/.ssh/config)"
    ]
    assert ended.document["where"] == "crontab"
    assert "/tmp/agent" not in machine.table.read_text()


def test_the_last_run_and_why_it_failed_is_one_command(
    gswarm: Command,
    machine: Machine,
    playbook: Path,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gswarm("cron", "install", "nightly.yaml")
    with Database(home.database) as database:
        jobs = Jobs(database)
        job_id = jobs.create(
            NewJob("nightly", str(playbook), {}, [NewTask("fetch", "download", "tiny", ())])
        )
        jobs.begin(job_id)
        jobs.enter(job_id, [("fetch", [])])
        jobs.admit(job_id, 1)
        jobs.end(job_id, "fetch", State.FAILED, error="node1: no room", error_kind="no_space")
        jobs.finish(job_id, State.FAILED, exit_code=1)
    with noted(home.cron, "nightly") as note:
        note.job(job_id)
        note.end(1, "failed: fetch: node1: no room")
    ended = gswarm("cron", "list")
    lines = ended.out.splitlines()
    row = next(line for line in lines if line.startswith("nightly"))
    assert "0 3 * * *" in row
    assert "failed" in row
    assert "nightly failed: fetch: node1: no room" in lines
    assert f"  all of it: gswarm job show {job_id}" in lines
    (document,) = gswarm("cron", "list", "--json").document["cron"]
    assert document["last"]["state"] == "failed"
    assert document["last"]["job"] == job_id
    assert document["last"]["error"] == "fetch: node1: no room"
    soon = datetime.fromisoformat(document["next"])
    assert timedelta(0) < soon - datetime.now().astimezone() <= timedelta(hours=25)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    lines = gswarm("cron", "list").out.splitlines()
    at = lines.index("nightly failed: fetch: node1:")
    assert lines[at + 1 :] == ["  no room", f"  all of it: gswarm job show {job_id}"]


def test_a_run_that_never_came_to_be_a_job(
    gswarm: Command, machine: Machine, playbook: Path, home: Home
) -> None:
    gswarm("cron", "install", "nightly.yaml")
    with pytest.raises(PlaybookError), noted(home.cron, "nightly"):
        raise PlaybookError("unknown key `moodel`", where="nightly.yaml:3:1")
    ended = gswarm("cron", "list")
    assert "nightly refused: nightly.yaml:3:1: unknown key `moodel`" in ended.out.splitlines()


def test_what_cron_began_and_made_no_job_is_told_with_the_jobs(
    gswarm: Command,
    machine: Machine,
    playbook: Path,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    playbook.write_text("name: nightly\nactions: [{action_id: a, action_type: noop}]\n")
    assert gswarm("run", "nightly.yaml", "--quiet", "--cron", "nightly").code == 0
    playbook.write_text(PLAYBOOK.replace("vars", "vras"))
    log = str(home.logs / "cron-nightly.log")
    for _ in range(2):
        run = ("run", "nightly.yaml", "--quiet", "--cron", "nightly", "--log-file", log)
        assert gswarm(*run).code == 2
    with noted(home.cron, "other") as note:
        note.end(0, "skipped: another run of it was under way")
    ended = gswarm("jobs", "--since", "1h", "--name", "nightly")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[1].startswith("1    nightly  succeeded")
    assert re.fullmatch(
        r"cron job nightly refused, 2 times, [-0-9: ]+( to [-0-9: ]+)?, and made no job:"
        r" nightly\.yaml:4:1: unknown key `vras`.*",
        lines[3],
    )
    assert lines[4:] == [f"  all of it: {log}"]
    documents = gswarm("jobs", "--json").document["without_job"]
    assert [(one["name"], one["state"], one["exit_code"]) for one in documents] == [
        ("nightly", "refused", 2)
    ] * 2
    for arguments in (["--since", "2999-01-01"], ["--name", "other"], ["--status", "failed"]):
        assert "refused" not in gswarm("jobs", *arguments).out
    assert gswarm("jobs", "--since", "2999-01-01").err.startswith("no such job")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "36")
    lines = gswarm("jobs").out.splitlines()
    at = lines.index("cron job nightly refused, 2 times,")
    assert lines[at + 1].startswith("  2")
    assert lines[-1] == f"  all of it: {log}"


def test_a_cron_job_may_have_another_name_than_its_playbook(
    gswarm: Command, machine: Machine, playbook: Path
) -> None:
    playbook.write_text("name: nightly\nactions: [{action_id: a, action_type: noop}]\n")
    run = ("run", "nightly.yaml", "--quiet", "--cron", "other")
    assert gswarm(*run).code == 0
    assert gswarm("run", "nightly.yaml", "--quiet").code == 0
    playbook.write_text("nothing: right\n")
    assert gswarm(*run).code == 2
    for name, ids in (("nightly", [2, 1]), ("other", [1]), ("third", [])):
        found = gswarm("jobs", "--name", name, "--json").document
        assert [job["id"] for job in found["jobs"]] == ids
        assert [one["name"] for one in found["without_job"]] == ["other"] * bool(ids)
    assert gswarm("jobs", "--name", "other", "--status", "failed", "--json").document["jobs"] == []


def test_where_there_is_no_job_it_says_why(
    gswarm: Command, machine: Machine, playbook: Path, home: Home
) -> None:
    with pytest.raises(PlaybookError), noted(home.cron, "nightly"):
        raise PlaybookError("unknown key `moodel`\nand another", where="nightly.yaml:3:1")
    ended = gswarm("jobs", "--since", "24h")
    assert ended.out.rstrip().endswith("unknown key `moodel` (and 1 more line)")
    assert ended.err == ""


def test_a_run_that_was_killed(
    gswarm: Command, machine: Machine, playbook: Path, home: Home
) -> None:
    gswarm("cron", "install", "nightly.yaml")
    with noted(home.cron, "nightly"):
        (record,) = (home.cron / "nightly").iterdir()
        assert gswarm("cron", "list", "--json").document["cron"][0]["last"]["state"] == "running"
        text = json.loads(record.read_text())
    gone = subprocess.Popen(["true"])
    gone.wait()
    record.write_text(json.dumps(text | {"process": text["process"] | {"pid": gone.pid}}))
    ended = gswarm("cron", "list")
    assert "nightly lost: it did not come to its end: its process is gone" in ended.out


def test_a_run_with_another_data_directory_has_its_record_there(
    gswarm: Command, machine: Machine, playbook: Path, tmp_path: Path
) -> None:
    other = Home(tmp_path / "other")
    gswarm("--data-dir", str(other.root), "cron", "install", "nightly.yaml")
    with noted(other.cron, "nightly") as note:
        note.job(1)
        note.end(3, "failed: fetch: node1: no answer")
    (document,) = gswarm("cron", "list", "--json").document["cron"]
    assert (document["last"]["state"], document["last"]["job"]) == ("failed", 1)
    gswarm("cron", "remove", "nightly")
    assert list(other.cron.iterdir()) == []


def test_one_is_removed(gswarm: Command, machine: Machine, playbook: Path, home: Home) -> None:
    machine.table.write_text("0 1 * * * true\n")
    gswarm("cron", "install", "nightly.yaml")
    with noted(home.cron, "nightly"):
        pass
    assert gswarm("cron", "remove", "nightly").out == "removed from the crontab: nightly\n"
    assert machine.table.read_text() == "0 1 * * * true\n"
    assert list(home.cron.iterdir()) == []
    ended = gswarm("cron", "list")
    assert (ended.out, ended.err) == (
        "",
        "nothing runs at set times: gswarm cron install PLAYBOOK\n",
    )


def test_one_that_is_not_there_is_not_removed(
    gswarm: Command, machine: Machine, playbook: Path
) -> None:
    gswarm("cron", "install", "nightly.yaml")
    ended = gswarm("cron", "remove", "nigthly")
    assert ended.code == 2
    assert "there is no cron job `nigthly`; did you mean `nightly`" in ended.err
