"""`gswarm jobs`, `job show`, `rm`, `export` and `queue`, over rows that a runner left."""

from __future__ import annotations

import json
import re
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gswarm_tui.errors import GswarmError
from gswarm_tui.jobs.failures import with_log
from gswarm_tui.state.queue import Queue
from gswarm_tui.state.states import JOB_TRANSITIONS, State

from .conftest import Command
from .story import HOSTILE, PLACED, Story


def rows(text: str) -> list[list[str]]:
    return [re.split(r"  +", line) for line in text.splitlines()]


def test_what_ran_and_why_it_failed_is_one_command(gswarm: Command, story: Story) -> None:
    story.failed()
    story.lost()
    ended = gswarm("jobs")
    assert ended.code == 0
    table = rows(ended.out)
    assert table[0] == ["JOB", "NAME", "STATE", "BEGAN", "TOOK", "TASKS"]
    assert [(row[0], row[1], row[2], row[5]) for row in table[1:3]] == [
        ("2", "nightly", "lost", "1 lost, 1 to come"),
        ("1", "deploy", "failed", "1 done, 1 failed, 1 skipped"),
    ]
    said = ended.out.splitlines()
    assert "job 1 (deploy) failed: serve: node1:gpu0: the engine ended" in said
    ways = ["  all of it: gswarm job show 1", "  to do again what failed: gswarm job retry 1"]
    assert said[-2:] == ways
    assert "  to go on from there: gswarm job resume 2" in said


def test_on_a_terminal_commands_are_left_whole(
    gswarm: Command, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.failed()
    story.lost()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    listed = gswarm("jobs").out.splitlines()
    assert "  to do again what failed: gswarm job retry 1" in listed
    assert "  to go on from there: gswarm job resume 2" in listed
    assert "job 2 (nightly) was lost: the" in listed
    shown = gswarm("job", "show", "1").out.splitlines()
    assert "  its log: gswarm job logs 1 serve" in shown
    assert "to do again what failed: gswarm job retry 1" in shown


def test_a_job_that_lost_tasks_to_the_queue_says_so(gswarm: Command, story: Story) -> None:
    job = story.job("deploy", ("a", "noop", "", ()), ("b", "noop", "", ()))
    story.jobs.begin(job)
    for name in ("a", "b"):
        story.jobs.end(job, name, State.CANCELLED)
    story.jobs.finish(job, State.FAILED, exit_code=1)
    assert "job 1 (deploy) failed: 2 tasks were cancelled\n" in gswarm("jobs").out


def cancelled(story: Story) -> int:
    job = story.job("deploy", ("a", "noop", "", ()), ("b", "noop", "", ()))
    story.jobs.begin(job)
    for name in ("a", "b"):
        story.jobs.end(job, name, State.CANCELLED)
    return job


def test_a_job_that_was_cancelled_says_by_what(gswarm: Command, story: Story) -> None:
    here, elsewhere, in_part = (cancelled(story) for _ in range(3))
    story.jobs.request_cancel(elsewhere)
    story.jobs.request_cancel_task(in_part, "b")
    for job in (here, elsewhere, in_part):
        story.jobs.finish(job, State.CANCELLED, exit_code=130)
    by = {
        here: "where it ran (Ctrl-C, or TERM to its process)",
        elsewhere: "from elsewhere (gswarm job cancel, the terminal UI or"
        " --overlap cancel-previous)",
        in_part: "in part: gswarm queue ended 1 task",
    }
    listed = gswarm("jobs").out.splitlines()
    for job, how in by.items():
        said = f"job {job} (deploy) was cancelled {how}"
        assert said in listed
        assert said in gswarm("job", "show", str(job)).out.splitlines()


def test_a_cancelled_job_in_which_something_failed_has_two_ways_on(
    gswarm: Command, story: Story
) -> None:
    job = story.job("deploy", ("a", "noop", "", ()), ("b", "noop", "", ()))
    story.jobs.begin(job)
    story.runs(job, "a")
    story.jobs.end(job, "a", State.FAILED, error="no")
    story.jobs.end(job, "b", State.CANCELLED)
    story.jobs.finish(job, State.CANCELLED, exit_code=130)
    assert gswarm("jobs").out.splitlines()[-2:] == [
        "  to go on from there: gswarm job resume 1",
        "  and to do again what failed: gswarm job retry 1",
    ]


def test_a_job_that_was_cut_by_its_limit_goes_on_with_more(gswarm: Command, story: Story) -> None:
    job = story.job("deploy", ("a", "noop", "", ()), ("b", "noop", "", ("a",)))
    story.jobs.begin(job)
    for name in ("a", "b"):
        story.jobs.end(job, name, State.CANCELLED)
    story.jobs.finish(job, State.FAILED, exit_code=5, error="the job took longer than 3 s")
    way = "to go on from there: gswarm job resume 1 --timeout TIME\n"
    assert gswarm("jobs").out.endswith(f"all of it: gswarm job show 1\n  {way}")
    shown = gswarm("job", "show", "1").out
    assert shown.endswith(f"job 1: the job took longer than 3 s\n\n{way}")


def test_the_limit_of_a_task_is_not_the_job_s(gswarm: Command, story: Story) -> None:
    job = story.job("deploy", ("a", "noop", "", ()), ("b", "noop", "", ()))
    story.jobs.begin(job)
    story.runs(job, "a")
    story.jobs.end(job, "a", State.FAILED, error="it took longer than 1 s")
    story.jobs.end(job, "b", State.CANCELLED)
    story.jobs.finish(job, State.FAILED, exit_code=5)
    assert "  to go on from there: gswarm job resume 1\n" in gswarm("jobs").out


def test_a_failure_that_is_tolerated_is_said_to_be(gswarm: Command, story: Story) -> None:
    tasks = [(name, "noop", "", ()) for name in ("may", "must")]
    for state in (State.SUCCEEDED, State.FAILED):
        job = story.job("deploy", *tasks)
        story.jobs.begin(job)
        story.runs(job, "may")
        story.runs(job, "must")
        story.jobs.end(job, "may", State.FAILED, error="no", tolerated=True)
        story.jobs.end(job, "must", state, error="broken" if state is State.FAILED else None)
        story.jobs.finish(job, state, exit_code=int(state is State.FAILED))
    listed = gswarm("jobs").out
    assert [row[5] for row in rows(listed)[1:3]] == [
        "1 failed, 1 failed (tolerated)",
        "1 done, 1 failed (tolerated)",
    ]
    assert "job 2 (deploy) failed: must: broken\n" in listed
    shown = gswarm("job", "show", "1").out
    assert "\nfailed (tolerated): may: no\n" in shown
    assert ["may", "failed (tolerated)"] in [row[:2] for row in rows(shown)]
    assert "failed (tolerated)" in gswarm("queue", "history").out
    watched = gswarm("job", "show", "1", "--watch").err
    assert "failed (tolerated): may: no" in watched
    assert "1 done, 1 failed (tolerated)" in watched
    again = gswarm("job", "retry", "1")
    assert again.code == 2
    assert "error: job 1 succeeded: that may failed is tolerated" in again.err
    assert "gswarm job retry 1 --from may" in again.err


def test_there_may_be_no_job_yet(gswarm: Command) -> None:
    ended = gswarm("jobs")
    assert (ended.code, ended.out) == (0, "")
    assert "gswarm run PLAYBOOK" in ended.err
    assert gswarm("jobs", "--json").document == {"jobs": [], "without_job": []}


@pytest.mark.parametrize("chosen", [("--status", "lost"), ("--name", "x"), ("--since", "1s")])
def test_where_none_is_chosen_it_is_not_said_that_there_is_none(
    gswarm: Command, story: Story, chosen: tuple[str, str]
) -> None:
    job = story.failed()
    old = "2020-01-01T00:00:00.000+00:00"
    story.database.execute("UPDATE jobs SET finished_at = ? WHERE id = ?", (old, job))
    assert gswarm("jobs", *chosen).err == "no such job: gswarm jobs shows all\n"


def test_jobs_are_chosen_by_state_name_age_and_number(gswarm: Command, story: Story) -> None:
    for name in ("deploy", "other", "deploy"):
        story.failed(name)
    story.lost()
    old = "2020-01-01T00:00:00.000+00:00"
    story.database.execute(
        "UPDATE jobs SET started_at = ?, finished_at = ? WHERE id = 1", (old,) * 2
    )

    def chosen(*arguments: str) -> list[int]:
        return [job["id"] for job in gswarm("jobs", "--json", *arguments).document["jobs"]]

    assert chosen() == [4, 3, 2, 1]
    assert chosen("--status", "failed") == [3, 2, 1]
    assert chosen("--name", "deploy") == [3, 1]
    assert chosen("--since", "24h") == [4, 3, 2]
    assert chosen("--since", "2019-12-31") == [4, 3, 2, 1]
    assert chosen("--limit", "2") == [4, 3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["jobs", "--status", "faild"], "there is no state `faild`; did you mean `failed`?"),
        (["jobs", "--since", "yesterday"], "--since yesterday is no time"),
        (["jobs", "--since", "9" * 400], f"--since {'9' * 400} is no time"),
        (["job", "show", "9"], "there is no job 9"),
        (["job", "show", "last"], "there is no job yet"),
        (["job", "show", "deploy"], "'deploy' is no job: its number is meant, or `last`"),
        (["job", "show", "9" * 30], "is no job"),
        (["job", "logs", "x\x1b"], "is no job"),
        (["job", "logs", "\udcff"], "is no job"),
        (["jobs", "--name", "\udcff"], "is not UTF-8 text"),
        (["queue", "tasks", "--status", "failed"], "there is no state `failed`"),
        (["queue", "cancel", "3/x"], "there is no job 3"),
    ],
)
def test_what_is_asked_wrong_ends_with_2(gswarm: Command, arguments: list[str], said: str) -> None:
    ended = gswarm(*arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "\n  hint: " in ended.err
    assert "\x1b" not in ended.err


def test_a_job_shows_its_tasks_and_why_they_failed(gswarm: Command, story: Story) -> None:
    story.failed()
    ended = gswarm("job", "show", "last")
    assert ended.code == 0
    table = rows(ended.out)
    assert ["job", "1: deploy"] in table
    assert ["state", "failed (exit code 1)"] in table
    assert [
        (row[0], row[1], row[2], row[-1]) for row in table if row[0] in ("fetch", "serve", "ask")
    ] == [
        ("fetch", "succeeded", "1", "10.0 MB on node1:disk"),
        ("serve", "failed", "1", "node1:gpu0: the engine ended"),
        ("ask", "skipped", "-", "needs serve, which failed"),
    ]
    assert "failed: serve: node1:gpu0: the engine ended\nits log: �[31mout of memory\n" in ended.out
    assert "its log: gswarm job logs 1 serve" in ended.out


def test_what_waits_says_for_what(gswarm: Command, story: Story) -> None:
    story.waiting()
    sentence = "waiting for node1:gpu0, held by job 1 (serve a)"
    assert sentence in gswarm("job", "show", "1").out
    table = rows(gswarm("queue", "tasks").out)
    assert [(row[0], row[1], row[-1]) for row in table[1:]] == [
        ("1/a", "running", "serve tiny on node1:gpu0"),
        ("1/b[x]", "ready", sentence),
    ]
    assert len(rows(gswarm("queue", "tasks", "--status", "running").out)) == 2


def test_the_next_attempt_is_said_by_the_users_clock(gswarm: Command, story: Story) -> None:
    job = story.job("deploy", ("a", "noop", "", ()))
    story.elsewhere(job)
    story.runs(job, "a")
    at = datetime.now(UTC).replace(microsecond=0)
    story.jobs.end(job, "a", State.RETRYING, error="node1: no answer", retry_at=at)
    sentence = f"attempt 1 failed; the next begins at {at.astimezone():%H:%M:%S}"
    assert sentence in gswarm("queue", "tasks").out
    assert sentence in gswarm("job", "show", "1").out
    story.database.execute("UPDATE tasks SET retry_at = '2026-01-02T12:00:00.000+00:00'")
    assert "the next begins at 2026-01-02 " in gswarm("queue", "tasks").out


def test_what_is_shown_cannot_steer_the_terminal(
    gswarm: Command, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = story.job("evil\x1b[2J", ("b[x]", "command", HOSTILE, ()))
    story.jobs.begin(job)
    story.runs(job, "b[x]")
    story.jobs.end(job, "b[x]", State.FAILED, error=HOSTILE)
    story.jobs.finish(job, State.FAILED, exit_code=1)
    commands = [("jobs",), ("job", "show", "1"), ("queue", "history"), ("job", "rm", "1")]
    for arguments in commands[:3]:
        for is_terminal in (False, True):
            monkeypatch.setattr(sys.stdout, "isatty", lambda is_terminal=is_terminal: is_terminal)
            monkeypatch.setenv("COLUMNS", "80")
            out = gswarm(*arguments).out
            assert not {"\x07", "\u202e"} & set(out)
            assert "\x1b]" not in out
            assert "[2J" not in out.replace("�[2J", "")
            assert "[bold]hi[/bold]" in out.replace("\n", "")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert "\x1b" not in gswarm(*commands[3]).out


def test_tables_fit_a_terminal_of_80_columns(
    gswarm: Command, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.waiting()
    long = story.job("x" * 50, (f"{'long' * 20}[node1]", "command", HOSTILE, ()))
    story.jobs.begin(long)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in (("jobs",), ("job", "show", "2"), ("queue", "tasks")):
        out = re.sub(r"\x1b\[[0-9;]*m", "", gswarm(*arguments).out)
        drawn = [line for line in out.splitlines() if " " in line.strip()]
        assert max(map(len, drawn)) <= 80
    said = " ".join(gswarm("queue", "tasks").out.split())
    assert "waiting for node1:gpu0, held by job 1 (serve a)" in said


def test_the_document_of_a_job_is_whole_and_always_of_one_shape(
    gswarm: Command, story: Story, tmp_path: Path
) -> None:
    story.failed()
    shown = gswarm("job", "show", "1", "--json").document
    exported = gswarm("job", "export", "1")
    path = tmp_path / "home" / "jobs" / "job_1.json"
    assert exported.out == f"{path}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_text()) == shown == gswarm("job", "export", "1", "-o", "-").document
    assert (shown["format"], shown["id"], shown["state"], shown["exit_code"]) == (1, 1, "failed", 1)
    fetch, serve, ask = shown["tasks"]
    assert fetch["result"] == PLACED
    assert serve["error_kind"] == "engine_failed"
    assert [attempt["state"] for attempt in serve["attempts"]] == ["failed"]
    assert serve["attempts"][0]["error"] == serve["error"]
    assert (ask["attempt"], ask["attempts"], ask["seconds"]) == (0, [], None)
    assert set(fetch) == set(serve) == set(ask)
    written = [shown["created_at"], serve["started_at"], serve["attempts"][0]["finished_at"]]
    assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}\+00:00", time) for time in written)


def test_an_export_may_go_anywhere_that_can_be_written(
    gswarm: Command, story: Story, tmp_path: Path
) -> None:
    story.failed()
    assert gswarm("job", "export", "1", "--output", str(tmp_path / "x.json")).code == 0
    assert json.loads((tmp_path / "x.json").read_text())["name"] == "deploy"
    ended = gswarm("job", "export", "1", "--output", str(tmp_path / "none" / "x.json"))
    assert ended.code == 1
    assert "cannot be written: No such file" in ended.err


def test_jobs_are_removed_with_their_logs(gswarm: Command, story: Story, tmp_path: Path) -> None:
    story.failed()
    story.waiting()
    logs = tmp_path / "home" / "logs"
    (logs / "job-1").mkdir(parents=True)
    document = Path(gswarm("job", "export", "1").out.strip())
    for name in ("job-1.log", "job-1/serve.1.log", "job-2.log"):
        (logs / name).touch()
    refused = gswarm("job", "rm", "1", "2")
    assert refused.code == 2
    assert "error: job 2 is run by process 7 on cabin" in refused.err
    assert story.jobs.get(1) is not None
    assert gswarm("job", "rm", "1", "1").out == "job 1 (deploy) is removed\n"
    assert story.jobs.get(1) is None
    assert [path.name for path in logs.iterdir()] == ["job-2.log"]
    assert not document.exists()


def test_the_queue_in_numbers(gswarm: Command, story: Story) -> None:
    story.waiting()
    assert rows(gswarm("queue", "status").out) == [
        ["queue", "open"],
        ["running", "1"],
        ["waiting", "1 (1 normal)"],
        ["retrying", "0"],
    ]
    status = gswarm("queue", "status", "--json").document
    assert status["by_priority"] == {"critical": 0, "high": 0, "normal": 1, "low": 0}


def test_a_playbook_s_name_in_place_of_a_job_leads_to_its_jobs(
    gswarm: Command, story: Story
) -> None:
    story.failed("a b")
    assert gswarm("job", "show", "a b").err.endswith("hint: gswarm jobs --name 'a b' lists them\n")
    assert gswarm("job", "show", "c").err.endswith("hint: gswarm jobs lists them\n")


def test_the_queue_is_held_and_opened_again(gswarm: Command, story: Story) -> None:
    story.waiting()
    assert "the queue is paused; 1 task under way" in gswarm("queue", "pause").out
    assert Queue(story.database).is_paused()
    assert "paused: gswarm queue resume" in gswarm("queue", "status").out
    assert "the queue is paused" in gswarm("queue", "tasks").out
    assert gswarm("queue", "resume").out == "the queue is open; 1 task waiting\n"
    assert not Queue(story.database).is_paused()


def test_of_an_empty_queue_no_number_is_said(gswarm: Command) -> None:
    assert gswarm("queue", "pause").out == "the queue is paused; nothing is under way\n"
    assert gswarm("queue", "resume").out == "the queue is open; nothing waits\n"


def test_clearing_the_queue_needs_a_yes_and_says_what_it_did(
    gswarm: Command, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = story.waiting()
    refused = gswarm("queue", "clear")
    assert refused.code == 2
    assert "hint: say --yes" in refused.err
    assert story.jobs.cancel_requests(job) == (False, [])
    monkeypatch.setattr("gswarm_tui.cli.history.is_interactive", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert gswarm("queue", "clear").code == 1
    assert story.jobs.cancel_requests(job) == (False, [])
    assert gswarm("queue", "clear", "--yes").out == "1/b[x]: cancelled\n"
    assert story.jobs.cancel_requests(job) == (False, ["b[x]"])


def test_what_was_done_to_the_queue_as_json(gswarm: Command, story: Story) -> None:
    story.waiting()
    paused, status = gswarm("queue", "pause", "--json"), gswarm("queue", "status", "--json")
    assert paused.document == status.document
    assert paused.document["paused"] is True
    assert gswarm("queue", "resume", "--json").document["paused"] is False
    cancelled = gswarm("queue", "cancel", "last/a", "--json")
    assert cancelled.document == {"id": "1/a", "job": 1, "state": "running", "already": False}
    cleared = gswarm("queue", "clear", "--yes", "--json")
    assert (cleared.document, cleared.err) == ({"cancelled": ["1/b[x]"]}, "")
    story.failed()
    ended = gswarm("queue", "cancel", "2/serve", "--json")
    assert ended.document == {"id": "2/serve", "job": 2, "state": "failed", "already": True}
    assert gswarm("job", "rm", "2", "--json").document == {"removed": [2]}


def test_a_task_is_cancelled_by_its_id(gswarm: Command, story: Story) -> None:
    job = story.waiting()
    assert gswarm("queue", "cancel", "1/a").code == 0
    assert story.jobs.cancel_requests(job) == (False, ["a"])
    wrong = gswarm("queue", "cancel", "1/b[y]")
    assert wrong.code == 2
    assert "job 1 has no task `b[y]`; did you mean `b[x]`?" in wrong.err


def test_a_task_that_nobody_runs_is_cancelled_with_its_job(gswarm: Command, story: Story) -> None:
    story.failed()
    assert gswarm("queue", "cancel", "1/serve").out == "1/serve has ended already: failed\n"
    story.lost()
    refused = gswarm("queue", "cancel", "2/one")
    assert refused.code == 2
    assert "hint: gswarm job cancel 2" in refused.err


def test_the_history_of_the_queue(gswarm: Command, story: Story) -> None:
    story.failed()
    tasks = gswarm("queue", "history", "--json").document["tasks"]
    assert {(task["id"], task["job"], task["state"]) for task in tasks} == {
        ("1/fetch", 1, "succeeded"),
        ("1/serve", 1, "failed"),
        ("1/ask", 1, "skipped"),
    }
    assert len(gswarm("queue", "history", "--limit", "1", "--json").document["tasks"]) == 1


def test_every_state_of_a_job_is_shown(gswarm: Command, story: Story) -> None:
    for number, state in enumerate(JOB_TRANSITIONS, 1):
        story.elsewhere(story.job("one", ("a", "noop", "", ())))
        story.database.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, number))
        for arguments in (("jobs",), ("job", "show", str(number))):
            ended = gswarm(*arguments)
            assert ended.code == 0
            assert str(state) in ended.out


def test_the_hint_of_an_error_is_shown(gswarm: Command, story: Story) -> None:
    job = story.job("build", ("make", "command", "make on node1", ()))
    story.jobs.begin(job)
    story.runs(job, "make")
    story.jobs.end(job, "make", State.FAILED, error="node1: no room", hint="make \x1bsome")
    story.jobs.finish(job, State.FAILED, exit_code=1)
    assert "failed: make: node1: no room\n  hint: make �some\n" in gswarm("job", "show", "1").out
    shown = gswarm("job", "show", "1", "--json").document
    assert shown["tasks"][0]["hint"] == "make \x1bsome"


def test_the_log_of_a_task_is_named_once_and_as_a_shell_takes_it(
    gswarm: Command, story: Story
) -> None:
    job = story.job("build", ("make[a b]", "command", "make on node1", ()))
    story.jobs.begin(job)
    story.runs(job, "make[a b]")
    error = with_log(
        GswarmError("it failed", hint="all that it wrote is in /w/1/out"), job, "make[a b]"
    )
    story.jobs.end(job, "make[a b]", State.FAILED, error=str(error), hint=error.hint)
    story.jobs.finish(job, State.FAILED, exit_code=1)
    shown = gswarm("job", "show", "1").out
    assert (
        "\n  hint: all that it wrote is in /w/1/out\n  its log: gswarm job logs 1 'make[a b]'\n"
        in shown
    )
    assert shown.count("job logs") == 1
