"""Long work on a node: it outlives the connection that asked, and equal work is done once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time
from typing import Any, Awaitable, Callable, Dict, Hashable, List, Optional, Set

from .errors import HelperError, Kind
from .rpc import Call

log = logging.getLogger("gswarm.operations")

Report = Callable[[Dict[str, Any]], None]
Work = Callable[[Report, threading.Event], Awaitable[Any]]


class Operation:
    """One piece of work under way, and the requests that wait for it."""

    def __init__(self, kind: str, *, model: Optional[str], tier: Optional[str]) -> None:
        self.kind = kind
        self.model = model
        self.tier = tier
        self.started_at = time.time()
        self.progress: Dict[str, Any] = {}
        self.calls: Set[Call] = set()
        self.cancelled = threading.Event()
        self.task: Optional[asyncio.Task[Any]] = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def report(self, progress: Dict[str, Any]) -> None:
        """Tell everybody who waits how far it is; from any thread."""
        if threading.get_ident() == self._thread:
            self._tell(progress)
        else:
            self._loop.call_soon_threadsafe(self._tell, progress)

    def _tell(self, progress: Dict[str, Any]) -> None:
        self.progress = progress
        for call in self.calls:
            call.progress(progress)

    def to_wire(self) -> Dict[str, Any]:
        return {
            "kind": self.kind,
            "model": self.model,
            "tier": self.tier,
            "phase": self.progress.get("phase"),
            "done": self.progress.get("done"),
            "total": self.progress.get("total"),
            "rate": self.progress.get("rate"),
            "started_at": self.started_at,
        }


class OperationTable:
    """The operations of this helper; it is their only owner."""

    def __init__(self) -> None:
        self._running: Dict[Hashable, Operation] = {}
        self.on_change: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._running)

    def list(self) -> List[Dict[str, Any]]:
        return [operation.to_wire() for operation in self._running.values()]

    async def run(
        self,
        call: Call,
        *,
        kind: str,
        key: Hashable,
        work: Work,
        model: Optional[str] = None,
        tier: Optional[str] = None,
    ) -> Any:
        """Do `work`, or wait for the equal work that is under way.

        The work goes on when `call`'s connection is lost. It ends when every request that waits for
        it was cancelled: its event is set, its task is cancelled, and this returns after its end.

        Args:
            key: equal keys are the same work.
            work: ``await work(report, cancelled)``. Threads look at ``cancelled``, and may call
                ``report``; see `in_thread`.

        Raises:
            HelperError: what the work raised.
        """
        operation = self._running.get((kind, key))
        if operation is not None and operation.cancelled.is_set():
            await self._ended(operation)
            operation = self._running.get((kind, key))
        if operation is None:
            operation = self._start(kind, key, work, model=model, tier=tier)
        operation.calls.add(call)
        if operation.progress:
            call.progress(operation.progress)
        assert operation.task is not None
        try:
            return await asyncio.shield(operation.task)
        except asyncio.CancelledError:
            operation.calls.discard(call)
            if not call.connection_lost and not operation.calls:
                await self._cancel(operation)
            raise
        finally:
            operation.calls.discard(call)

    async def cancel_all(self) -> None:
        """End everything that runs, as the helper does before it exits."""
        for operation in list(self._running.values()):
            await self._cancel(operation)

    def _start(
        self, kind: str, key: Hashable, work: Work, *, model: Optional[str], tier: Optional[str]
    ) -> Operation:
        operation = Operation(kind, model=model, tier=tier)

        async def do() -> Any:
            try:
                return await work(operation.report, operation.cancelled)
            finally:
                del self._running[(kind, key)]
                self.on_change()

        operation.task = asyncio.ensure_future(do())
        operation.task.add_done_callback(functools.partial(_log_unheard, operation))
        self._running[(kind, key)] = operation
        self.on_change()
        return operation

    async def _cancel(self, operation: Operation) -> None:
        operation.cancelled.set()
        assert operation.task is not None
        operation.task.cancel()
        await self._ended(operation)

    async def _ended(self, operation: Operation) -> None:
        assert operation.task is not None
        await asyncio.wait([operation.task])


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """Run blocking work in a thread of its own, and end only when the thread has.

    Cancelling this waits for the thread, which looks at its operation's ``cancelled`` event: so
    nothing still writes when the operation counts as ended.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def deliver(result: Any, error: Optional[BaseException]) -> None:
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)

    def body() -> None:
        try:
            result, error = function(*args), None
        except BaseException as raised:
            result, error = None, raised
        # a closed loop: the helper is exiting, and nobody waits
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, result, error)

    threading.Thread(target=body, name=getattr(function, "__name__", "work"), daemon=True).start()
    cancelled = False
    while not done.done():
        try:
            await asyncio.wait([done])
        except asyncio.CancelledError:
            cancelled = True  # a second one does not make the thread end sooner either
    if cancelled:
        done.exception()  # seen: it is the consequence of the cancellation
        raise asyncio.CancelledError
    return done.result()


def _log_unheard(operation: Operation, task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if error is not None and not operation.calls:
        known = isinstance(error, HelperError) and error.kind != Kind.INTERNAL
        log.error("%s of %s: %s", operation.kind, operation.model, error, exc_info=not known)
