"""Serving through a real helper: asked over its socket, killed, and asked again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h11
import msgpack
import pytest
from gswarm_remote import processtable, wire
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.rpc import Peer, say_hello

from ... import pythons

REMOTE = Path(__file__).parents[3] / "remote"


class Helper:
    """A helper of one root; `start` replaces it by the next."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.process: subprocess.Popen[bytes] | None = None
        self.socket = ""

    def start(self, python: str = sys.executable, code: str = "") -> None:
        reading, writing = os.pipe()
        code = code or f"import sys; sys.path[:0] = [{str(REMOTE)!r}]"
        code += "; from gswarm_remote.helper import main; main(sys.argv[1:])"
        root = str(self.place / "root")
        self.process = subprocess.Popen(
            [python, "-c", code, "--root", root, "--ready-fd", str(writing)], pass_fds=[writing]
        )
        os.close(writing)
        with os.fdopen(reading, "rb") as ready:
            self.socket = json.loads(ready.readline())["socket"]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def ask(self, method: str, /, **params: Any) -> Any:
        reader, writer = await asyncio.open_unix_connection(self.socket)
        await say_hello(reader, writer, {"protocol": wire.PROTOCOL, "role": "control"})
        peer = Peer(reader, writer)
        running = asyncio.ensure_future(peer.run())
        try:
            return await peer.call(method, params)
        finally:
            peer.close()
            await running

    async def adopt_model(self) -> None:
        given = self.place / "given"
        given.mkdir()
        (given / "model.gguf").write_bytes(b"weights")
        await self.ask("model.adopt", path=str(given), name="tiny", source="", how="link")


@pytest.fixture
def helper(place: Path) -> Iterator[Helper]:
    helper = Helper(place)
    yield helper
    helper.kill()
    with contextlib.suppress(ProcessLookupError):
        for record in (place / "root").rglob("*.json"):
            process = json.loads(record.read_text()).get("process")
            if process:
                os.killpg(process["pid"], signal.SIGKILL)


def order(engine: Any, *arguments: str) -> dict[str, Any]:
    config = engine.config(*arguments)
    return {"model": "tiny", "devices": ["gpu0"], "engine": "command", "config": config}


async def test_a_killed_helper_leaves_what_it_served_to_the_next(
    helper: Helper, engine: Any
) -> None:
    helper.start()
    await helper.adopt_model()
    loaded = await helper.ask("engine.start", **order(engine), started_by="move", timeout_s=30)
    assert (loaded["state"], loaded["already"]) == ("ready", False)
    service = await helper.ask("service.start", **order(engine), port=None, api_key=None)
    assert service["replica"] == loaded["id"]
    check = {"url": f"http://127.0.0.1:{service['port']}/health", "timeout_s": 5}
    helper.kill()
    helper.start()
    answer = await helper.ask("http.check", **check)
    assert (answer["status"], answer["body"]) == (200, '{"status": "ok"}')
    assert 0 < answer["latency_s"] < 5
    status = await helper.ask("node.status")
    assert [replica["id"] for replica in status["replicas"]] == [loaded["id"]]
    assert [found["id"] for found in status["services"]] == [service["id"]]
    assert (await helper.ask("engine.log", id=loaded["id"], lines=5))["text"] == ""
    in_use = await helper.ask("helper.exit", force=False)
    assert (in_use["exiting"], in_use["reasons"]) == (False, ["1 engine", "1 service"])
    with pytest.raises(HelperError) as raised:
        await helper.ask("model.delete", name="tiny", revision=None, tier="disk", force=False)
    assert raised.value.kind == Kind.IN_USE
    stopped = await helper.ask("service.stop", model="tiny", devices=["gpu0"], drain_s=5)
    assert [found["id"] for found in stopped["stopped"]] == [service["id"]]
    assert await helper.ask("engine.stop", id=loaded["id"]) == {"stopped": True}
    assert await helper.ask("engine.stop", id=loaded["id"]) == {"stopped": False}
    status = await helper.ask("node.status")
    assert (status["replicas"], status["services"]) == ([], [])


async def test_what_is_cancelled_before_it_is_ready_leaves_nothing(
    helper: Helper, engine: Any
) -> None:
    helper.start()
    await helper.adopt_model()
    asking = asyncio.ensure_future(helper.ask("service.start", **order(engine, "--sick")))
    deadline = time.monotonic() + 30
    while not engine.requests():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    status = await helper.ask("node.status")
    assert (status["replicas"], status["operations"]) == ([], [])


@pytest.mark.parametrize("version", ["3.9", "3.13"])
async def test_it_serves_on(version: str, helper: Helper, engine: Any) -> None:
    python = pythons.find(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    vendored = helper.place / "vendored"
    vendored.mkdir()
    for package in (msgpack, h11):
        (vendored / package.__name__).symlink_to(Path(package.__file__).parent)
    helper.start(python, f"import sys; sys.path[:0] = [{str(REMOTE)!r}, {str(vendored)!r}]")
    await helper.adopt_model()
    service = await helper.ask("service.start", **order(engine), api_key="k", address="127.0.0.1")
    assert python.rpartition("/")[0] in processtable.command_line(service["pid"])[0]
    answer = await helper.ask(
        "http.check",
        url=f"http://127.0.0.1:{service['port']}/v1/completions",
        method="POST",
        headers={"Authorization": "Bearer k"},
        body=json.dumps({"model": "tiny", "prompt": "Hello"}),
    )
    assert json.loads(answer["body"])["choices"][0]["text"] == "fine"
    await helper.ask("service.stop", model="tiny", devices=None, drain_s=1)
    assert (await helper.ask("node.status"))["replicas"] == []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("engine.stop", {}),
        ("engine.log", {"id": "x", "lines": 0}),
        ("service.stop", {"model": "../x"}),
        ("service.stop", {"model": "tiny", "devices": ["disk"]}),
        ("service.stop", {"model": "tiny", "drain_s": "long"}),
        ("http.check", {"url": "http://127.0.0.1/", "method": "BREW"}),
        ("http.check", {"url": "file:///etc/passwd"}),
    ],
)
async def test_a_request_that_is_malformed_is_an_error_for_people(
    node: Any, method: str, params: dict[str, Any]
) -> None:
    with pytest.raises(HelperError) as raised:
        await node.handlers()[method](None, params)
    assert raised.value.kind == Kind.INVALID
