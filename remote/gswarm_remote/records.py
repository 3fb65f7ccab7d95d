"""Small JSON files that describe what runs: written whole or not at all, 0600.

A record is a cache of what /proc knows. Only the one before a process is started must be written,
because the next helper finds the process by it. If a later one cannot be written, that is logged.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

from .errors import HelperError
from .faults import explained

log = logging.getLogger("gswarm.records")


def write(path: Path, content: Dict[str, Any]) -> None:
    """Replace the record; after a crash there is the old one or the new one.

    Raises:
        HelperError: `Kind.NO_SPACE` or what else the system said.
    """
    temporary = path.with_suffix(".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        fault = explained(error, "a record of what runs cannot be written")
        fault.where = str(path)
        raise fault from error


def keep(path: Path, content: Dict[str, Any]) -> None:
    """Replace the record if that can be done; see above."""
    try:
        write(path, content)
    except HelperError as error:
        log.warning("%s: %s; the older record stays", path, error)


def remove(path: Path) -> None:
    """Remove the record; one that stays is of a process that is gone, which is noticed."""
    try:
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("%s cannot be removed: %s", path, error)


def read_all(folder: Path) -> Iterator[Tuple[Path, Dict[str, Any]]]:
    """Every record in a folder; one that is damaged is logged and left where it is."""
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("no JSON object")
        except (OSError, ValueError, RecursionError) as error:
            log.warning("the record %s cannot be read: %s", path, error)
            continue
        yield path, content
