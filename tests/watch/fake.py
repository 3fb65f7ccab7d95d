"""A node that answers what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gswarm_tui.errors import GswarmError
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.watch.snapshot import FleetSnapshot

STATIC = {
    "version": "v1",
    "driver": "580.1",
    "system": "Debian GNU/Linux 13 (trixie)",
    "gpus": [
        {
            "index": index,
            "uuid": f"GPU-{index}",
            "name": "NVIDIA H100 80GB HBM3",
            "memory_total_bytes": 80_000_000_000,
            "power_limit_w": 700.0,
            "pci_bus_id": f"00000000:{index:02}:00.0",
            "numa_node": 0,
            "cuda_compute": "9.0",
            "nvlinks": 18,
            "mig": [],
        }
        for index in range(2)
    ],
    "topology": [{"gpus": [0, 1], "pcie": "NODE", "nvlink": True}],
}

PROCESS = {
    "pid": 4711,
    "user": "ana",
    "command": "python train.py",
    "memory_bytes": 61_000_000_000,
    "util_percent": 90,
    "unit": None,
    "since": 5.0,
}


def gpu(index: int = 0, **changes: Any) -> dict[str, Any]:
    """A GPU of a frame."""
    return {
        "index": index,
        "util_percent": 90,
        "memory_util_percent": 40,
        "memory_used_bytes": 61_500_000_000,
        "temperature_c": 60,
        "power_w": 512.5,
        "sm_clock_mhz": 1980,
        "memory_clock_mhz": 2619,
        "fan_percent": None,
        "pstate": 0,
        "throttle": [],
        "ecc_corrected": 0,
        "ecc_uncorrected": 0,
        "remapped_rows": 0,
        "lost": False,
        "processes": [PROCESS],
        "xid": [],
        **changes,
    }


def frame(*gpus: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A frame of a node whose driver answers."""
    return {
        "seq": 1,
        "time": 0.0,
        "static": "v1",
        "state": "ok",
        "error": None,
        "silent_s": 0.01,
        "gpus": list(gpus),
        "host": {"cpu_percent": 12.5, "load1": 3.0, "memory_total_bytes": 10**12},
        "services": [],
        **changes,
    }


class FakeNode:
    """Behaves as `gswarm_tui.fleet.Node`.

    Attributes:
        refuses: what connecting fails with; None while it does not.
        status: the answer to ``node.status``.
        asked: the methods that were called.
        attempts: how often it was connected to.
    """

    def __init__(self, name: str = "n1", spec: NodeSpec | None = None) -> None:
        self.spec = spec or NodeSpec(name, f"{name}.example", labels={"rack": "r1"}, groups=("g",))
        self.refuses: GswarmError | None = None
        self.hangs = False
        self.no_metrics: GswarmError | None = None
        self.status: Any = {}
        self.static: Any = STATIC
        self.asked: list[str] = []
        self.attempts = 0
        self._progress: Callable[[dict[str, Any]], None] | None = None
        self._lost: asyncio.Future[None] | None = None
        self.watched = asyncio.Event()

    async def connect(self) -> None:
        self.attempts += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.refuses is not None:
            raise self.refuses

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Any:
        self.asked.append(method)
        if method == "node.status":
            if isinstance(self.status, GswarmError):
                raise self.status
            return self.status
        if method == "metrics.describe":
            return self.static
        assert method == "metrics.watch"
        if self.no_metrics is not None:
            raise self.no_metrics
        self._progress = progress
        self._lost = asyncio.get_running_loop().create_future()
        self.watched.set()
        return await self._lost

    def tell(self, *gpus: dict[str, Any], **changes: Any) -> None:
        """Send a frame."""
        assert self._progress is not None
        self._progress({"id": 1, "frame": frame(*gpus, **changes)})

    def send(self, report: Any) -> None:
        """Send whatever."""
        assert self._progress is not None
        self._progress(report)

    def lose(self, error: GswarmError) -> None:
        """Lose the connection, and refuse the next."""
        assert self._lost is not None
        self.refuses = error
        self.watched.clear()
        self._lost.set_exception(error)


class Listening:
    """Collects pictures, and waits for one."""

    def __init__(self) -> None:
        self.pictures: list[FleetSnapshot] = []
        self._news = asyncio.Event()

    def __call__(self, picture: FleetSnapshot) -> None:
        self.pictures.append(picture)
        self._news.set()

    async def until(self, true: Callable[[FleetSnapshot], object]) -> FleetSnapshot:
        """The first picture from now on of which something is true."""
        async with asyncio.timeout(30):
            while not self.pictures or not true(self.pictures[-1]):
                self._news.clear()
                await self._news.wait()
        return self.pictures[-1]
