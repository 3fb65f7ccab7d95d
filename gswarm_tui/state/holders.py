"""Which process keeps others from the database, as far as the kernel says."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

NOBODY_KNOWN: Final = "another process"

_WRITER: Final = 120
"""The byte of ``-shm`` that whoever writes has locked (WAL_WRITE_LOCK of SQLite's wal.c)."""

_SHOWN: Final = 200


def named(pid: int) -> str:
    """``process 4242 (gswarm run nightly.yaml)``, or that it is not known which."""
    command = ""
    if pid > 0:
        with suppress(psutil.Error):
            command = " ".join(" ".join(psutil.Process(pid).cmdline()).split())[:_SHOWN]
    return f"process {pid} ({command})" if command else NOBODY_KNOWN


def writer_of(path: Path) -> str:
    """The process that writes to a database in WAL mode.

    Read from Linux' table of locks: opening and closing ``-shm`` would drop those of this process.
    """
    try:
        inode = path.with_name(path.name + "-shm").stat().st_ino
        lines = Path("/proc/locks").read_text("ascii").splitlines()
    except OSError:
        return NOBODY_KNOWN
    for line in lines:
        # 1: POSIX  ADVISORY  WRITE 4242 fe:00:2998900 120 120; one that waits has `->` after `1:`.
        fields = line.split()[1:]
        if fields[0] != "POSIX" or fields[2] != "WRITE":
            continue
        pid, place, first, last = int(fields[3]), fields[4], int(fields[5]), fields[6]
        # By the inode alone: the device of an overlay is not the one that `stat` tells.
        is_there = place.rsplit(":", 1)[1] == str(inode)
        if is_there and first <= _WRITER and (last == "EOF" or int(last) >= _WRITER):
            return NOBODY_KNOWN if pid == os.getpid() else named(pid)
    return NOBODY_KNOWN
