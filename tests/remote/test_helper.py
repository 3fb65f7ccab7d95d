"""The helper as a process: it answers, is alone, survives strangers, and goes when idle."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
from gswarm_remote import wire
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.rpc import Peer, say_hello

from .. import pythons

REMOTE = Path(__file__).parents[2] / "remote"
OLDEST = pythons.find("3.9")


class Started:
    def __init__(self, process: subprocess.Popen[bytes], ready: dict[str, Any]) -> None:
        self.process = process
        self.ready = ready


@pytest.fixture
def start(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Start helpers for one root; whatever is left of them is killed."""
    monkeypatch.setenv("GSWARM_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("GSWARM_DRAM_DIR", str(tmp_path_factory.mktemp("dram")))
    packages = Path(str(msgpack.__file__)).parents[1]  # for every Python, its own files are pure
    monkeypatch.setenv("PYTHONPATH", f"{REMOTE}:{packages}")
    processes: list[subprocess.Popen[bytes]] = []

    def start_one(*arguments: str, python: str = sys.executable) -> Started:
        read_end, write_end = os.pipe()
        root = str(tmp_path / "root")
        process = subprocess.Popen(
            [
                *(python, "-m", "gswarm_remote.helper"),
                *("--root", root, "--ready-fd", str(write_end), *arguments),
            ],
            pass_fds=[write_end],
        )
        processes.append(process)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as ready:
            return Started(process, json.loads(ready.readline()))

    yield start_one
    for process in processes:
        process.kill()
        process.wait()


@asynccontextmanager
async def connected(started: Started) -> AsyncIterator[tuple[Any, Any]]:
    reader, writer = await asyncio.open_unix_connection(started.ready["socket"])
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


HELLO = {"protocol": wire.PROTOCOL, "role": "control"}


async def ask(
    started: Started,
    method: str,
    params: dict[str, Any] | None = None,
    *,
    fails: str | None = None,
) -> Any:
    async with connected(started) as (reader, writer):
        await say_hello(reader, writer, HELLO)
        peer = Peer(reader, writer)
        running = asyncio.ensure_future(peer.run())
        try:
            if fails is None:
                return await peer.call(method, params or {})
            with pytest.raises(HelperError) as caught:
                await peer.call(method, params or {})
            assert caught.value.kind == fails
        finally:
            peer.close()
            await running


async def test_it_says_hello_and_describes_its_node(start: Any) -> None:
    started = start("--built", "0.1.0 1700000000")
    async with connected(started) as streams:
        hello = await say_hello(*streams, HELLO)
    assert hello["protocol"] == wire.PROTOCOL
    assert hello["built"] == ["0.1.0", 1700000000]
    assert hello["pid"] == started.process.pid
    info = await ask(started, "node.info")
    assert info["helper"]["rss"] < 45_000_000
    assert info["disk"]["free"] > 0
    assert info["gpus"] == [] or info["gpus_error"] is None


async def test_it_goes_when_it_has_no_reason_to_stay(start: Any) -> None:
    started = start("--idle-exit", "0.1")
    assert await asyncio.to_thread(started.process.wait, 10) == 0
    assert not Path(started.ready["socket"]).exists()


async def test_a_connection_is_a_reason_to_stay(start: Any) -> None:
    started = start("--idle-exit", "0.1")
    async with connected(started) as streams:
        await say_hello(*streams, HELLO)
        with pytest.raises(subprocess.TimeoutExpired):
            await asyncio.to_thread(started.process.wait, 0.5)
    assert await asyncio.to_thread(started.process.wait, 10) == 0


async def test_a_second_helper_of_the_root_names_the_first_and_ends(start: Any) -> None:
    first, second = start(), start()
    assert second.process.wait(10) == 0
    assert second.ready == first.ready


async def test_after_a_kill_the_next_one_takes_over(start: Any) -> None:
    first = start()
    first.process.kill()
    first.process.wait()
    second = start()
    assert second.ready["pid"] == second.process.pid
    assert (await ask(second, "node.status"))["operations"] == []


async def test_term_leaves_nothing_in_the_folder_of_sockets(start: Any) -> None:
    started = start()
    started.process.send_signal(signal.SIGTERM)
    assert started.process.wait(10) == 0
    assert list(Path(started.ready["socket"]).parent.iterdir()) == []


async def test_the_socket_is_this_users_alone(start: Any) -> None:
    socket = Path(start().ready["socket"])
    assert socket.stat().st_mode & 0o777 == 0o600
    assert socket.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"SSH-2.0-OpenSSH\r\n", id="another protocol"),
        pytest.param(b"\xff\xff\xff\xff", id="four gigabytes"),
        pytest.param(b"\x00\x01\x00\x01", id="a large frame before hello"),
        pytest.param(wire.pack(wire.Notification("x", {})), id="no hello"),
        pytest.param(b"\x00\x00", id="half a header"),
    ],
)
async def test_a_stranger_is_cut_off_and_the_helper_goes_on(start: Any, sent: bytes) -> None:
    started = start()
    async with connected(started) as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == b""
    assert (await ask(started, "node.status"))["copies"] == []


@pytest.mark.parametrize(
    ("hello", "kind"),
    [
        ({"protocol": 99, "role": "control"}, Kind.PROTOCOL),
        ({"protocol": wire.PROTOCOL, "role": "king"}, Kind.PROTOCOL),
        ({"protocol": wire.PROTOCOL, "role": "bulk", "token": "guess"}, Kind.PERMISSION),
        ({"protocol": wire.PROTOCOL, "role": "bulk", "token": 5}, Kind.PERMISSION),
    ],
)
async def test_a_hello_that_does_not_fit_is_answered_why(
    start: Any, hello: dict[str, Any], kind: str
) -> None:
    async with connected(start()) as streams:
        with pytest.raises(HelperError) as caught:
            await say_hello(*streams, hello)
    assert caught.value.kind == kind


async def test_exit_is_refused_with_the_reasons_unless_forced(start: Any) -> None:
    started = start()
    answer = await ask(started, "helper.exit", {})
    assert answer == {"exiting": True, "reasons": [], "dropped": []}
    assert started.process.wait(10) == 0


async def test_a_lock_that_was_taken_from_it_is_not_removed_as_it_goes(start: Any) -> None:
    first = start()
    socket = Path(first.ready["socket"])
    lock = socket.with_suffix(".lock")
    lock.unlink()  # as a cleaner of /tmp does
    second = start()
    assert second.ready["pid"] == second.process.pid
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(10) == 0
    assert socket.exists()
    assert lock.exists()
    assert (await ask(second, "node.status"))["copies"] == []


@pytest.mark.skipif(OLDEST is None, reason="there is no Python 3.9")
async def test_on_the_oldest_python_it_waits_and_does_not_spin(start: Any) -> None:
    started = start(python=OLDEST)
    async with connected(started) as streams:
        await say_hello(*streams, HELLO)
        before = cpu_seconds(started.process.pid)
        await asyncio.sleep(1)  # what is measured is that nothing is done meanwhile
        assert cpu_seconds(started.process.pid) - before < 0.2


async def test_the_dram_folder_is_this_users_alone(start: Any) -> None:
    base = Path(os.environ["GSWARM_DRAM_DIR"])
    started = start()
    await ask(started, "model.verify", {"name": "m", "tier": "dram"}, fails=Kind.NOT_FOUND)
    folder = base / f"gswarm-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder of another user")
async def test_a_dram_folder_of_another_user_is_not_used(start: Any) -> None:
    squatted = Path(os.environ["GSWARM_DRAM_DIR"]) / f"gswarm-{os.getuid()}"
    squatted.mkdir(mode=0o777)
    os.chown(squatted, 65534, 65534)
    started = start()
    assert (await ask(started, "node.info"))["dram"] is None
    await ask(started, "model.verify", {"name": "m", "tier": "dram"}, fails=Kind.UNSUPPORTED)


async def test_a_root_that_cannot_be_made_is_an_answer(start: Any, tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file, where a folder should be")
    assert start().ready["error"]["kind"] == Kind.PERMISSION


async def test_a_socket_path_that_is_too_long_is_an_answer(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSWARM_RUN_DIR", str(tmp_path / ("x" * 100)))
    error = start().ready["error"]
    assert "the system's limit is 107" in error["message"]
    assert "GSWARM_RUN_DIR" in error["hint"]
