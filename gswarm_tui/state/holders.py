"""Which process keeps others from the database, as far as the kernel says."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

NOBODY_KNOWN: Final = "another process"

_WRITER: Final = 120
"""The byte of ``-shm`` that whoever writes has locked (WAL_WRITE_LOCK of SQLite's wal.c)."""

_FLAGS: Final = re.compile(r"-[bBdEiIOPqsSuvx]+")
"""Options of Python that may stand before its script."""


def named(pid: int) -> str:
    """``process 4242 (gswarm)``, or that it is not known which.

    Only the program and its script: arguments may be secret, and an error is kept in logs.
    """
    words: list[str] = []
    if pid > 0:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            words = [process.name()]
            if words[0].startswith("python"):
                words += _script(process.cmdline()[1:])
    return f"process {pid} ({' '.join(words)})" if words else NOBODY_KNOWN


def _script(arguments: list[str]) -> list[str]:
    """What Python was started with: ``-m module``, a script's name, or nothing for ``-c``."""
    for place, word in enumerate(arguments):
        if word == "-m":
            return arguments[place : place + 2]
        if not word.startswith("-"):
            return [Path(word).name]
        if not _FLAGS.fullmatch(word):
            break
    return []


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
