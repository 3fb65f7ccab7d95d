"""Which filesystem a folder is on: SQLite's write-ahead log does not work on one of the network."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mountinfo")
"""Linux only; where there is none (macOS), no filesystem counts as one of the network."""

NETWORK: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "davfs", "fuse.davfs2"),
        *("fuse.sshfs", "sshfs", "fuse.rclone", "fuse.s3fs", "fuse.goofys", "fuse.gcsfuse"),
        *("ceph", "fuse.ceph", "glusterfs", "fuse.glusterfs", "lustre", "gpfs", "beegfs"),
        *("fhgfs", "panfs", "pvfs2", "orangefs", "wekafs", "fuse.juicefs", "ocfs2", "gfs2"),
        # Folders that a virtual machine or WSL has from the machine beneath it, which writes too.
        *("9p", "virtiofs", "vboxsf"),
    }
)
"""Types of filesystems that several machines can write at once, one of them perhaps virtual."""


def network_filesystem(folder: Path, *, mounts: Path | None = None) -> str | None:
    """The type of the network filesystem that ``folder`` is on, ``nfs4``; None for a local one.

    Args:
        folder: it need not be there yet.
        mounts: a file in the form of /proc/self/mountinfo, which is the default; proc(5).
    """
    try:
        lines = (mounts or MOUNTS).read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    resolved = os.path.realpath(folder)
    best, kind = "", None
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = _unescaped(fields[4])
        covers = resolved == point or resolved.startswith(point.rstrip("/") + "/")
        # The later of two on one mount point covers the earlier.
        if covers and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind if kind in NETWORK else None


def _unescaped(text: str) -> str:
    r"""The kernel writes a space as ``\040``, and so with tab, line feed and backslash."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
