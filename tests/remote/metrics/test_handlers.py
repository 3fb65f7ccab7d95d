"""``metrics.watch`` and ``metrics.describe``, asked of a helper."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from typing import Any

import psutil
import pytest
from gswarm_remote import wire
from gswarm_remote.errors import HelperError
from gswarm_remote.rpc import Peer, say_hello

from ..helpers import HelperProcess, Helpers, until

SIMULATED = {"gpus": 2, "model": "H100", "pattern": "serve"}


class Frames:
    """A watch under way."""

    def __init__(self, peer: Peer, **params: Any) -> None:
        self.seen: list[dict[str, Any]] = []
        asking = peer.call("metrics.watch", params, progress=self._take)
        self.asking = asyncio.ensure_future(asking)

    def _take(self, report: dict[str, Any]) -> None:
        self.seen.append(report["frame"])

    async def end(self) -> None:
        self.asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.asking


@pytest.fixture
def helper(helpers: Helpers) -> HelperProcess:
    return helpers.start()


def samplers(helper: HelperProcess) -> list[int]:
    found = []
    for child in psutil.Process(helper.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ends just now
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append(child.pid)
    return found


async def test_frames_of_simulated_gpus(helper: HelperProcess) -> None:
    async with helper.connected() as peer:
        await peer.call("node.configure", {"simulate": SIMULATED})
        frames = Frames(peer, interval_s=0.1)
        await until(lambda: len(frames.seen) >= 3)
        static = await peer.call("metrics.describe", {})
        assert frames.seen[-1]["static"] == static["version"]
        assert [gpu["index"] for gpu in frames.seen[-1]["gpus"]] == [0, 1]
        assert frames.seen[0]["services"] == []
        assert "services" not in frames.seen[1]
        await frames.end()
        await until(lambda: not samplers(helper))
        info = await peer.call("node.info", {})
        assert [gpu["uuid"] for gpu in info["gpus"]] == [gpu["uuid"] for gpu in static["gpus"]]


async def test_describe_without_a_watch(helper: HelperProcess) -> None:
    async with helper.connected() as peer:
        await peer.call("node.configure", {"simulate": SIMULATED})
        static = await peer.call("metrics.describe", {})
        assert static["driver"]
        assert static["system"]
        assert [gpu["name"] for gpu in static["gpus"]] == ["NVIDIA H100 80GB HBM3"] * 2
        await until(lambda: not samplers(helper))


async def test_a_watch_ends_with_its_connection(helper: HelperProcess) -> None:
    async with helper.connected() as peer:
        frames = Frames(peer, interval_s=0.1)
        await until(lambda: frames.seen)
        assert samplers(helper)
        peer.close()
        with pytest.raises(Exception, match="closed"):
            await frames.asking
    await until(lambda: not samplers(helper))
    info = await helper.ask("node.info")
    assert info["helper"]["reasons"] == ["1 connection"]  # the one that asks


async def test_two_controllers_share_one_sampler(helper: HelperProcess) -> None:
    async with helper.connected() as one, helper.connected() as other:
        first, second = Frames(one, interval_s=0.1), Frames(other, interval_s=1.0)
        await until(lambda: first.seen and second.seen)
        assert len(samplers(helper)) == 1
        await first.end()
        count = len(second.seen)
        await until(lambda: len(second.seen) > count)
        await second.end()


async def test_a_controller_that_does_not_read_gets_the_newest_later(
    helper: HelperProcess,
) -> None:
    crowd = {"gpus": 64, "pattern": "train", "processes": 20}  # frames that fill a socket soon
    async with helper.connected() as peer:
        await peer.call("node.configure", {"simulate": crowd})
        reader, writer = await asyncio.open_unix_connection(helper.socket)
        await say_hello(reader, writer, {"protocol": wire.PROTOCOL, "role": "control"})
        writer.write(wire.pack(wire.Request(1, "metrics.watch", {"interval_s": 0.1})))
        await until(lambda: len(samplers(helper)) == 1)
        frames = Frames(peer, interval_s=0.1)
        await until(lambda: frames.seen)
        began = frames.seen[0]["seq"]
        await until(lambda: frames.seen[-1]["seq"] > began + 15)
        await frames.end()
        numbers: list[int] = []
        while not numbers or numbers[-1] < frames.seen[-1]["seq"]:
            message = await asyncio.wait_for(wire.read(reader), 10)
            assert isinstance(message, wire.Notification)
            numbers.append(message.params["frame"]["seq"])
        gaps = [after - before for before, after in itertools.pairwise(numbers)]
        assert max(gaps) > 5
        writer.close()


async def test_the_inventory_changes_what_is_simulated(helper: HelperProcess) -> None:
    async with helper.connected() as peer:
        await peer.call("node.configure", {"simulate": SIMULATED})
        frames = Frames(peer, interval_s=0.1)
        await until(lambda: frames.seen and len(frames.seen[-1]["gpus"]) == 2)
        await peer.call("node.configure", {"simulate": {**SIMULATED, "gpus": 3}})
        await until(lambda: len(frames.seen[-1]["gpus"]) == 3)
        await frames.end()


async def test_the_sampler_ends_with_the_helper(helper: HelperProcess) -> None:
    async with helper.connected() as peer:
        frames = Frames(peer, interval_s=0.1)
        await until(lambda: frames.seen)
        (pid,) = samplers(helper)
        helper.kill()
        await until(lambda: not _lives(pid))
        with contextlib.suppress(Exception):
            await frames.asking


@pytest.mark.parametrize("interval_s", [0, 0.01, 11, "1", True])
async def test_intervals_have_limits(helper: HelperProcess, interval_s: object) -> None:
    with pytest.raises(HelperError, match="interval_s"):
        await helper.ask("metrics.watch", {"interval_s": interval_s})


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
