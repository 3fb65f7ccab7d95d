"""Long work on a node: it outlives the connection that asked, and equal requests share it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time
from typing import (
    Any,
    Awaitable,
    Callable,
    Dict,
    Hashable,
    Iterator,
    List,
    Optional,
    Set,
    Tuple,
)

from .errors import HelperError, Kind
from .rpc import Call
from .tasks.entry import Entry

log = logging.getLogger("gswarm.operations")

Report = Callable[[Dict[str, Any]], None]
Work = Callable[[Report, threading.Event], Awaitable[Any]]
Keep = Callable[[Entry, Any], Awaitable[None]]


class Operation:
    """One piece of work under way, the requests that wait for it and the tasks that it is for.

    Args:
        source: where the bytes that it moves come from: a device, a reference or a path.
    """

    def __init__(
        self, kind: str, *, model: Optional[str], tier: Optional[str], source: Optional[str] = None
    ) -> None:
        self.kind = kind
        self.model = model
        self.tier = tier
        self.source = source
        self.started_at = time.time()
        self.progress: Dict[str, Any] = {}
        self.calls: Set[Call] = set()
        self.entries: Set[Entry] = set()
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
        # Output is told once: who comes later is given it from its file.
        self.progress = {key: value for key, value in progress.items() if key != "output"}
        for call in self.calls:
            call.progress(progress)

    def to_wire(self) -> Dict[str, Any]:
        return {
            "kind": self.kind,
            "model": self.model,
            "tier": self.tier,
            "source": self.source,
            "phase": self.progress.get("phase"),
            "done": self.progress.get("done"),
            "total": self.progress.get("total"),
            "rate": self.progress.get("rate"),
            "limited_by": self.progress.get("limited_by"),
            "started_at": self.started_at,
            "tasks": sorted({entry.task for entry in self.entries}),
        }


Shown = Callable[[], Dict[str, Any]]
"""Says what ``Operation.to_wire`` would, of what moves bytes and nobody waits for."""


class OperationTable:
    """The operations of this helper; it is their only owner.

    Args:
        keep: notes the result of work for each task that it was for, before anybody gets it.
    """

    def __init__(self, keep: Optional[Keep] = None) -> None:
        self._running: Dict[Tuple[str, Hashable], Operation] = {}
        self._keep = keep
        self._shown: Set[Shown] = set()
        self.on_change: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._running)

    def list(self) -> List[Dict[str, Any]]:
        running = [operation.to_wire() for operation in self._running.values()]
        return running + [look() for look in self._shown]

    @contextlib.contextmanager
    def show(self, look: Shown) -> Iterator[None]:
        """List what a connection does among the operations, for as long as it lasts."""
        self._shown.add(look)
        try:
            yield
        finally:
            self._shown.discard(look)

    def keys(self, kind: str) -> List[Any]:
        """The keys of what runs of that kind."""
        return [key for of, key in list(self._running) if of == kind]

    def entries(self) -> Set[Entry]:
        """What runs for tasks."""
        return {entry for operation in self._running.values() for entry in operation.entries}

    def runs_for(self, task: str) -> bool:
        """Whether anything runs for the task with this key."""
        return any(entry.task == task for entry in self.entries())

    async def run(
        self,
        call: Call,
        *,
        kind: str,
        key: Hashable,
        work: Work,
        model: Optional[str] = None,
        tier: Optional[str] = None,
        source: Optional[str] = None,
    ) -> Any:
        """Do `work`, or wait for the equal work that is under way.

        The work goes on when `call`'s connection is lost. It ends when every request that waits for
        it was cancelled, and no task is left that it is for: its event is set, its task is
        cancelled, and this returns after its end.

        Args:
            key: equal keys are the same work.
            work: ``await work(report, cancelled)``. Threads look at ``cancelled``, and may call
                ``report``; see `in_thread`.
            source: see `Operation`.

        Raises:
            HelperError: what the work raised.
        """
        operation = self._running.get((kind, key))
        if operation is not None and operation.cancelled.is_set():
            await self._ended(operation)
            operation = self._running.get((kind, key))
        if operation is None:
            operation = self._start(kind, key, work, model=model, tier=tier, source=source)
        operation.calls.add(call)
        if call.entry is not None:
            operation.entries.add(call.entry)
        if operation.progress:
            call.progress(operation.progress)
        assert operation.task is not None
        try:
            return await asyncio.shield(operation.task)
        except asyncio.CancelledError:
            operation.calls.discard(call)
            if not call.connection_lost:
                await self._leave(operation, call)
            raise
        finally:
            operation.calls.discard(call)

    def start_unasked(self, entry: Entry, *, kind: str, key: Hashable, work: Work) -> None:
        """Go on with what an earlier helper did for a task; whoever asks for it later joins."""
        operation = self._start(kind, key, work, model=None, tier=None)
        operation.entries.add(entry)

    async def cancel_tasks(self, prefix: str) -> int:
        """End what runs for tasks whose key begins so, whoever asked for it, and wait for its end.

        What is also done for somebody else goes on, and only those who ask for these tasks hear
        that it was cancelled.

        Returns:
            How many pieces of work ran for them.
        """
        found = [
            operation
            for operation in self._running.values()
            if any(entry.task.startswith(prefix) for entry in operation.entries)
        ]
        await asyncio.gather(*(self._cancel_for(operation, prefix) for operation in found))
        return len(found)

    async def cancel_all(self) -> None:
        """End everything that runs, as the helper does before it exits."""
        for operation in list(self._running.values()):
            await self._cancel(operation)

    def _start(
        self,
        kind: str,
        key: Hashable,
        work: Work,
        *,
        model: Optional[str],
        tier: Optional[str],
        source: Optional[str] = None,
    ) -> Operation:
        operation = Operation(kind, model=model, tier=tier, source=source)

        async def do() -> Any:
            try:
                result = await work(operation.report, operation.cancelled)
                await self._note(operation, result)
                return result
            finally:
                del self._running[(kind, key)]
                self.on_change()

        operation.task = asyncio.ensure_future(do())
        operation.task.add_done_callback(functools.partial(_log_unheard, operation))
        self._running[(kind, key)] = operation
        self.on_change()
        return operation

    async def _note(self, operation: Operation, result: Any) -> None:
        noted: Set[Entry] = set()
        while self._keep is not None and operation.entries - noted:
            entry = (operation.entries - noted).pop()
            noted.add(entry)
            await self._keep(entry, result)

    async def _leave(self, operation: Operation, leaving: Call) -> None:
        """One who waited does not any more; the last one ends the work."""
        entry = leaving.entry
        if entry is not None and all(call.entry != entry for call in operation.calls):
            operation.entries.discard(entry)
        if not operation.calls and not operation.entries:
            operation.calls.add(leaving)  # what the work has to say as it ends is still for them
            await self._cancel(operation)

    async def _cancel_for(self, operation: Operation, prefix: str) -> None:
        operation.entries = {e for e in operation.entries if not e.task.startswith(prefix)}
        asking = [
            call
            for call in operation.calls
            if call.entry is not None and call.entry.task.startswith(prefix)
        ]
        if operation.entries or len(operation.calls) > len(asking):
            for call in asking:
                call.cancel()
        else:
            await self._cancel(operation)

    async def _cancel(self, operation: Operation) -> None:
        assert operation.task is not None
        if not operation.cancelled.is_set():  # a second time would disturb how it ends
            operation.cancelled.set()
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
    # Who has cancelled it hears only that it has ended.
    if error is not None and (operation.cancelled.is_set() or not operation.calls):
        known = isinstance(error, HelperError) and error.kind != Kind.INTERNAL
        log.error("%s of %s: %s", operation.kind, operation.model, error, exc_info=not known)
