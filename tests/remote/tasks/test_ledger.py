"""What was done for a task is known to later helpers, and given again instead of done again."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.tasks import ledger as module
from gswarm_remote.tasks.entry import Entry, check_task
from gswarm_remote.tasks.ledger import Ledger

from ..helpers import Helpers

PLAN = {
    "name": "tiny",
    "revision": "r1",
    "source": "hf://org/tiny",
    "files": [{"path": "a", "size": 1, "sha256": "ab" * 32, "url": "https://x/a?sig=1"}],
}


def entry(task: str = "j/a/1", method: str = "model.verify", **params: Any) -> Entry:
    return Entry.of(task, method, params)


async def test_a_result_is_found_by_the_next_helper(tmp_path: Path) -> None:
    await Ledger(tmp_path / "t").keep(entry(name="m"), {"ok": True, "none": None})
    later = Ledger(tmp_path / "t")
    assert await later.find(entry(name="m")) == {"result": {"ok": True, "none": None}}
    assert await later.find(entry(name="n")) is None
    assert await later.find(entry(task="j/a/2", name="m")) is None
    assert [(kept.task, kept.method) for kept in await later.list("j/a")] == [
        ("j/a/1", "model.verify")
    ]
    assert await later.list("k") == []
    files = list((tmp_path / "t").iterdir())
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600]


async def test_what_a_restart_of_the_machine_undoes_is_not_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, verified = entry(method="engine.start"), entry(method="model.verify")
    for what in (started, verified):
        await Ledger(tmp_path).keep(what, 1)
    monkeypatch.setattr(module, "boot_id", lambda: "another")
    assert await Ledger(tmp_path).find(started) is None
    assert await Ledger(tmp_path).find(verified) == {"result": 1}


async def test_what_is_damaged_counts_as_not_done(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    await first.keep(entry(), 1)
    next(tmp_path.iterdir()).write_text("{")
    assert await first.find(entry()) is None
    assert await Ledger(tmp_path).find(entry()) is None


async def test_the_oldest_and_the_old_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    kept = Ledger(tmp_path)
    for number in range(5):
        await kept.keep(entry(number=number), number)
    assert [await kept.find(entry(number=number)) for number in range(5)] == [
        *(None, None),
        *({"result": number} for number in (2, 3, 4)),
    ]
    assert len(list(tmp_path.iterdir())) == 3
    path = min(tmp_path.iterdir(), key=lambda path: json.loads(path.read_text())["finished_at"])
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "finished_at": time.time() - 8 * 86400}))
    assert len(await Ledger(tmp_path).list("")) == 2


async def test_a_result_that_cannot_be_kept_is_given_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    kept = Ledger(tmp_path / "file" / "t")
    await kept.keep(entry(), 1)
    await Ledger(tmp_path / "t").keep(entry(), object())
    assert await kept.find(entry()) is None
    assert len(caplog.records) == 2


def test_what_is_secret_or_changes_is_no_part_of_what_was_asked() -> None:
    signed = {**PLAN, "files": [{**PLAN["files"][0], "url": "https://x/a?sig=2"}]}  # type: ignore[index]
    fetches = [
        Entry.of("t", "model.fetch", {"tier": "disk", **params})
        for params in (
            {"plan": PLAN},
            {"plan": signed, "headers": {"Authorization": "Bearer x"}, "origin": "https://x"},
        )
    ]
    assert fetches[0] == fetches[1]
    starts = [
        Entry.of("t", "engine.start", {"model": "m", "timeout_s": seconds, **secret})
        for seconds, secret in (
            (1, {"env": {"K": "1"}, "config": {"env": {"A": "1"}, "x": 1}}),
            (2, {"env": {"K": "2"}, "config": {"env": {"A": "2"}, "x": 1}}),
        )
    ]
    assert starts[0] == starts[1]
    assert Entry.of("t", "engine.start", {"model": "m", "config": {"x": 2}}) != starts[0]


@pytest.mark.parametrize("task", [None, "", "a\nb", "x" * 401, 5])
def test_what_is_no_key_of_a_task(task: object) -> None:
    with pytest.raises(HelperError) as caught:
        check_task(task)
    assert caught.value.kind == Kind.INVALID


async def test_an_import_is_done_once_for_a_task_also_when_the_helper_is_killed(
    helpers: Helpers, place: Path
) -> None:
    (place / "given").mkdir()
    (place / "given" / "model.gguf").write_bytes(b"weights")
    params = {"name": "tiny", "path": str(place / "given"), "tier": "disk", "task": "j/a/1"}
    helper = helpers.start()
    first = await helper.ask("model.import", params)
    assert first["already"] is False
    helper.kill()
    second = helpers.start()
    assert await second.ask("task.list", {"prefix": "j/a/"}) == [
        {"task": "j/a/1", "method": "model.import", "state": "done"}
    ]
    assert await second.ask("model.import", params) == first
    # Another attempt looks again, and finds that it is there.
    assert (await second.ask("model.import", {**params, "task": "j/a/2"}))["already"] is True


async def test_an_error_is_not_kept(helpers: Helpers, place: Path) -> None:
    params = {"name": "tiny", "path": str(place / "late"), "tier": "disk", "task": "j/a/1"}
    helper = helpers.start()
    with pytest.raises(HelperError):
        await helper.ask("model.import", params)
    assert await helper.ask("task.list", {"prefix": ""}) == []
    (place / "late").mkdir()
    (place / "late" / "model.gguf").write_bytes(b"weights")
    assert (await helper.ask("model.import", params))["already"] is False


async def test_no_prefix_cancels_nothing(helpers: Helpers) -> None:
    helper = helpers.start()
    with pytest.raises(HelperError) as caught:
        await helper.ask("task.cancel", {})
    assert caught.value.kind == Kind.INVALID


async def test_cancelling_tasks_drops_their_leases(helpers: Helpers) -> None:
    helper = helpers.start()
    async with helper.connected() as peer:
        wants = [{"device": f"gpu{os.getpid() % 8}", "shared": False}]
        await peer.call("lease.take", {"task": "j/a/1", "wants": wants, "who": {}})
        await helper.ask("task.cancel", {"prefix": "j/"})
        assert (await peer.call("node.status", {}))["leases"] == []
