"""Processes that outlive the helper: started, recognized, and ended with everything they started.

A pid alone may belong to another process later. With the process's start time and the machine's
boot id it is certain. The command line is not part of that identity, because engines rename
themselves (vLLM does, by setproctitle). A zombie counts as dead: in a container PID 1 may take its
time to reap.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set

from . import processtable
from .errors import HelperError, Kind

MARK = "GSWARM_PROCESS"
"""The variable that a supervised process and all that it starts have in their environment."""

_POLL_S = 0.05
_SCAN_S = 1.0  # between two looks at the whole table: a node may have thousands of processes
_KILL_WAIT_S = 5.0  # a process that hangs in the kernel (in a driver) outlasts SIGKILL
_PIPE_CAPACITY = 65536  # bytes that a new pipe takes while nobody reads, pipe(7)

_UMASK = os.umask(0o077)
os.umask(_UMASK)  # there is no way to ask that leaves it alone

_children: Dict[int, subprocess.Popen[bytes]] = {}
"""What this helper itself started and has not forgotten, by pid; `spawn` and `forget` own it."""


@dataclass(frozen=True)
class ProcessRecord:
    """Which process is meant, for certain.

    Args:
        pid: its id.
        start_time: when it started, in the system's own unit (clock ticks after boot on Linux,
            seconds since the epoch elsewhere): to be compared, never to be read.
        boot_id: the machine's boot.
    """

    pid: int
    start_time: float
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> Optional[ProcessRecord]:
        """The process that has this pid now; None where there is none."""
        entry = processtable.entry(pid)
        return None if entry is None else cls(pid, entry.start_time, boot_id())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ProcessRecord:
        return cls(int(data["pid"]), float(data["start_time"]), str(data["boot_id"]))

    def to_dict(self) -> Dict[str, Any]:
        return {"pid": self.pid, "start_time": self.start_time, "boot_id": self.boot_id}

    def alive(self) -> bool:
        """Whether this very process runs; a zombie does not."""
        reap()
        if self.boot_id != boot_id():
            return False
        entry = processtable.entry(self.pid)
        return entry is not None and entry.start_time == self.start_time and not entry.dead

    def reused(self) -> bool:
        """Whether the pid belongs to another process by now."""
        entry = processtable.entry(self.pid)
        if entry is None:
            return False
        return self.boot_id != boot_id() or entry.start_time != self.start_time


@functools.lru_cache(maxsize=1)
def boot_id() -> str:
    """What tells this boot of the machine from every other."""
    return processtable.boot_id()


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    stdin: bytes = b"",
    pass_fds: Iterable[int] = (),
) -> ProcessRecord:
    """Start a program in a session of its own, so that it outlives this helper.

    Args:
        argv: the program and its arguments; never a shell's line.
        env: its whole environment.
        log: stdout and stderr are appended to this file, 0600.
        stdin: what it reads there before the end of file; for secrets. At most 64 KiB.
        pass_fds: descriptors that it inherits, under the same numbers.

    Raises:
        HelperError: the program is not there or cannot be run.
    """
    reap()
    standard_input = _filled_pipe(stdin) if stdin else os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=standard_input,
            stdout=output,
            stderr=output,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
            umask=0o077,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise HelperError(Kind.INVALID, f"{argv[0]} cannot be started: {reason}") from error
    finally:
        os.close(standard_input)
        os.close(output)
    # Before `reap` in another thread may know of it: it is in the table, at least as a zombie.
    record = ProcessRecord.of(child.pid)
    _children[child.pid] = child
    assert record is not None
    return record


def umask() -> str:
    """The mask with which this helper was started, in octal: the user's own, for commands."""
    return f"{_UMASK:04o}"


def reap() -> None:
    """Collect the exit status of children that have ended: without threads, without handlers."""
    for child in list(_children.values()):
        child.poll()


def exit_reason(record: ProcessRecord) -> Optional[str]:
    """How a process that this helper started has ended, in words; None where it is not known."""
    child = _children.get(record.pid)
    status = None if child is None else child.poll()
    if status is None:
        return None
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def forget(record: ProcessRecord) -> None:
    """Let go of a process that has ended."""
    child = _children.get(record.pid)
    if child is not None and child.poll() is not None:
        _children.pop(record.pid, None)


def members(leader: ProcessRecord, *, mark: str, folder: Path) -> List[ProcessRecord]:
    """The process and all that it started and that still runs, wherever that has moved.

    While the leader lives these are its session, its process group, its descendants, and whatever
    has its mark. Once it is dead, its pid may have been the session of something else in the
    meantime: then only what has the mark counts, or is in that session and works in `folder` (a
    program that renames itself may overwrite its environment, and the mark with it).

    Args:
        mark: the value of `MARK` in its environment.
        folder: its working directory, its alone.
    """
    if leader.boot_id != boot_id():
        return []
    entries = [e for e in processtable.entries() if not e.dead and e.pid != os.getpid()]
    alive = any(e.pid == leader.pid and e.start_time == leader.start_time for e in entries)
    descendants = _descendants(entries, leader.pid) if alive else set()

    def belongs(entry: processtable.Entry) -> bool:
        inside = leader.pid in (entry.session, entry.group)
        if alive and (inside or entry.pid in descendants):
            return True
        if processtable.environment(entry.pid).get(MARK) == mark:
            return True
        return inside and processtable.folder(entry.pid) == folder

    return [ProcessRecord(e.pid, e.start_time, leader.boot_id) for e in entries if belongs(e)]


def terminate(leader: ProcessRecord, *, mark: str, folder: Path, grace_s: float) -> List[int]:
    """End a process and all that it started: TERM, then after `grace_s` seconds KILL. Blocks.

    TERM goes to the leader first, which knows best how to stop its workers, and to the others once
    it has ended. The whole table is read when a signal is due and each `_SCAN_S` seconds; between
    that only those that are known are looked at.

    Returns:
        The pids that even KILL did not end: a driver that hangs can do that.
    """
    seen: Dict[int, ProcessRecord] = {}
    told: Set[int] = set()

    def left(*, scan: bool) -> List[ProcessRecord]:
        if scan:
            found = members(leader, mark=mark, folder=folder)
            seen.update((record.pid, record) for record in found)
        return [record for record in seen.values() if record.alive()]

    kill_at = time.monotonic() + grace_s
    give_up_at = kill_at + _KILL_WAIT_S
    scan_at = time.monotonic() + _SCAN_S
    killed = False
    rest = left(scan=True)
    while rest and time.monotonic() < give_up_at:
        killing = time.monotonic() >= kill_at
        leading = any(record.pid == leader.pid for record in rest)
        for record in rest:
            if killing:
                send_signal(record, signal.SIGKILL)
            elif record.pid not in told and (record.pid == leader.pid or not leading):
                told.add(record.pid)
                send_signal(record, signal.SIGTERM)
        time.sleep(_POLL_S)
        if leading and leader.alive() and time.monotonic() < min(scan_at, kill_at):
            continue  # its workers are its own business as long as it lives
        rest = left(scan=False)
        ended = leading and not leader.alive()
        # What was started in between is found before it is killed, and before all counts as ended.
        due = time.monotonic() >= scan_at or (time.monotonic() >= kill_at and not killed)
        if due or ended or not rest:
            rest = left(scan=True)
            scan_at = time.monotonic() + _SCAN_S
            killed = killed or time.monotonic() >= kill_at
    reap()
    forget(leader)
    return [record.pid for record in rest]


def send_signal(record: ProcessRecord, number: int) -> None:
    """Signal this very process; nothing happens where it is gone, or its pid is another's."""
    descriptor = _pidfd(record.pid)
    try:
        if not record.alive():
            return
        if descriptor is None:
            os.kill(record.pid, number)
        elif sys.platform == "linux":
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        pass  # it ended in between
    finally:
        if descriptor is not None:
            os.close(descriptor)


def find_marked(mark: str) -> Optional[ProcessRecord]:
    """The leader of the session with this mark: what a helper started and could not note down."""
    for entry in processtable.entries():
        if entry.dead or entry.session != entry.pid:
            continue
        if processtable.environment(entry.pid).get(MARK) == mark:
            return ProcessRecord(entry.pid, entry.start_time, boot_id())
    return None


def _pidfd(pid: int) -> Optional[int]:
    """A descriptor that means this process also when its pid is reused; Linux 5.3 and later."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None  # an older kernel, a container that forbids it, or no such process


def _descendants(entries: Sequence[processtable.Entry], root: int) -> Set[int]:
    found = {root}
    size = 0
    while size != len(found):
        size = len(found)
        found.update(entry.pid for entry in entries if entry.parent in found)
    return found


def _filled_pipe(content: bytes) -> int:
    if len(content) > _PIPE_CAPACITY:
        raise HelperError(Kind.INVALID, f"{len(content)} bytes of settings are too many")
    reading, writing = os.pipe()
    try:
        os.write(writing, content)
    finally:
        os.close(writing)
    return reading
