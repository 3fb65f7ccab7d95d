"""flock(2) as every lock here uses it: without waiting, and without failing if unsupported.

The system releases a flock when the process that holds its descriptor has ended, and every process
that inherited it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import Optional, Set

log = logging.getLogger("gswarm.locks")

_UNSUPPORTED = (
    *(errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL),
    errno.EBADF,  # flock(2): NFS locks only what is open for writing, and another user's is not
)
_said: Set[int] = set()


def flock(descriptor: int, path: Path, *, shared: bool = False) -> Optional[bool]:
    """Lock what is open.

    Returns:
        True where it is locked, False where the filesystem has no locks (which is logged once),
        None where somebody else has it.

    Raises:
        OSError: anything else.
    """
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        device = os.fstat(descriptor).st_dev
        if device not in _said:
            _said.add(device)
            log.warning("%s: this filesystem has no locks (%s); going on without", path, error)
        return False
    return True


def is_still(descriptor: int, path: Path) -> bool:
    """Whether what is open is what the path names: its last holder may have removed the file."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
