"""One sampler for all who watch: real children, real nvitop, a simulated driver."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.metrics import feed, idle
from gswarm_remote.metrics.feed import Feed, Patience
from gswarm_remote.metrics.watching import Watch, Wish

from ..helpers import until

FAST = Wish(interval_s=0.1)
USUAL = Patience(restart_s=0.05)
SHORT = Patience(hung_s=0.3, kill_s=0.8, restart_s=0.05, gone_s=5.0)
MIDDLE = Patience(hung_s=0.3, kill_s=2.0, restart_s=0.05, gone_s=5.0)
"""A sampler begins to sample before that is over, also where others are at work."""


async def no_services() -> list[Any]:
    return []


class Feeds:
    """Makes feeds of simulated GPUs."""

    def __init__(self) -> None:
        self.made: list[Feed] = []
        self.began = time.time()

    def __call__(
        self,
        *,
        services: Any = no_services,
        patience: Patience = USUAL,
        idle: Path | None = None,
        **config: Any,
    ) -> Feed:
        order = {"models": "/", "simulate": {"gpus": 2, **config}, "began": self.began}
        made = Feed(lambda: order, services, patience, idle)
        self.made.append(made)
        return made


@pytest.fixture
async def feeds() -> AsyncIterator[Feeds]:
    made = Feeds()
    yield made
    for one in made.made:
        await one.close()
        if one._stuck is not None:
            await one._stuck.wait()


async def frame_with(watch: Watch, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The next frame that fits."""
    deadline = time.monotonic() + 20
    while True:
        frame = await asyncio.wait_for(watch.frame(), 10)
        if fits(frame):
            return frame
        assert time.monotonic() < deadline, frame


def in_state(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda frame: bool(frame["state"] == state)


def sampler_of(one: Feed) -> int:
    assert one._child is not None
    return one._child.pid


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_frames_come_with_gpus_and_machine(feeds: Feeds) -> None:
    one = feeds(pattern="busy")
    with one.watch(FAST) as watch:
        first = await watch.frame()
        second = await watch.frame()
    assert (first["state"], first["error"]) == ("ok", None)
    assert first["silent_s"] < 1
    assert [gpu["index"] for gpu in first["gpus"]] == [0, 1]
    assert first["gpus"][0]["xid"] == []
    assert first["static"] == one.static["version"] != ""
    assert [gpu["name"] for gpu in one.static["gpus"]] == ["NVIDIA H100 80GB HBM3"] * 2
    assert first["host"]["memory_total_bytes"] > 0
    assert first["host"]["disk_total_bytes"] > 0
    assert second["seq"] > first["seq"]
    assert second["time"] > first["time"]


async def test_the_sampler_runs_only_while_somebody_watches(feeds: Feeds) -> None:
    one = feeds()
    assert one._child is None
    with one.watch(FAST) as watch:
        await watch.frame()
        pid = sampler_of(one)
        with one.watch(FAST) as another:
            await another.frame()
            assert sampler_of(one) == pid
        await watch.frame()
    await until(lambda: not runs(pid))
    with one.watch(FAST) as watch:  # and again
        assert (await watch.frame())["state"] == "ok"


async def test_who_comes_later_is_told_since_when_a_gpu_is_idle(feeds: Feeds) -> None:
    one = feeds(pattern="idle")
    with one.watch(FAST) as watch:
        first = await frame_with(watch, in_state("ok"))
        pid = sampler_of(one)
    await until(lambda: not runs(pid))
    with one.watch(FAST) as watch:
        again = await frame_with(watch, in_state("ok"))
    assert [gpu["idle_since"] for gpu in again["gpus"]] == [first["time"]] * 2
    assert again["gpus"][0]["idle_seen"] is False


async def test_the_next_helper_knows_since_when_a_gpu_is_idle(
    feeds: Feeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "_MEASURED_S", 0.0)
    monkeypatch.setattr(idle, "_MORE_W", 1e6)  # ticks are too short to measure anything
    one = feeds(pattern="idle", idle=tmp_path / "idle.json")
    with one.watch(FAST) as watch:
        first = await frame_with(watch, in_state("ok"))
        await watch.frame()
    await one.close()
    monkeypatch.setattr(idle, "UNSEEN_S", 0.0)
    with feeds(pattern="idle", idle=tmp_path / "idle.json").watch(FAST) as watch:
        again = await frame_with(watch, in_state("ok"))
    assert [gpu["idle_since"] for gpu in again["gpus"]] == [first["time"]] * 2
    assert "energy_j" not in again["gpus"][0]


async def test_who_comes_while_the_last_one_goes_gets_frames(
    feeds: Feeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving, go_on = threading.Event(), threading.Event()

    def slow(times: idle.IdleTimes, content: object) -> None:
        saving.set()
        go_on.wait(20)

    monkeypatch.setattr(idle.IdleTimes, "save", slow)
    one = feeds(pattern="idle", idle=tmp_path / "idle.json")
    with one.watch(FAST) as watch:
        await frame_with(watch, in_state("ok"))
    await until(saving.is_set)
    with one.watch(FAST) as watch:
        go_on.set()
        assert (await asyncio.wait_for(watch.frame(), 10))["state"] == "ok"


async def test_a_disk_that_does_not_answer_holds_up_no_frames(
    feeds: Feeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(idle, "SAVE_S", 0.0)
    monkeypatch.setattr(idle.IdleTimes, "save", lambda times, content: go_on.wait(20))
    one = feeds(pattern="idle", idle=tmp_path / "idle.json")
    with one.watch(FAST) as watch:
        seen = [await asyncio.wait_for(watch.frame(), 10) for _ in range(4)]
    with one.watch(FAST) as watch:
        seen.append(await asyncio.wait_for(watch.frame(), 10))
    go_on.set()
    assert {frame["state"] for frame in seen} == {"ok"}


async def test_each_watch_has_its_own_pace(feeds: Feeds) -> None:
    one = feeds()
    with one.watch(FAST) as fast, one.watch(Wish(interval_s=0.5)) as slow:
        assert one.interval_s == 0.1
        first = await slow.frame()
        second = await slow.frame()
        assert second["time"] - first["time"] > 0.4
        assert (await fast.frame())["seq"] <= second["seq"] + 2
    with one.watch(Wish(interval_s=10.0)):
        assert one.interval_s == 10.0


async def test_a_slow_watcher_gets_the_newest_only(feeds: Feeds) -> None:
    one = feeds()
    with one.watch(FAST) as slow, one.watch(FAST) as fast:
        first = await slow.frame()
        seen = await frame_with(fast, lambda frame: frame["seq"] >= first["seq"] + 5)
        assert (await slow.frame())["seq"] >= seen["seq"]


async def test_processes_are_told_again_when_they_changed(feeds: Feeds) -> None:
    one = feeds(pattern="mixed", gpus=8)
    with one.watch(FAST) as watch:
        first, second = await watch.frame(), await watch.frame()
    assert all("processes" in gpu for gpu in first["gpus"])
    told = ["processes" in gpu for gpu in second["gpus"]]
    assert True in told  # a server's share of the SMs moves
    assert False in told  # an idle GPU has none, as before


async def test_what_was_not_sent_is_sent_later() -> None:
    watch = Watch(Wish())
    watch.offer({"gpus": [{"index": 0, "processes": [1]}], "services": []}, now=10.0, tick_s=1.0)
    await watch.frame()
    changed = {"gpus": [{"index": 0, "processes": [2]}], "services": ["a"]}
    watch.offer(changed, now=11.0, tick_s=1.0)
    watch.offer(changed, now=12.0, tick_s=1.0)  # the one before is lost
    assert await watch.frame() == changed
    watch.offer(changed, now=13.0, tick_s=1.0)
    assert await watch.frame() == {"gpus": [{"index": 0}]}


async def test_bandwidth_is_told_to_those_who_asked(feeds: Feeds) -> None:
    one = feeds(pattern="busy")
    with one.watch(FAST) as plain, one.watch(Wish(0.1, bandwidth=True)) as curious:
        frame = await frame_with(
            curious, lambda frame: frame["gpus"][0].get("pcie_rx_bytes_per_s") is not None
        )
        assert frame["gpus"][0]["pcie_rx_bytes_per_s"] > 0
        assert "nvlink_rx_bytes_per_s" not in frame["gpus"][0]
        assert "pcie_rx_bytes_per_s" not in (await plain.frame())["gpus"][0]


async def test_a_driver_that_hangs_is_a_state_with_its_age(feeds: Feeds) -> None:
    one = feeds(patience=MIDDLE, faults=[{"gpu": 1, "kind": "hang", "for_s": 4.0}])
    with one.watch(FAST) as watch:
        first = await frame_with(
            watch, lambda frame: "the GPU driver has not answered for" in (frame["error"] or "")
        )
        pid = sampler_of(one)
        assert (first["state"], first["gpus"]) == ("hung", [])
        assert first["host"]["memory_total_bytes"] > 0  # the machine is still told of
        later = await frame_with(watch, lambda frame: frame["silent_s"] > 2.5)
        assert later["state"] == "hung"  # in another process: the first one was killed
        assert sampler_of(one) != pid
        assert not runs(pid)
        well = await frame_with(watch, in_state("ok"))
        assert len(well["gpus"]) == 2
        assert well["silent_s"] < 1


async def test_a_sampler_that_dies_is_started_again(feeds: Feeds) -> None:
    one = feeds()
    with one.watch(FAST) as watch:
        await watch.frame()
        pid = sampler_of(one)
        os.kill(pid, signal.SIGKILL)
        dead = await frame_with(watch, in_state("error"))
        assert "killed by SIGKILL" in dead["error"]
        await frame_with(watch, in_state("ok"))
        assert sampler_of(one) != pid


async def test_a_sampler_that_is_silent_altogether(
    feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_CHILD", "import time; time.sleep(1000)")
    one = feeds(patience=SHORT)
    with one.watch(FAST) as watch:
        frame = await frame_with(watch, in_state("hung"))
        assert "the sampler has not answered" in frame["error"]
        pid = sampler_of(one)
        monkeypatch.undo()
        await until(lambda: not runs(pid))
        one._patience = USUAL
        await frame_with(watch, in_state("ok"))


async def test_one_that_cannot_be_killed_stays_alone(
    feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process in the kernel ignores even SIGKILL; here nobody sees the first one go."""
    one = feeds(patience=SHORT, faults=[{"gpu": 0, "kind": "hang", "for_s": 3.0}])
    see_it_go, killed = one._gone, []

    async def gone(child: asyncio.subprocess.Process) -> bool:
        killed.append(child)
        return len(killed) > 1 and await see_it_go(child)

    monkeypatch.setattr(one, "_gone", gone)
    monkeypatch.setattr(one, "_stuck_has_gone", lambda: False)
    with one.watch(FAST) as watch:
        frame = await frame_with(
            watch, lambda frame: "cannot be ended" in (frame["error"] or "") and frame["host"] != {}
        )
        assert len(killed) == 1
        one._patience = USUAL
        monkeypatch.undo()
        assert frame["state"] == "hung"
        assert frame["silent_s"] > 0.3
        assert frame["host"]["memory_total_bytes"] > 0
        await frame_with(watch, in_state("ok"))
        assert one._stuck is None


async def test_a_driver_that_fails_is_a_sentence(feeds: Feeds) -> None:
    one = feeds(model="K80")
    with one.watch(FAST) as watch:
        frame = await watch.frame()
    assert frame["state"] == "error"
    assert "K80" in frame["error"]
    assert frame["host"]["memory_total_bytes"] > 0


async def test_a_machine_without_a_driver_is_told_of() -> None:
    one = Feed(lambda: {"models": "/", "simulate": None, "began": 0.0}, no_services)
    with one.watch(FAST) as watch:
        first, frame = await watch.frame(), await watch.frame()
    await one.close()
    assert first["state"] == frame["state"]
    if frame["state"] == "ok":
        pytest.skip("this machine has GPUs")
    assert frame["state"] == "no_driver"
    assert frame["gpus"] == []
    assert frame["host"]["cpu_count"] == os.cpu_count()


async def test_errors_that_were_heard_outlive_the_sampler(feeds: Feeds) -> None:
    one = feeds(faults=[{"gpu": 0, "kind": "xid", "code": 31}])
    with one.watch(FAST) as watch:
        await frame_with(watch, lambda frame: bool(frame["gpus"] and frame["gpus"][0]["xid"]))
        os.kill(sampler_of(one), signal.SIGKILL)
        await frame_with(watch, in_state("error"))
        frame = await frame_with(watch, in_state("ok"))
        assert [error["code"] for error in frame["gpus"][0]["xid"]] == [31]


async def test_services_are_told_when_they_changed(feeds: Feeds) -> None:
    rows = [{"service": "a", "requests": 1}]

    async def services() -> list[Any]:
        return list(rows)

    one = feeds(services=services)
    with one.watch(FAST) as watch:
        await frame_with(watch, lambda frame: frame.get("services") == rows)
        assert "services" not in await watch.frame()
        rows[0] = {"service": "a", "requests": 2}
        frame = await frame_with(watch, lambda frame: "services" in frame)
        assert frame["services"] == rows
