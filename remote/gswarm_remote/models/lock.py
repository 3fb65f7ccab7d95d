"""Locks between the helpers, of one user or several, that share a models folder.

They are flocks: the system lets go of them when the process dies. Some network filesystems have
none (`ENOLCK`, `ENOTSUP`): there a store goes on without, says so once in the helper's log, and
leaves lying what only a lock's holder may clean up.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Iterator, Optional

from ..errors import HelperError, Kind
from ..flocks import flock, is_still
from .files import stopped

WAIT_S = 60.0
_POLL_S = 0.05


class Lock:
    """A lock that is held. `real` is False where the filesystem has no locks."""

    def __init__(self, descriptor: int, *, real: bool) -> None:
        self._descriptor = descriptor
        self.real = real

    def release(self) -> None:
        """Let go; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def try_lock(path: Path) -> Optional[Lock]:
    """Take the lock at `path`, or return None where somebody else holds it.

    Raises:
        OSError: the file cannot be made or opened.
    """
    while True:
        descriptor = _open(path)
        try:
            real = flock(descriptor, path)
            if real is not None and not is_still(descriptor, path):
                os.close(descriptor)  # its last holder removed it: there is another file by now
                continue
        except BaseException:
            os.close(descriptor)
            raise
        if real is None:
            os.close(descriptor)
            return None
        _sign(descriptor)
        return Lock(descriptor, real=real)


def wait_lock(
    path: Path, *, cancelled: Optional[threading.Event] = None, wait_s: Optional[float] = WAIT_S
) -> Lock:
    """Take the lock at `path`, waiting at most `wait_s` seconds, or without end where that is None.

    Raises:
        HelperError: somebody else holds it all that time (in_use), or cancelled.
        OSError: the file cannot be made or opened.
    """
    deadline = None if wait_s is None else time.monotonic() + wait_s
    while True:
        lock = try_lock(path)
        if lock is not None:
            return lock
        if deadline is not None and time.monotonic() >= deadline:
            raise HelperError(
                Kind.IN_USE,
                f"the models folder is being changed by {holder(path)}",
                where=str(path.parent),
                hint="try again when that is done",
            )
        if cancelled is None:
            time.sleep(_POLL_S)
        elif cancelled.wait(_POLL_S):
            raise stopped()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[Lock]:
    """Hold the lock at `path` for a block; raises as `wait_lock` does."""
    lock = wait_lock(path)
    try:
        yield lock
    finally:
        lock.release()


def holder(path: Path) -> str:
    """Who signed the lock file last, in words."""
    try:
        signature = json.loads(path.read_bytes())
        return f"{signature['user']} (process {signature['pid']} on {signature['host']})"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another gswarm helper"


def _open(path: Path) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except PermissionError:
            return os.open(path, os.O_RDONLY)  # another user's can be locked all the same
        except FileNotFoundError:
            continue  # the last holder removed the folder that very moment


def _sign(descriptor: int) -> None:
    signature = {"user": _user(), "pid": os.getpid(), "host": socket.gethostname()}
    with contextlib.suppress(OSError):  # opened for reading only, or the disk is full
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(signature).encode(), 0)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
