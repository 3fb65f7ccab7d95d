"""The process that reads GPUs and machine, a child of the helper: it can be killed when it hangs.

Its first line of stdin is its order, a JSON object (see `feed`); later ones change interval and
bandwidth; the end of stdin is its own. It writes a JSON object a line: ``{"static": …}`` when what
the GPUs are has changed, ``{"frame": …}`` each tick.

The GPUs are asked by a thread. A driver that hangs blocks it in the kernel, where nothing can
interrupt it; the main thread goes on telling about the machine, and for how long the driver has
been silent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

if TYPE_CHECKING:
    from .bandwidth import Bandwidth
    from .events import Xids
    from .reading import Gpu

OK, NO_DRIVER, HUNG, ERROR, OFF = "ok", "no_driver", "hung", "error", "off"

_REFRESH_S = 60.0  # what the GPUs are is looked at again: limits, MIG instances, hot plugging
_RETRY_S = 15.0  # the same, where there is no driver, or it does not work
_SPACE_S = 5.0
_MOST_WAIT_S = 0.5  # for the driver, in a tick: a slow one is told of in the next

Values = Dict[str, Any]


class GpuReader:
    """Reads all GPUs in a thread of its own, each time that it is asked to.

    Attributes:
        state, error, values: what came of the last reading that ended.
        answered_at: when that was (time.monotonic).
        static: what the GPUs are; empty before the first reading.
    """

    def __init__(self, order: Values) -> None:
        self.state = OK
        self.error: Optional[str] = None
        self.values: List[Values] = []
        self.static: Values = {}
        self.answered_at = time.monotonic()
        self.answered = False
        self.pcie = self.nvlink = False
        self._order = order
        self._facts: Optional[Callable[[int], Values]] = None
        self._gpus: List[Gpu] = []
        self._descriptions: Dict[int, Values] = {}
        self._topology: List[Values] = []
        self._versions: Values = {}
        self._xids: Optional[Xids] = None
        self._bandwidth: Optional[Bandwidth] = None
        self._measured: Optional[Tuple[bool, bool]] = None
        self._look_at = 0.0
        self._due, self._done = threading.Event(), threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def ask(self, patience_s: float) -> None:
        """Have the GPUs read, and wait a little for it; one reading at a time."""
        self._done.clear()
        self._due.set()
        self._done.wait(patience_s)

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            self._read()
            self.answered_at, self.answered = time.monotonic(), True
            self._done.set()

    def _read(self) -> None:
        try:
            from .reading import NoDriver
        except Exception as error:  # psutil does not load, say: the machine is still told of
            self.state, self.error = ERROR, f"{type(error).__name__}: {error}"
            return
        try:
            if time.monotonic() >= self._look_at:
                self._look()
            elif self.state != OK:
                return
            self.values = [self._values(gpu) for gpu in self._gpus]
            self.state, self.error = OK, None
        except NoDriver as reason:
            self._nothing(NO_DRIVER, str(reason))
        except Exception as error:  # whatever a driver does, there is a sentence
            self._nothing(ERROR, f"{type(error).__name__}: {error}")

    def _nothing(self, state: str, error: str) -> None:
        self.state, self.error = state, error
        self.values, self._gpus, self._descriptions, self._xids = [], [], {}, None
        self._look_at = time.monotonic() + _RETRY_S
        self.static = _versioned({"driver": None, "nvml": None, "gpus": [], "topology": []})

    def _values(self, gpu: Gpu) -> Values:
        if self._measured != (self.pcie, self.nvlink):
            self._measure()
        values = gpu.read()
        values["xid"] = None if self._xids is None else self._xids.of(gpu.index)
        if self._bandwidth is not None:
            values.update(self._bandwidth.read(gpu.index))
        return values

    def _measure(self) -> None:
        from .bandwidth import Bandwidth

        if self._bandwidth is not None:
            self._bandwidth.end()
        self._measured = (self.pcie, self.nvlink)
        devices = [gpu.device for gpu in self._gpus]
        self._bandwidth = Bandwidth(devices, pcie=self.pcie, nvlink=self.nvlink)

    # What there is

    def _look(self) -> None:
        """See which GPUs there are, and what they are."""
        from . import reading

        devices = self._devices()
        described = {found["index"]: found for found in map(reading.describe, devices)}
        for index, description in described.items():
            if description["uuid"] is None and index in self._descriptions:  # lost in the meantime
                described[index] = self._descriptions[index]
        if described != self._descriptions or not self.static:
            self._take(devices, described)
        self._look_at = time.monotonic() + _REFRESH_S

    def _devices(self) -> List[Any]:
        from . import reading

        if self._facts is None:
            devices, self._facts = reading.open_driver(self._order)
            return devices
        return reading.devices()

    def _take(self, devices: List[Any], described: Dict[int, Values]) -> None:
        from . import reading
        from .events import Xids

        assert self._facts is not None
        uuids = [found["uuid"] for found in described.values()]
        if self._xids is None or uuids != [found["uuid"] for found in self._descriptions.values()]:
            known = {int(index): found for index, found in self._order.get("xid", {}).items()}
            self._xids = Xids(devices, known)
            self._topology = reading.topology(devices)
            self._versions = reading.driver()
        self._descriptions = described
        self._gpus = [reading.Gpu(device, self._facts) for device in devices]
        self._measured = None
        self.static = _versioned(
            {**self._versions, "gpus": list(described.values()), "topology": self._topology}
        )


class Sampler:
    """The main thread: a frame a tick."""

    def __init__(self, order: Values, write: Callable[[Values], None]) -> None:
        self._interval_s = float(order["interval_s"])
        self._hung_s = float(order["hung_s"])
        self._write = write
        self._told = ""
        self._ticked = False
        self._changed = threading.Event()
        self._gpus = GpuReader(order) if order["gpus"] else None
        self._host = _Host(Path(order["models"]))
        self.change(order)

    def change(self, order: Values) -> None:
        """Take another interval, and other wishes for bandwidth; from any thread."""
        self._interval_s = float(order["interval_s"])
        if self._gpus is not None:
            self._gpus.pcie, self._gpus.nvlink = order["bandwidth"], order["nvlink"]
        self._changed.set()

    def run(self) -> None:
        """Tick until the process ends."""
        while True:
            began = time.monotonic()
            self._changed.clear()
            self._tick()
            self._changed.wait(max(0.0, began + self._interval_s - time.monotonic()))

    def _tick(self) -> None:
        if self._gpus is not None:
            usual_s = min(_MOST_WAIT_S, self._interval_s / 2)
            self._gpus.ask(usual_s if self._ticked else self._hung_s)  # the first takes longest
        self._ticked = True
        frame = {"time": time.time(), **self._driver(), "host": self._host.read()}
        static = self._gpus.static if self._gpus is not None else {}
        if static and static["version"] != self._told:
            self._told = static["version"]
            self._write({"static": static})
        self._write({"frame": {"static": self._told, **frame}})

    def _driver(self) -> Values:
        reader = self._gpus
        if reader is None:
            return {"state": OFF, "error": None, "silent_s": None, "gpus": []}
        silent_s = time.monotonic() - reader.answered_at
        if silent_s >= max(self._hung_s, 2 * self._interval_s):
            silent = silent_s if reader.answered else None  # the helper knows what was before us
            return {"state": HUNG, "error": None, "silent_s": silent, "gpus": []}
        return {
            "state": reader.state,
            "error": reader.error,
            "silent_s": silent_s,
            "gpus": reader.values,
        }


class _Host:
    """The machine beside its GPUs; nothing is told where psutil cannot be loaded."""

    def __init__(self, models: Path) -> None:
        try:
            from .background import Background
            from .hostload import HostLoad

            load = HostLoad(models)
        except ImportError:
            self._load = None
        else:
            self._load = load
            self._space: Background[Values] = Background(load.space, _SPACE_S, {})

    def read(self) -> Values:
        return {} if self._load is None else {**self._load.read(), **self._space.newest}


def _versioned(static: Values) -> Values:
    """With a version that is another one for each content."""
    content = json.dumps(static, sort_keys=True)
    return {"version": f"{zlib.crc32(content.encode()):08x}", **static}


def main() -> None:
    """The child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's, meant for the controller
    source, target = sys.stdin.buffer, sys.stdout.buffer

    def write(message: Values) -> None:
        target.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        target.flush()

    sampler = Sampler(json.loads(source.readline()), write)

    def obey() -> None:
        for line in source:
            sampler.change(json.loads(line))
        os._exit(0)  # the helper is gone; the driver may hang, and nothing waits for that

    threading.Thread(target=obey, daemon=True).start()
    try:
        sampler.run()
    finally:
        os._exit(1)  # as above: nvitop would wait for the driver at the end
