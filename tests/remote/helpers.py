"""Helpers as processes, for tests of what outlives them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
from gswarm_remote import wire
from gswarm_remote.rpc import Peer, say_hello

REMOTE = Path(__file__).parents[2] / "remote"
SYSTEM_PYTHON = "/usr/bin/python3"
"""One that other users can run."""

PACKAGES = Path(str(msgpack.__file__)).parents[1]


@dataclass
class HelperProcess:
    """A helper of one root, and the connections to it."""

    process: subprocess.Popen[bytes]
    socket: str
    peers: list[Peer] = field(default_factory=list)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Peer]:
        reader, writer = await asyncio.open_unix_connection(self.socket)
        await say_hello(reader, writer, {"protocol": wire.PROTOCOL, "role": "control"})
        peer = Peer(reader, writer)
        running = asyncio.ensure_future(peer.run())
        try:
            yield peer
        finally:
            peer.close()
            with contextlib.suppress(wire.WireError):
                await running

    async def ask(self, method: str, params: dict[str, Any] | None = None) -> Any:
        async with self.connected() as peer:
            return await peer.call(method, params or {})


class Helpers:
    """Starts them; `end` kills whatever is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[HelperProcess] = []

    def start(
        self, root: str = "root", *, uid: int | None = None, python: str = sys.executable
    ) -> HelperProcess:
        read_end, write_end = os.pipe()
        env = {**os.environ, "PYTHONPATH": f"{REMOTE}:{PACKAGES}"}
        if uid is not None:
            python = SYSTEM_PYTHON
            env["GSWARM_RUN_DIR"] = f"{env['GSWARM_RUN_DIR']}-{uid}"
        process = subprocess.Popen(
            [
                *(python, "-m", "gswarm_remote.helper"),
                *("--root", str(self.folder / root), "--ready-fd", str(write_end)),
            ],
            pass_fds=[write_end],
            env=env,
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
        )
        os.close(write_end)
        with os.fdopen(read_end, "rb") as ready:
            started = HelperProcess(process, json.loads(ready.readline())["socket"])
        self._started.append(started)
        return started

    def end(self) -> None:
        for started in self._started:
            started.kill()


def other_users_can() -> bool:
    """Whether this machine lets us be another user who runs a helper."""
    if os.getuid() != 0:
        return False
    program = (
        f"import sys; sys.path[:0] = {[str(REMOTE), str(PACKAGES)]}; import gswarm_remote.node"
    )
    argv = [SYSTEM_PYTHON, "-I", "-S", "-c", program]
    try:
        result = subprocess.run(argv, user=65534, group=65534, extra_groups=[], check=False)
    except OSError:
        return False
    return result.returncode == 0


async def until(condition: Callable[[], Any]) -> None:
    """Wait until it is so, as other processes make it so."""
    deadline = asyncio.get_running_loop().time() + 15
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
