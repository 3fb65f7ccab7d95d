"""Two runs of one playbook: a kernel lock by its name, held by the run that is under way.

The lock dies with its holder, however that ends, and says who it is. Two controllers with data
directories of their own don't meet here but at the nodes' leases.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import json
import os
import platform
import re
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self, final

from gswarm_tui import times, wording
from gswarm_tui.errors import LockedOutError, StateError, TimedOutError
from gswarm_tui.processes import Process
from gswarm_tui.state.jobs import Jobs

_LOOK_EVERY_S: Final = 0.1
PATIENCE_S: Final = 60.0
"""How long a run that was asked to end has for it, before its process is told to."""

_TERMINATED_S: Final = 15.0
_NAMED_WITHIN_S: Final = 3.0
"""How long a run that has just taken the lock has for saying who it is."""

_RECORD_BYTES: Final = 1024


class Overlap(StrEnum):
    """What a run does where another one of the same playbook is under way."""

    FAIL = "fail"
    WAIT = "wait"
    SKIP = "skip"
    CANCEL_PREVIOUS = "cancel-previous"


@dataclass(frozen=True, slots=True)
class Holder:
    """The run that holds a lock.

    Args:
        job: None until it has one.
        since: ISO 8601 in UTC.
    """

    job: int | None
    process: Process
    host: str
    since: str

    def __str__(self) -> str:
        """``job 17, process 4242 since 03:00``."""
        began = datetime.fromisoformat(self.since).astimezone()
        is_today = began.date() == datetime.now().astimezone().date()
        since = began.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")
        where = "" if self.host == platform.node() else f" on {self.host}"
        job = "" if self.job is None else f"job {self.job}, "
        return f"{job}process {self.process.pid}{where} since {since}"


@final
class Lock:
    """The lock of one playbook, held by this process until it is released.

    Args:
        descriptor: the open file. Who inherits it holds the lock as well.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        os.set_inheritable(descriptor, False)
        self._since = times.now()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def name_holder(self, job_id: int | None) -> None:
        """Write into the file that this process holds it, for this job."""
        holder = Holder(job_id, Process.this(), platform.node(), self._since)
        # One write of one size over the former: who reads meanwhile finds no half of it.
        text = json.dumps(asdict(holder)).encode().ljust(_RECORD_BYTES)
        with suppress(OSError):  # the disk is full: it is held by somebody who has no name
            os.pwrite(self.descriptor, text, 0)

    def hand_over(self) -> None:
        """Leave the lock to a process that has inherited it."""
        os.close(self.descriptor)

    def release(self) -> None:
        """Let the next one have it; what it says of its holder is no more."""
        with suppress(OSError):  # the disk is full: the name of who is gone stays there
            os.ftruncate(self.descriptor, 0)
        os.close(self.descriptor)


async def acquire(
    folder: Path,
    name: str,
    overlap: Overlap,
    jobs: Jobs,
    *,
    say: Callable[[str], None],
    timeout_s: float | None = None,
    spent_s: float = 0.0,
    patience_s: float = PATIENCE_S,
) -> Lock | None:
    """Take the lock of the playbook called ``name``, or do what ``overlap`` says.

    Args:
        folder: where locks are, `Home.locks`.
        say: is told whom it waits for, in sentences.
        timeout_s: how long it may take until the run begins.
        spent_s: what of that is over already.
        patience_s: how long one that is asked to end has for it.

    Returns:
        The lock; None where the run is to be skipped.

    Raises:
        LockedOutError: another run has it, and does not end.
        TimedOutError: that took longer than ``timeout_s``.
        StateError: there is no locking in this folder.
    """
    path = folder / _file_name(name)
    descriptor = _open(path)
    try:
        taken = _try(descriptor, path)
        if not taken and overlap in (Overlap.WAIT, Overlap.CANCEL_PREVIOUS):
            waiting = _Waiting(path, descriptor, name, say, patience_s)
            turn = waiting.until_free() if overlap is Overlap.WAIT else waiting.end_holder(jobs)
            await waiting.within(timeout_s, spent_s, turn)
            taken = True
        if taken:
            lock = Lock(descriptor)
            lock.name_holder(None)
            return lock
    except BaseException:
        os.close(descriptor)
        raise
    holder = await _named_holder(path)
    os.close(descriptor)
    if overlap is Overlap.SKIP:
        say(f"skipped: {_under_way(name, holder)}")
        return None
    follow = ""
    if holder is not None and holder.job is not None:
        follow = f"`gswarm job show {holder.job} --watch` follows it, and "
    raise LockedOutError(_under_way(name, holder), hint=f"{follow}--overlap wait waits for its end")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """For a lock that somebody else has."""

    path: Path
    descriptor: int
    name: str
    say: Callable[[str], None]
    patience_s: float

    async def within(
        self, timeout_s: float | None, spent_s: float, turn: Coroutine[Any, Any, None]
    ) -> None:
        """Wait for the turn, but not for longer than that."""
        try:
            async with asyncio.timeout(None if timeout_s is None else timeout_s - spent_s):
                await turn
        except TimeoutError:
            holder = _holder(self.path)
            raise TimedOutError(
                f"it could not begin within {wording.limit(timeout_s or 0.0)}: "
                f"{_under_way(self.name, holder)}"
            ) from None

    async def until_free(self) -> None:
        said = ""
        while not _try(self.descriptor, self.path):
            sentence = f"waiting: {_under_way(self.name, _holder(self.path))}"
            if sentence != said:
                self.say(sentence)
                said = sentence
            await asyncio.sleep(_LOOK_EVERY_S)

    async def end_holder(self, jobs: Jobs) -> None:
        """Cancel the job of each one that has it, until it is ours."""
        asked: Holder | None = None
        began = time.monotonic()
        is_told = False
        while not _try(self.descriptor, self.path):
            holder = _holder(self.path)
            if holder is not None and holder.job is not None and holder != asked:
                self.say(f"cancelling the other run of {self.name}: {holder}")
                jobs.request_cancel(holder.job)
                asked, began, is_told = holder, time.monotonic(), False
            waited = time.monotonic() - began
            if waited > self.patience_s and not is_told:
                self._terminate(holder)
                is_told = True
            if waited > self.patience_s + _TERMINATED_S:
                who = holder or "it does not say who it is"
                raise LockedOutError(
                    f"the other run of {self.name} does not end: {who}",
                    hint="see what its process is doing; `kill -KILL` ends it in any case",
                )
            await asyncio.sleep(_LOOK_EVERY_S)

    def _terminate(self, holder: Holder | None) -> None:
        process = holder.process if holder is not None else None
        if process is not None and process.is_here and process.is_alive:
            self.say(
                f"it has not ended in {self.patience_s:g} s: process {process.pid} gets a TERM"
            )
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)


def _under_way(name: str, holder: Holder | None) -> str:
    return f"another run of {name} is under way{f': {holder}' if holder else ''}"


def _file_name(name: str) -> str:
    """Readable, and another one for each name."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:40]
    return f"{readable}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}.lock"


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"the lock cannot be opened: {error.strerror}"
        raise StateError(message, where=str(path)) from error


def _try(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno == errno.EINTR:
            return False
        raise StateError(
            f"there is no locking here: {error.strerror}",
            where=str(path),
            hint="put the data directory on a disk of this machine (--data-dir, $GSWARM_HOME)",
        ) from error
    return True


def _holder(path: Path) -> Holder | None:
    """What the file says, unless it says nothing yet, or names one who is gone."""
    try:
        said = json.loads(path.read_bytes())
        holder = Holder(**{**said, "process": Process.from_dict(said["process"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return holder if holder.process.is_alive else None


async def _named_holder(path: Path) -> Holder | None:
    """The same, waiting a moment for who has taken the lock and has not written it yet."""
    for _ in range(round(_NAMED_WITHIN_S / _LOOK_EVERY_S)):
        holder = _holder(path)
        if holder is not None:
            return holder
        await asyncio.sleep(_LOOK_EVERY_S)
    return None
