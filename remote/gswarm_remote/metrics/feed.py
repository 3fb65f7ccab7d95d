"""The metrics as controllers watch them: one sampler for all, while somebody watches.

`Feed` is the only owner of the sampler. It starts it for the first who watches, ends it with the
last, starts it again when it dies, and kills it when the driver hangs. One that cannot be killed,
because it is stuck in the kernel, stays alone: until it has gone, the next one leaves the GPUs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Awaitable, Callable, Dict, Iterator, List, Optional, Set

from .. import subprocesses
from ..operations import in_thread
from .idle import IdleTimes
from .sampler import ERROR, HUNG, OFF
from .watching import Watch, Wish

log = logging.getLogger("gswarm.metrics")

Values = Dict[str, Any]

_CHILD = (
    "import json, sys; sys.path[:0] = json.loads(sys.argv[1]);"
    " from gswarm_remote.metrics import sampler; sampler.main()"
)
_SERVICES_S = 1.0  # engines are asked no more often, however short the ticks
_SAVED_S = 1.0  # so long is waited at the end for a disk
_LONGEST_LINE = 16 * 1024 * 1024
_NOTHING: Values = {"version": "", "driver": None, "nvml": None, "gpus": [], "topology": []}


@dataclass(frozen=True)
class Patience:
    """For how long what is waited for, in seconds.

    Args:
        hung_s: silence of the driver after which it counts as hung.
        kill_s: silence after which the sampler is killed, and another one tries.
        kill_again_s: the same for the ones after it, while the driver has said nothing since.
        restart_s: before a sampler that died is started again; doubled each time up to `most_s`.
        gone_s: for a sampler that was killed.
    """

    hung_s: float = 5.0
    kill_s: float = 30.0
    kill_again_s: float = 120.0
    restart_s: float = 1.0
    most_s: float = 60.0
    gone_s: float = 2.0


class Feed:
    """The newest frame, and those who watch.

    Args:
        order: what the sampler has to know of the node: ``models``, ``simulate``, ``began``.
        services: looks at the node's services, and returns a row for each.
        idle: the file that says since when GPUs are idle; None: the next helper need not know.
    """

    def __init__(
        self,
        order: Callable[[], Values],
        services: Callable[[], Awaitable[List[Values]]],
        patience: Patience = Patience(),
        idle: Optional[Path] = None,
    ) -> None:
        self.static: Values = _NOTHING
        self._order = order
        self._services = services
        self._rows: List[Values] = []
        self._patience = patience
        self._watches: Set[Watch] = set()
        self._keeper: Optional[asyncio.Task[None]] = None
        self._keeping = False
        self._woken: Optional[asyncio.Event] = None  # of the loop that it is waited for in
        self._child: Optional[asyncio.subprocess.Process] = None
        self._stuck: Optional[asyncio.subprocess.Process] = None
        self._answered_at: Optional[float] = None  # by the driver, at last
        self._asked_at = 0.0  # at first
        self._tries = 0  # samplers since the driver answered
        self._heard_at = self._started_at = 0.0  # of the sampler
        self._reading: Optional[asyncio.Task[bytes]] = None
        self._silent = False
        self._xid: Dict[str, Any] = {}
        self._idle = IdleTimes(idle)
        self._idle_loaded = False
        self._saving: Optional[threading.Thread] = None
        self._seq = 0

    @contextlib.contextmanager
    def watch(self, wish: Wish) -> Iterator[Watch]:
        """A `Watch`; as long as there is one there are frames."""
        watch = Watch(wish)
        self._watches.add(watch)
        self._wishes_changed()
        if not self._keeping:
            self._keeping = True
            self._keeper = asyncio.ensure_future(self._keep(self._keeper))
        try:
            yield watch
        finally:
            self._watches.discard(watch)
            self._wishes_changed()

    async def close(self) -> None:
        """End the sampler, also where somebody watches still."""
        self._watches.clear()
        self._wishes_changed()
        if self._keeper is not None:
            await asyncio.wait([self._keeper])
        if self._saving is not None:
            await in_thread(self._saving.join, _SAVED_S)

    @property
    def interval_s(self) -> float:
        """Between two frames: the shortest that anybody wishes."""
        return min((watch.wish.interval_s for watch in self._watches), default=1.0)

    def _wishes(self) -> Values:
        return {
            "interval_s": self.interval_s,
            "bandwidth": any(watch.wish.bandwidth for watch in self._watches),
            "nvlink": any(watch.wish.nvlink for watch in self._watches),
        }

    def _wishes_changed(self) -> None:
        if self._child is not None and self._child.stdin is not None and self._watches:
            self._child.stdin.write(json.dumps(self._wishes()).encode() + b"\n")
        if self._woken is not None:
            self._woken.set()

    # The sampler's life

    async def _keep(self, before: Optional[asyncio.Task[None]]) -> None:
        """Have a sampler for as long as anybody watches."""
        if before is not None:
            await asyncio.wait([before])
        self._woken = asyncio.Event()
        self._asked_at, self._answered_at, self._tries = time.monotonic(), None, 0
        looking = asyncio.ensure_future(self._look_at_services())
        try:
            if not self._idle_loaded:
                await in_thread(self._idle.load)
                self._idle_loaded = True
            await self._keep_sampling()
        finally:
            self._keeping = False  # who comes from now on has to begin anew
            self._save_idle_times()
            looking.cancel()
            await asyncio.wait([looking])

    async def _look_at_services(self) -> None:
        last: Optional[str] = None
        while True:
            try:
                self._rows = await self._services()
            except Exception as error:  # the GPUs are shown whatever is wrong with an engine
                if repr(error) != last:
                    log.exception("the services cannot be looked at")
                last = repr(error)
            await asyncio.sleep(max(_SERVICES_S, self.interval_s))

    async def _keep_sampling(self) -> None:
        delay_s = self._patience.restart_s
        while self._watches:
            began = time.monotonic()
            reason = await self._attend()
            if reason is None:
                continue
            log.warning("%s", reason)
            if time.monotonic() - began > self._patience.most_s:
                delay_s = self._patience.restart_s
            await self._without(reason, delay_s)
            delay_s = min(2 * delay_s, self._patience.most_s)

    async def _attend(self) -> Optional[str]:
        """Start a sampler and pass on what it says; why it ended, None where we wanted another."""
        order, reads_gpus = self._order(), self._stuck is None
        try:
            child = await self._start(order)
        except OSError as error:
            return f"the sampler cannot be started: {error.strerror or error}"
        self._child = child
        try:
            while self._watches:
                line = await self._line(child)
                if not self._watches:
                    break
                if line is not None and not line.endswith(b"\n"):  # the end, maybe amid a line
                    await self._gone(child)
                    return f"the sampler {_ended(child.returncode)}"
                self._take(json.loads(line) if line else None)
                if self._idle.due:
                    self._save_idle_times()
                if self._order() != order:
                    return None
                if self._too_silent():
                    return None
                if self._stuck_has_gone():
                    self._stuck = None
                    return None
            return None
        finally:
            self._child = None
            if not await self._end(child) and reads_gpus:
                log.warning("the sampler %d hangs in the kernel, and cannot be ended", child.pid)
                self._stuck = child

    async def _start(self, order: Values) -> asyncio.subprocess.Process:
        child = await subprocesses.start(
            sys.executable,
            *("-I", "-S", "-c", _CHILD, json.dumps(sys.path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LONGEST_LINE,
        )
        self._heard_at = self._started_at = time.monotonic()
        self._tries += 1
        self._silent = False
        first = {
            **order,
            **self._wishes(),
            "gpus": self._stuck is None,
            "hung_s": self._patience.hung_s,
            "xid": self._xid,
        }
        assert child.stdin is not None
        child.stdin.write(json.dumps(first).encode() + b"\n")
        return child

    async def _line(self, child: asyncio.subprocess.Process) -> Optional[bytes]:
        """The next line; None where none came for longer than one should."""
        assert child.stdout is not None
        if self._reading is None:
            self._reading = asyncio.ensure_future(child.stdout.readline())
        patience_s = self.interval_s if self._silent else self._patience.hung_s + self.interval_s
        deadline = time.monotonic() + patience_s
        while not self._reading.done() and self._watches and time.monotonic() < deadline:
            await self._until(deadline, self._reading)
        self._silent = not self._reading.done()
        if self._silent:
            return None
        line = self._reading.result()
        self._reading = None
        return line

    async def _until(self, deadline: float, *futures: asyncio.Future[Any]) -> None:
        """Wait for time, for one of `futures`, or for a change of who watches."""
        assert self._woken is not None
        self._woken.clear()
        woken = asyncio.ensure_future(self._woken.wait())
        left_s = max(0.0, deadline - time.monotonic())
        await asyncio.wait([woken, *futures], timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()

    async def _end(self, child: asyncio.subprocess.Process) -> bool:
        """Kill it; whether it has gone."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        if child.stdin is not None:
            child.stdin.close()
        return await self._gone(child)

    async def _gone(self, child: asyncio.subprocess.Process) -> bool:
        """Wait a little for its end; whether that came."""
        ending = asyncio.ensure_future(child.wait())
        done, _ = await asyncio.wait([ending], timeout=self._patience.gone_s)
        return bool(done)

    def _too_silent(self) -> bool:
        """Whether another sampler should try: this one has had its time, and hangs."""
        now = time.monotonic()
        if self._stuck is not None:
            return False
        if now - self._heard_at > self._patience.kill_s:
            return True
        limit_s = self._patience.kill_s if self._tries <= 1 else self._patience.kill_again_s
        return now - max(self._answered_at or 0.0, self._started_at) > limit_s

    def _stuck_has_gone(self) -> bool:
        return self._stuck is not None and self._stuck.returncode is not None

    def _save_idle_times(self) -> None:
        """In a thread, for which no frame waits: the disk may be one of a network, and hang."""
        if self._saving is None or not self._saving.is_alive():
            content = self._idle.content()
            self._saving = threading.Thread(target=self._idle.save, args=(content,), daemon=True)
            self._saving.start()

    # Frames

    def _take(self, message: Optional[Values]) -> None:
        if message is None:
            self._publish(self._hung("the sampler"))
            return
        self._heard_at = time.monotonic()
        if "static" in message:
            self.static = message["static"]
            return
        frame = message["frame"]
        if frame["state"] in (HUNG, OFF):
            self._publish({**frame, **self._hung("the GPU driver"), "host": frame["host"]})
        else:
            self._answered_at, self._tries = time.monotonic() - frame["silent_s"], 0
            self._xid = {str(gpu["index"]): gpu["xid"] for gpu in frame["gpus"] if gpu["xid"]}
            self._idle.mark(frame["gpus"], frame["time"])
            self._publish(frame)

    def _hung(self, who: str) -> Values:
        silent_s = self._silence_s()
        error = f"{who} has not answered for {silent_s:.0f} s"
        if self._stuck is not None:
            error += f"; the process {self._stuck.pid} hangs in it and cannot be ended"
        return {
            "time": time.time(),
            "static": self.static["version"],
            "state": HUNG,
            "error": error,
            "silent_s": silent_s,
            "gpus": [],
            "host": {},
        }

    def _silence_s(self) -> float:
        """For how long the driver has been asked in vain."""
        return time.monotonic() - (self._answered_at or self._asked_at)

    async def _without(self, reason: str, delay_s: float) -> None:
        """Say so each tick, until the next sampler may be started."""
        until = time.monotonic() + delay_s
        while self._watches:
            frame = {
                "time": time.time(),
                "static": self.static["version"],
                "state": ERROR,
                "error": f"{reason}; it is started again",
                "silent_s": self._silence_s(),
                "gpus": [],
                "host": {},
            }
            self._publish(frame)
            now = time.monotonic()
            if now >= until:
                return
            await self._until(min(until, now + self.interval_s))

    def _publish(self, frame: Values) -> None:
        self._seq += 1
        whole = {"seq": self._seq, **frame, "services": self._rows}
        now, tick_s = time.monotonic(), self.interval_s
        for watch in self._watches:
            watch.offer(whole, now=now, tick_s=tick_s)


def _ended(status: Optional[int]) -> str:
    if status is None:
        return "says no more"
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"
