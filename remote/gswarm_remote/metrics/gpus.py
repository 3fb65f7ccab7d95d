"""What the GPUs of this node are and do, read by nvitop in a child process.

A hung driver blocks in the kernel, where nothing can interrupt it: so a child asks, and the helper
only waits for the child. What a GPU does not support is None, never a string and never zero.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional

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
    """Asks a child; at most one child at a time, also when one hangs."""

    def __init__(self) -> None:
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
            self._asking = asyncio.ensure_future(_ask_child())
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


async def _ask_child() -> Snapshot:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-S", "-c", _CHILD, json.dumps(sys.path)),
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
        answer: Dict[str, Any] = {"gpus": read(), "error": None}
    except Exception as error:  # whatever a driver does, the parent gets a sentence
        answer = {"gpus": None, "error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer))


def read() -> List[Dict[str, Any]]:
    """Ask the driver, through nvitop, for every physical GPU.

    Bytes, per cent, degrees Celsius and watts, as in NVML; see docs/wire.md for the fields.

    Raises:
        ImportError: psutil, which nvitop needs, cannot be loaded here (a noexec file system).
    """
    from nvitop.api import Device  # type: ignore[attr-defined,unused-ignore]

    found = []
    for device in Device.all():
        with device.oneshot():
            found.append(_device(device))
    return found


def _device(device: Any) -> Dict[str, Any]:
    power_mw = _number(device.power_usage)
    limit_mw = _number(device.power_limit)
    return {
        "index": device.physical_index,
        "uuid": _text(device.uuid),
        "name": _text(device.name),
        "memory_total": _number(device.memory_total),
        "memory_used": _number(device.memory_used),
        "utilization_percent": _number(device.gpu_utilization),
        "temperature_c": _number(device.temperature),
        "power_w": None if power_mw is None else power_mw / 1000,
        "power_limit_w": None if limit_mw is None else limit_mw / 1000,
        "processes": _processes(device),
    }


def _processes(device: Any) -> List[Dict[str, Any]]:
    from nvitop.api import NaType  # type: ignore[attr-defined,unused-ignore]

    found = []
    for process in device.processes().values():
        memory = process.gpu_memory()
        user = process.username()
        found.append(
            {
                "pid": process.pid,
                "user": None if isinstance(user, NaType) else str(user),
                "memory": None if isinstance(memory, NaType) else int(memory),
            }
        )
    return found


def _number(getter: Callable[[], Any]) -> Optional[float]:
    value = getter()
    # nvitop's NA is a str subclass, "N/A"
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _text(getter: Callable[[], Any]) -> Optional[str]:
    value = getter()
    return None if value == "N/A" else str(value)
