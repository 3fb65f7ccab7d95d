"""One node, watched: connected to again and again, its frames and its status taken as they come."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

from gswarm_tui.errors import AuthenticationError, GswarmError, HostKeyError, RemoteError
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.watch import frames
from gswarm_tui.watch.first import connecting
from gswarm_tui.watch.frames import Gpus, text
from gswarm_tui.watch.snapshot import Gpu, Node, NodeState, Service
from gswarm_tui.watch.statuses import NOTHING, Holdings, holdings, with_rates

_LONGEST_DELAY_S: Final = 30.0
_LEAVING_S: Final = 1.0
"""For so long a node is given to hear that nobody watches it any more."""
_SILENT_TICKS: Final = 10
"""A slow tick is no silence."""


class Asked(Protocol):
    """What of `gswarm_tui.fleet.Node` is used."""

    @property
    def spec(self) -> NodeSpec: ...

    async def connect(self) -> None: ...

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Any: ...


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of each node, and how often.

    Args:
        interval_s: between two frames.
        status_s: between two looks at its models, services and operations.
        bandwidth, nvlink: whether the rates over PCIe, and over NVLink, are wanted.
        first_delay_s: before a node that could not be reached is tried again; doubled each time.
        silent_s: after so long without a word, and ten ticks, a node is shown as unreachable.
    """

    interval_s: float = 1.0
    status_s: float = 2.0
    bandwidth: bool = False
    nvlink: bool = False
    first_delay_s: float = 1.0
    silent_s: float = 10.0


@final
class NodeWatch:
    """What is known of one node.

    Args:
        changed: is called whenever something new is known.
        job_of: the id of the job with a key.

    Attributes:
        holdings: its copies and transfers.
        services: what it serves, with rates.
    """

    def __init__(
        self,
        asked: Asked,
        wishes: Wishes,
        *,
        changed: Callable[[], None],
        job_of: Callable[[str], int | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        spec = asked.spec
        self.name = spec.name
        self.holdings: Holdings = NOTHING
        self.services: tuple[Service, ...] = ()
        self._asked, self._wishes = asked, wishes
        self._changed, self._job_of, self._clock = changed, job_of, clock
        self._gpus = Gpus(spec.name, spec.capabilities.gpus or ())
        self._version: object = None
        self._frame: Mapping[str, Any] = {}
        self._describing: asyncio.Task[None] | None = None
        self._answer: object = None
        self._rows: object = None
        self._heard_at = 0.0
        self._system: str | None = None
        self._driver: str | None = None
        self._refusal: str | None = None
        self._node = connecting(spec, clock())

    @property
    def pending(self) -> bool:
        """Whether it has neither told what its GPUs are and do nor failed to, yet."""
        node = self._node
        if node.state is NodeState.UP and node.error is None:
            undescribed = self._frame.get("static") not in ("", None, self._version)
            return node.sampled_at is None or undescribed
        return node.state is NodeState.CONNECTING

    def node(self, now: float) -> Node:
        """The node; the same object as before where nothing came since then."""
        silence = now - self._heard_at
        ticks = max(self._wishes.interval_s, self._wishes.status_s) * _SILENT_TICKS
        if self._node.state is NodeState.UP and silence > max(self._wishes.silent_s, ticks):
            self._turn(NodeState.UNREACHABLE, f"it has said nothing for {silence:.0f} s")
        return self._node

    # Its life

    async def run(self) -> None:
        """Watch until cancelled. One that does not accept us is not asked again."""
        delay_s = self._wishes.first_delay_s
        while True:
            try:
                await self._watch()
            except GswarmError as error:
                if self._node.state is NodeState.UP:
                    delay_s = self._wishes.first_delay_s
                self._lose(error)
                if isinstance(error, (AuthenticationError, HostKeyError)):
                    return
            except Exception as error:
                # A node may send anything. What was not foreseen costs this node, not the screen.
                what = f"a bug in gswarm met what it said: {type(error).__name__}: {error}"
                self._lose(GswarmError(what))
            await asyncio.sleep(delay_s * random.uniform(0.75, 1.25))  # noqa: S311
            delay_s = min(2 * delay_s, _LONGEST_DELAY_S)

    async def _watch(self) -> None:
        await self._asked.connect()
        self._hear()
        wishes = self._wishes
        wanted = {
            "interval_s": wishes.interval_s,
            "bandwidth": wishes.bandwidth,
            "nvlink": wishes.nvlink,
        }
        looking = asyncio.ensure_future(self._keep_looking())
        watching = asyncio.ensure_future(
            self._asked.call("metrics.watch", wanted, progress=self._take)
        )
        for task in (looking, watching):
            task.add_done_callback(_heard)
        try:
            # Either ends with the connection; a helper without metrics still has a status.
            await asyncio.wait([looking, watching], return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                try:
                    await watching
                except RemoteError as error:
                    self._update(error=f"no metrics: {error.message}", gpus=())
            await looking
        finally:
            looking.cancel()
            watching.cancel()
            if self._describing is not None:
                self._describing.cancel()
            await asyncio.wait([looking, watching], timeout=_LEAVING_S)
            self._describing = None

    async def _keep_looking(self) -> None:
        while True:
            try:
                self._look(await self._asked.call("node.status", {}))
                self._refusal = None
            except RemoteError as error:  # the metrics go on
                self._refusal = f"its models are not known: {error.message}"
            await asyncio.sleep(self._wishes.status_s)

    def _lose(self, error: GswarmError) -> None:
        self.holdings, self.services, self._answer, self._rows = NOTHING, (), None, None
        self._turn(NodeState.UNREACHABLE, error.message)

    def _turn(self, state: NodeState, error: str | None) -> None:
        gpus = self._node.gpus if state is NodeState.UP else ()
        if state is NodeState.UNREACHABLE:
            self._gpus.lose()
        since = self._node.since if self._node.state is state else self._clock()
        self._update(state=state, error=error, since=since, gpus=gpus, silent_s=0.0)

    # What it says

    def _hear(self) -> None:
        self._heard_at = self._clock()
        if self._node.state is not NodeState.UP:
            self._turn(NodeState.UP, None)

    def _take(self, report: Mapping[str, Any]) -> None:
        """A frame came."""
        frame = report.get("frame")
        if not isinstance(frame, Mapping):
            return
        self._hear()
        self._frame = frame
        if frame.get("static") != self._version and frame.get("static"):
            self._describe(frame["static"])
        self._show(frame)
        if "services" in frame:
            self._rows = frame["services"]
            self._serve()

    def _show(self, frame: Mapping[str, Any]) -> None:
        now, state = self._clock(), frame.get("state")
        silent_s = frames.number(frame.get("silent_s")) if state == frames.HUNG else None
        gpus = self._gpus.take(frame, now)
        self._update(
            error=self._complaint(frame, gpus),
            sampled_at=now,
            silent_s=float(silent_s or 0.0),
            host=frames.host_of(frame, self._node.host),
            gpus=gpus,
            system=self._system,
            driver=self._driver,
        )

    def _complaint(self, frame: Mapping[str, Any], gpus: tuple[Gpu, ...]) -> str | None:
        """What is wrong with its GPUs. To have no driver is, where GPUs are expected."""
        state = frame.get("state")
        if state == "ok" or (state == "no_driver" and not gpus):
            return self._refusal
        return text(frame.get("error")) or "the GPUs cannot be read"

    def _describe(self, version: object) -> None:
        if self._describing is None or self._describing.done():
            self._describing = asyncio.ensure_future(self._ask_what_they_are(version))
            self._describing.add_done_callback(_heard)

    async def _ask_what_they_are(self, version: object) -> None:
        answer = await self._asked.call("metrics.describe", {})
        if isinstance(answer, Mapping):
            self._version = answer.get("version", version)
            self._system, self._driver = text(answer.get("system")), text(answer.get("driver"))
            self._gpus.describe(answer)
            self._show(self._frame)

    def _look(self, answer: object) -> None:
        """A status came."""
        self._hear()
        if answer == self._answer:
            return
        self._answer = answer
        self.holdings = holdings(self._asked.spec, answer, self._job_of)
        self._gpus.hold(self.holdings.loaded)
        if self._node.gpus:
            self._update(gpus=frames.with_models(self._node.gpus, self.holdings.loaded))
        self._serve()

    def _serve(self) -> None:
        rows = self._rows if isinstance(self._rows, (list, tuple)) else ()
        known = {text(row.get("service")): row for row in rows if isinstance(row, Mapping)}
        self.services = tuple(
            [with_rates(each, known.get(each.service)) for each in self.holdings.services]
        )
        self._changed()

    def _update(self, **changes: Any) -> None:
        before = self._node
        gpus = changes.get("gpus", before.gpus)
        self._node = Node(
            name=before.name,
            address=before.address,
            state=changes.get("state", before.state),
            since=changes.get("since", before.since),
            groups=before.groups,
            labels=before.labels,
            error=changes.get("error", before.error),
            sampled_at=changes.get("sampled_at", before.sampled_at),
            silent_s=changes.get("silent_s", before.silent_s),
            host=changes.get("host", before.host),
            gpus=gpus,
            system=changes.get("system", before.system),
            driver=changes.get("driver", before.driver),
            gpu_count=len(gpus) or before.gpu_count,
        )
        self._changed()


def _heard(task: asyncio.Future[Any]) -> None:
    """What went wrong is known to whoever waits, or is tried again with the next frame."""
    if not task.cancelled():
        task.exception()
