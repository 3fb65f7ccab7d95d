"""Files that are replaced: a reader sees the old content or the new, and never half of one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def beside(path: Path) -> Path:
    """Where this process writes what is to become `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}")


def write(path: Path, content: bytes) -> None:
    """Replace `path` by `content`; nothing is left over where that fails.

    Raises:
        OSError: it cannot be written; the old content is there.
    """
    new = beside(path)
    try:
        new.write_bytes(content)
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
