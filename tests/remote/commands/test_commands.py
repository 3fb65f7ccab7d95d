"""Commands: run once, followed, found again by the next helper, and ended with all they started."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote import process, processtable
from gswarm_remote.errors import HelperError, Kind

from ... import pythons
from ..helpers import HelperProcess, Helpers, until

OLDEST = pythons.find("3.9")


def run_of(task: str, *argv: str, **more: Any) -> dict[str, Any]:
    return {"task": task, "argv": list(argv), **more}


def sh(task: str, script: str, **more: Any) -> dict[str, Any]:
    return run_of(task, "sh", "-c", script, **more)


async def failure(helper: HelperProcess, params: dict[str, Any]) -> HelperError:
    with pytest.raises(HelperError) as caught:
        await helper.ask("command.run", params)
    return caught.value


def at_work(mark: str) -> list[int]:
    """The processes that have a word in their environment."""
    return [
        entry.pid
        for entry in processtable.entries()
        if not entry.dead and mark in processtable.environment(entry.pid).values()
    ]


async def test_its_result_and_what_it_writes(helpers: Helpers, place: Path) -> None:
    helper = helpers.start()
    told: list[dict[str, Any]] = []
    async with helper.connected() as peer:
        params = run_of("j/a/1", "printf", "%s;", "a b", "$HOME", "'\"", "", cwd=str(place), env={})
        answer = await peer.call("command.run", params, progress=told.append)
    assert answer["output"] == "a b;$HOME;'\";;"  # no shell has read the words
    assert (answer["status"], answer["truncated"], answer["skipped"]) == (0, False, False)
    assert 0 <= answer["seconds"] < 10
    assert "".join(report.get("output") or "" for report in told) == answer["output"]


@pytest.mark.skipif(OLDEST is None, reason="there is no Python 3.9")
async def test_on_the_oldest_python_too(helpers: Helpers, place: Path) -> None:
    helper = helpers.start(python=str(OLDEST))
    async with helper.connected() as peer:
        wants = [{"model": "m", "tier": "disk", "shared": True}, {"device": "gpu0"}]
        await peer.call("lease.take", {"task": "j/a/1", "wants": wants, "who": {"job": 1}})
        params = sh("j/a/1", "while [ ! -e go ]; do sleep 0.02; done; echo done", cwd=str(place))
        asking = asyncio.ensure_future(peer.call("command.run", params))
        await until(lambda: list((place / "root").rglob("begun")))
        helper.kill()
        await asyncio.gather(asking, return_exceptions=True)
    (place / "go").touch()
    second = helpers.start(python=str(OLDEST))
    assert (await second.ask("command.run", params))["output"] == "done\n"


async def test_a_builtin_of_the_shell_is_no_program(helpers: Helpers) -> None:
    error = await failure(helpers.start(), run_of("j/a/1", "exit", "0"))
    assert (error.kind, error.message) == (Kind.NOT_FOUND, "there is no program exit")
    assert "a shell's builtins need `sh -c`" in str(error.hint)


async def test_what_cannot_be_run_is_named(helpers: Helpers, place: Path) -> None:
    (place / "notes").write_text("no program")
    helper = helpers.start()
    missing = await failure(helper, run_of("j/a/1", "./tool", cwd=str(place)))
    assert (missing.kind, missing.message) == (Kind.NOT_FOUND, "there is no program ./tool")
    plain = await failure(helper, run_of("j/b/1", "./notes", cwd=str(place)))
    assert (plain.kind, plain.where) == (Kind.PERMISSION, str(place / "notes"))
    (place / "notes").write_text("#!/no/interpreter")
    (place / "notes").chmod(0o755)
    broken = await failure(helper, run_of("j/c/1", "./notes", cwd=str(place)))
    assert broken.message.startswith("notes ended with status 12")


async def test_where_it_runs_and_what_it_is_given(helpers: Helpers, place: Path) -> None:
    helper = helpers.start()
    script = "pwd; umask; echo ${#SECRET}; read line || echo nothing to read"
    params = sh("j/a/1", script, cwd=str(place), env={"SECRET": "s3cret"})
    lines = (await helper.ask("command.run", params))["output"].splitlines()
    mask = os.umask(0)
    os.umask(mask)
    assert lines == [str(place), f"{mask:04o}", "6", "nothing to read"]
    files = [path for path in (place / "root").rglob("*") if path.is_file()]
    assert [path for path in files if b"s3cret" in path.read_bytes()] == []
    kept = [path for path in files if path.parent.name != "logs" and "tasks" in path.parts]
    assert {path.name for path in kept} >= {"record.json", "output", "status"}
    assert {
        path.stat().st_mode & 0o077 for path in kept if path.name not in ("begun", "status")
    } == {0}


async def test_a_status_that_is_not_0_is_an_error_with_the_last_lines(helpers: Helpers) -> None:
    helper = helpers.start()
    params = sh("j/a/1", "echo one; echo two >&2; exit 3")
    error = await failure(helper, params)
    assert error.kind == Kind.FAILED
    assert error.message == "sh ended with status 3: one | two"
    assert (await failure(helper, params)).message == error.message  # and it did not run again


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"argv": "ls -l"}, Kind.INVALID),
        ({"argv": []}, Kind.INVALID),
        ({"argv": ["-c"]}, Kind.INVALID),
        ({"argv": ["a\0b"]}, Kind.INVALID),
        ({"argv": ["true"], "env": {"A=": "b"}}, Kind.INVALID),
        ({"argv": ["true"], "env": {"A": 1}}, Kind.INVALID),
        ({"argv": ["true"], "cwd": "/no/such"}, Kind.NOT_FOUND),
        ({"argv": ["true"], "cwd": "~nobodyatall/x"}, Kind.INVALID),
        ({"argv": ["true"], "timeout_s": 0}, Kind.INVALID),
        ({"argv": ["true"], "task": ""}, Kind.INVALID),
    ],
)
async def test_what_cannot_be_run(helpers: Helpers, params: dict[str, Any], kind: str) -> None:
    error = await failure(helpers.start(), {"task": "j/a/1", **params})
    assert error.kind == kind


async def test_without_a_task_it_is_refused(helpers: Helpers) -> None:
    assert (await failure(helpers.start(), {"argv": ["true"]})).kind == Kind.INVALID


async def test_what_is_there_already_is_not_made_again(helpers: Helpers, place: Path) -> None:
    helper = helpers.start()
    params = {"argv": ["touch", "made", "ran"], "cwd": str(place), "creates": "made"}
    first = await helper.ask("command.run", {**params, "task": "j/a/1"})
    assert first["skipped"] is False
    (place / "ran").unlink()
    second = await helper.ask("command.run", {**params, "task": "j/a/2"})
    assert second == {"status": 0, "output": "", "truncated": False, "skipped": True, "seconds": 0}
    assert not (place / "ran").exists()


async def test_it_runs_once_for_a_task_and_its_result_outlives_helpers(
    helpers: Helpers, place: Path
) -> None:
    params = sh("j/a/1", "echo run >>runs; cat runs", cwd=str(place))
    helper = helpers.start()
    first = await helper.ask("command.run", params)
    helper.kill()
    second = helpers.start()
    assert await second.ask("command.run", params) == first
    assert await second.ask("task.list", {"prefix": "j/"}) == [
        {"task": "j/a/1", "method": "command.run", "state": "done"}
    ]
    assert (place / "runs").read_text() == "run\n"
    await second.ask("command.run", {**params, "task": "j/a/2"})
    assert (place / "runs").read_text() == "run\nrun\n"


async def test_it_outlives_the_helper_and_the_next_one_hands_out_what_came_of_it(
    helpers: Helpers, place: Path
) -> None:
    script = "echo before; while [ ! -e go ]; do sleep 0.02; done; echo after; exit $(cat go)"
    params = sh("j/a/1", script, cwd=str(place))
    helper = helpers.start()
    async with helper.connected() as peer:
        told: list[dict[str, Any]] = []
        asking = asyncio.ensure_future(peer.call("command.run", params, progress=told.append))
        await until(lambda: any(report.get("output") for report in told))
        helper.kill()
        await asyncio.gather(asking, return_exceptions=True)
    second = helpers.start()
    info = await second.ask("node.info")
    assert "1 operation" in info["helper"]["reasons"]
    assert await second.ask("task.list", {"prefix": "j/"}) == [
        {"task": "j/a/1", "method": "command.run", "state": "running"}
    ]
    (place / "go").write_text("0")
    assert (await second.ask("command.run", params))["output"] == "before\nafter\n"


async def test_it_ends_while_no_helper_is_there(helpers: Helpers, place: Path) -> None:
    script = "while [ ! -e go ]; do sleep 0.02; done; echo after; exit 4"
    params = sh("j/a/1", script, cwd=str(place))
    helper = helpers.start()
    async with helper.connected() as peer:
        asking = asyncio.ensure_future(peer.call("command.run", params))
        tasks = place / "root" / "hosts"
        await until(lambda: list(tasks.rglob("begun")))
        helper.kill()
        await asyncio.gather(asking, return_exceptions=True)
    (place / "go").touch()
    await until(lambda: list(tasks.rglob("status")))
    error = await failure(helpers.start(), params)
    assert error.message == "sh ended with status 4: after"


async def test_killed_from_outside_it_is_a_failure_and_leaves_nothing(
    helpers: Helpers, place: Path
) -> None:
    script = "echo up; sleep 60 & sleep 60"
    params = sh("j/a/1", script, cwd=str(place), env={"WORD": str(place)})
    helper = helpers.start()
    async with helper.connected() as peer:
        asking = asyncio.ensure_future(peer.call("command.run", params))
        await until(lambda: len(at_work(str(place))) >= 3)
        helper.kill()
        await asyncio.gather(asking, return_exceptions=True)
    leader = next(pid for pid in at_work(str(place)) if os.getsid(pid) == pid)
    os.kill(leader, 9)
    error = await failure(helpers.start(), params)
    assert error.kind == Kind.FAILED
    assert "ended from outside" in error.message
    assert at_work(str(place)) == []


async def test_a_process_that_has_its_number_by_now_is_left_alone(
    helpers: Helpers, place: Path
) -> None:
    params = run_of("j/a/1", "true", cwd=str(place))
    helper = helpers.start()
    await helper.ask("command.run", params)
    helper.kill()
    with subprocess.Popen(["sleep", "60"], cwd=place, start_new_session=True) as innocent:
        # As it is where the command was killed, and its pid is a shell's in the same folder.
        (path,) = (place / "root").rglob("record.json")
        record = json.loads(path.read_text())
        record["process"]["pid"] = innocent.pid
        path.write_text(json.dumps(record))
        (path.parent / "status").unlink()
        for kept in path.parent.parent.glob("*.json"):
            kept.unlink()
        error = await failure(helpers.start(), params)
        assert "ended from outside" in error.message
        assert innocent.poll() is None
        innocent.kill()


DEAF = (
    f"{sys.executable} -c 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)'"
)


async def test_a_cancel_ends_all_that_it_started(helpers: Helpers, place: Path) -> None:
    script = "trap 'echo told >told; echo bye; exit' TERM; sleep 60 & (setsid sleep 60) & wait"
    params = sh("j/a/1", script, cwd=str(place), env={"WORD": str(place)})
    helper = helpers.start()
    told: list[dict[str, Any]] = []
    async with helper.connected() as peer:
        call = peer.call("command.run", params, progress=told.append)
        asking = asyncio.ensure_future(call)
        await until(lambda: len(at_work(str(place))) >= 4)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert at_work(str(place)) == []
        assert (place / "told").exists()
        assert "".join(report.get("output") or "" for report in told) == "bye\n"
        assert await peer.call("task.list", {"prefix": ""}) == []


async def test_a_task_is_cancelled_whoever_asked_for_it_also_by_a_later_helper(
    helpers: Helpers, place: Path
) -> None:
    params = sh("j/a/1", DEAF, cwd=str(place), env={"WORD": str(place)})
    helper = helpers.start()
    async with helper.connected() as peer:
        asking = asyncio.ensure_future(peer.call("command.run", params))
        await until(lambda: at_work(str(place)))
        helper.kill()
        await asyncio.gather(asking, return_exceptions=True)
    second = helpers.start()
    assert await second.ask("task.cancel", {"prefix": "k/"}) == {"cancelled": 0}
    assert await second.ask("task.cancel", {"prefix": "j/"}) == {"cancelled": 1}
    assert at_work(str(place)) == []
    assert await second.ask("task.list", {"prefix": ""}) == []


async def test_whoever_waits_for_a_task_that_is_cancelled_hears_of_it(
    helpers: Helpers, place: Path
) -> None:
    params = sh("j/a/1", "sleep 60", cwd=str(place), env={"WORD": str(place)})
    helper = helpers.start()
    async with helper.connected() as peer:
        asking = asyncio.ensure_future(peer.call("command.run", params))
        await until(lambda: at_work(str(place)))
        await helper.ask("task.cancel", {"prefix": "j/a/"})
        with pytest.raises(HelperError) as caught:
            await asking
        assert caught.value.kind == Kind.CANCELLED


async def test_a_term_to_the_helper_leaves_it_running(helpers: Helpers, place: Path) -> None:
    params = sh("j/a/1", "while [ ! -e go ]; do sleep 0.02; done; echo done", cwd=str(place))
    helper = helpers.start()
    async with helper.connected() as peer:
        asking = asyncio.ensure_future(peer.call("command.run", params))
        await until(lambda: list((place / "root").rglob("begun")))
        helper.process.terminate()
        await asyncio.to_thread(helper.process.wait, 10)
        await asyncio.gather(asking, return_exceptions=True)
    (place / "go").touch()
    assert (await helpers.start().ask("command.run", params))["output"] == "done\n"


async def test_one_that_takes_too_long_is_ended(helpers: Helpers, place: Path) -> None:
    helper = helpers.start()
    params = sh(
        "j/a/1", "echo begun; sleep 60", cwd=str(place), env={"W": str(place)}, timeout_s=1.5
    )
    error = await failure(helper, params)
    assert error.kind == Kind.TIMEOUT
    assert error.message == "sh took longer than 1.5 s and was ended: begun"
    assert at_work(str(place)) == []
    assert (await failure(helper, params)).kind == Kind.TIMEOUT


async def test_much_output_is_cut_at_its_end(helpers: Helpers) -> None:
    helper = helpers.start()
    told: list[dict[str, Any]] = []
    async with helper.connected() as peer:
        program = "import sys; sys.stdout.write('x' * 5_000_000 + 'end')"
        params = run_of("j/a/1", sys.executable, "-c", program)
        answer = await peer.call("command.run", params, progress=told.append)
    assert answer["truncated"] is True
    assert len(answer["output"]) == 65536
    assert answer["output"].endswith("xend")
    assert "".join(report.get("output") or "" for report in told).endswith("xend")


def test_the_mask_of_files_is_the_users_own() -> None:
    mask = os.umask(0)
    os.umask(mask)
    assert process.umask() == f"{mask:04o}"
