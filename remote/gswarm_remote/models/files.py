"""Files as a store needs them: written durably, and known by their digests."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from ..errors import HelperError, Kind
from ..transfer.limits import HASH, Doing

BUFFER = 2**20
"""Bytes read at once: large enough that hashing, not calling, is the cost."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a write fails with when the filesystem, or the user's part of it, is full."""

_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class Digest:
    """What a file holds: its size in bytes, sha256, and git's id of the blob where asked for."""

    size: int
    sha256: str
    git_sha1: Optional[str] = None


def stopped() -> HelperError:
    """The error that work ends with when it was cancelled."""
    return HelperError(Kind.CANCELLED, "cancelled")


def digest_file(
    path: Path,
    *,
    git: bool = False,
    cancelled: Optional[threading.Event] = None,
    advanced: Optional[Callable[[int], None]] = None,
    doing: Optional[Doing] = None,
) -> Digest:
    """Read `path` once and return what it holds.

    Args:
        git: compute the git blob id too: sha1 of ``blob SIZE NUL content`` (gitformat-pack(5)).
        cancelled: looked at for each buffer.
        advanced: called with the number of bytes read, for each buffer.
        doing: says that the file is read; is told of the hashing.

    Raises:
        OSError: it cannot be read.
        HelperError: cancelled.
    """
    sha256 = hashlib.sha256()
    size = 0
    doing = doing or Doing()
    buffer = memoryview(bytearray(BUFFER))
    with path.open("rb", buffering=0) as file:
        blob = None
        if git:
            length = os.fstat(file.fileno()).st_size
            blob = hashlib.sha1(b"blob %d\0" % length, usedforsecurity=False)
        while True:
            if cancelled is not None and cancelled.is_set():
                raise stopped()
            count = file.readinto(buffer)
            if not count:
                break
            size += count
            reading = doing.turn_to(HASH)
            sha256.update(buffer[:count])
            if blob is not None:
                blob.update(buffer[:count])
            doing.turn_to(reading)
            if advanced is not None:
                advanced(count)
    return Digest(size, sha256.hexdigest(), None if blob is None else blob.hexdigest())


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable; a filesystem that cannot do that is let be."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # EINVAL on some network filesystems
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Make the names in a folder and all folders below it durable."""
    for folder, _, _ in os.walk(path):
        sync_folder(Path(folder))


def write_durably(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: a reader, and a crash, sees the old content or the new."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def make_read_only(path: Path) -> None:
    """Take away the right to write from everybody, and add none."""
    path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o555)


def explained(error: OSError, *, where: Path) -> HelperError:
    """What the system said, as an error for the user."""
    reason = error.strerror or str(error)
    place = str(error.filename or where)
    if error.errno in FULL:
        return HelperError(
            Kind.NO_SPACE, f"the disk is full: {reason}", where=place, hint="make room there"
        )
    if error.errno in _DENIED:
        return HelperError(
            Kind.PERMISSION,
            f"the system refuses: {reason}",
            where=place,
            hint="look who owns it and with which mode: ls -ld",
        )
    kind = Kind.NOT_FOUND if error.errno == errno.ENOENT else Kind.INTERNAL
    return HelperError(kind, f"the system says: {reason}", where=place)
