"""Threads that do many small jobs together, and stop together."""

from __future__ import annotations

import threading
from collections import deque
from typing import Callable, Deque, Dict, Optional

from ..models.files import stopped

TICK_S = 0.1
"""How often the waiting thread looks up: at most ten progress reports a second."""

Job = Callable[[], None]


class Crew:
    """Runs jobs, each in a thread of its role, until none is left; jobs may add jobs.

    Args:
        roles: the number of threads for each kind of job.
        cancelled: ends the work from outside.
        tick: called by the thread that waits, every `TICK_S` seconds and once at the end.
        on_stop: called once when the work ends early, to wake jobs that block.

    `stopped_event` is set as soon as the work ends early: long jobs look at it.
    """

    def __init__(
        self,
        roles: Dict[str, int],
        *,
        cancelled: threading.Event,
        tick: Callable[[], None],
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self.stopped_event = threading.Event()
        self._roles = roles
        self._cancelled = cancelled
        self._tick = tick
        self._on_stop = on_stop
        self._queues: Dict[str, Deque[Job]] = {role: deque() for role in roles}
        self._changed = threading.Condition()
        self._finished = threading.Event()
        self._pending = 0
        self._error: Optional[BaseException] = None

    def add(self, role: str, job: Job) -> None:
        """Queue a job; from any thread."""
        with self._changed:
            self._pending += 1
            self._queues[role].append(job)
            self._changed.notify_all()

    def run(self) -> None:
        """Do all jobs.

        Raises:
            HelperError: cancelled.
            BaseException: the first that a job raised; no job runs any more then.
        """
        if self._cancelled.is_set():
            raise stopped()
        if self._pending:
            threads = [
                threading.Thread(
                    target=self._work, args=(role,), name=f"{role}-{number}", daemon=True
                )
                for role, count in self._roles.items()
                for number in range(count)
            ]
            for thread in threads:
                thread.start()
            self._wait()
            for thread in threads:
                thread.join()
        if self._error is not None:
            raise self._error
        self._tick()

    def _wait(self) -> None:
        try:
            while not self._finished.wait(TICK_S):
                if self._cancelled.is_set():
                    self._stop(stopped())
                else:
                    self._tick()
        except BaseException as error:
            self._stop(error)
        if self._error is not None:
            self._on_stop()

    def _work(self, role: str) -> None:
        while True:
            job = self._take(role)
            if job is None:
                return
            try:
                job()
            except BaseException as error:
                self._stop(error)
            self._did()

    def _take(self, role: str) -> Optional[Job]:
        queue = self._queues[role]
        with self._changed:
            while not queue and self._pending and self._error is None:
                self._changed.wait()
            return queue.popleft() if queue and self._error is None else None

    def _did(self) -> None:
        with self._changed:
            self._pending -= 1
            if not self._pending:
                self._finished.set()
                self._changed.notify_all()

    def _stop(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
            self.stopped_event.set()
            self._finished.set()
            self._changed.notify_all()
