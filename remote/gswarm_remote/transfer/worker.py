"""One thread that does what an event loop gives it, in order."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from queue import SimpleQueue
from typing import Any, Callable, Deque, Optional, Tuple

from ..models.files import stopped

_Job = Tuple[Callable[..., Any], Tuple[Any, ...], "asyncio.Future[Any]"]


class Worker:
    """Runs blocking jobs one after the other; after one has failed, no other is done.

    A context manager. The thread is a daemon, unlike an executor's: a disk that hangs does not
    keep the helper from exiting.

    Args:
        at_end: what the thread does last, whatever became of the jobs.
    """

    def __init__(self, name: str, *, at_end: Callable[[], None] = lambda: None) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[Optional[_Job]] = SimpleQueue()
        self._at_end = at_end
        self._failed = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._jobs.put(None)

    def do(self, job: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Queue a job; the future gets what it returns or raises."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._jobs.put((job, args, future))
        return future

    def _work(self) -> None:
        while True:
            item = self._jobs.get()
            if item is None:
                self._at_end()
                return
            job, args, future = item
            result: Any = None
            error: Optional[BaseException] = None
            try:
                result = self._attempt(job, args)
            except BaseException as raised:
                self._failed = True
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits
                self._loop.call_soon_threadsafe(_deliver, future, result, error)

    def _attempt(self, job: Callable[..., Any], args: Tuple[Any, ...]) -> Any:
        if self._failed:
            raise stopped()
        return job(*args)


class Backlog:
    """Jobs of a worker that hold memory: whoever gives it more than `limit` bytes waits."""

    def __init__(self, worker: Worker, *, limit: int) -> None:
        self._worker = worker
        self._limit = limit
        self._held = 0
        self._pending: Deque[Tuple[asyncio.Future[Any], int]] = deque()

    async def put(self, job: Callable[..., Any], *args: Any, size: int = 0) -> None:
        """Queue a job that holds `size` bytes; raises what an earlier one raised."""
        self._pending.append((self._worker.do(job, *args), size))
        self._held += size
        while self._pending and (self._held > self._limit or self._pending[0][0].done()):
            await self._first()

    async def finish(self) -> None:
        """Wait for every job; raises what one raised."""
        while self._pending:
            await self._first()

    async def settle(self) -> None:
        """Wait until no job runs, whatever became of them."""
        futures = [future for future, _ in self._pending]
        self._pending.clear()
        if futures:
            await asyncio.wait(futures)

    async def _first(self) -> None:
        future, size = self._pending[0]
        await asyncio.shield(future)
        self._pending.popleft()
        self._held -= size


def _deliver(future: asyncio.Future[Any], result: Any, error: Optional[BaseException]) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
        future.exception()  # seen: who gave up waiting was told of another error
    else:
        future.set_result(result)
