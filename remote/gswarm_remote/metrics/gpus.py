"""What the GPUs of this node are and do, read once by a child process, for ``node.info``.

A hung driver blocks in the kernel, where nothing can interrupt it: so a child asks, and the helper
only waits for the child. Who wants to know each second watches the `feed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional

from .. import subprocesses

TIMEOUT_S = 10.0
_FRESH_S = 2.0  # a snapshot this young is given again: several controllers ask at once

_CHILD = (
    "import json, sys; sys.path[:0] = json.loads(sys.argv[1]);"
    " from gswarm_remote.metrics import gpus; gpus.main()"
)


@dataclass(frozen=True)
class Snapshot:
    """The GPUs, or why they cannot be read. No driver is no error: it is no GPU."""

    gpus: Optional[List[Dict[str, Any]]]
    error: Optional[str] = None


class Reader:
    """Asks a child; at most one child at a time, also when one hangs.

    Args:
        order: which GPUs: ``simulate`` and ``began``, where they are not the real ones.
    """

    def __init__(self, order: Callable[[], Dict[str, Any]] = dict) -> None:
        self._order = order
        self._asking: Optional[asyncio.Task[Snapshot]] = None
        self._newest: Optional[Snapshot] = None
        self._read_at = 0.0
        self._asked_at = 0.0

    async def snapshot(self, *, timeout_s: float = TIMEOUT_S) -> Snapshot:
        """The state of the GPUs now, at most two seconds old."""
        now = time.monotonic()
        if self._newest is not None and now - self._read_at < _FRESH_S:
            return self._newest
        if self._asking is None or self._asking.done():
            self._asked_at = now
            self._asking = asyncio.ensure_future(_ask_child(self._order()))
        done, _ = await asyncio.wait([self._asking], timeout=timeout_s)
        if not done:
            silence = time.monotonic() - self._asked_at
            return Snapshot(None, f"the GPU driver has not answered for {silence:.0f} s")
        self._newest = self._asking.result()
        self._read_at = time.monotonic()
        return self._newest

    async def close(self) -> None:
        """End the child that still asks."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)


async def _ask_child(order: Dict[str, Any]) -> Snapshot:
    child = await subprocesses.start(
        sys.executable,
        *("-I", "-S", "-c", _CHILD, json.dumps(sys.path), json.dumps(order)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await child.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        with contextlib.suppress(asyncio.TimeoutError):  # one that hangs in the kernel stays
            await asyncio.wait_for(child.wait(), 1)
        raise
    try:
        answer = json.loads(output)
        return Snapshot(answer["gpus"], answer["error"])
    except (ValueError, KeyError, TypeError):
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
        return Snapshot(None, f"the GPUs cannot be read: {last[0]:.200}")


def main() -> None:
    """The child: one JSON object on stdout."""
    try:
        answer: Dict[str, Any] = {"gpus": read(json.loads(sys.argv[2])), "error": None}
    except Exception as error:  # whatever a driver does, the parent gets a sentence
        answer = {"gpus": None, "error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer))


def read(order: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Ask the driver for every physical GPU; see docs/wire.md for the fields.

    Raises:
        ImportError: psutil, which nvitop needs, cannot be loaded here (a noexec file system).
    """
    from . import reading

    try:
        devices, facts = reading.open_driver(order)
    except reading.NoDriver:
        return []
    return [_gpu(reading.describe(device), reading.Gpu(device, facts).read()) for device in devices]


def _gpu(static: Dict[str, Any], values: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "index": static["index"],
        "uuid": static["uuid"],
        "name": static["name"],
        "lost": values["lost"],
        "memory_total": static["memory_total_bytes"],
        "memory_used": values["memory_used_bytes"],
        "utilization_percent": values["util_percent"],
        "temperature_c": values["temperature_c"],
        "power_w": values["power_w"],
        "power_limit_w": static["power_limit_w"],
        "processes": [
            {"pid": found["pid"], "user": found["user"], "memory": found["memory_bytes"]}
            for found in values["processes"]
        ],
    }
