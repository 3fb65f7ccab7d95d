"""Small JSON files that say what runs: written whole or not at all, 0600."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

log = logging.getLogger("gswarm.records")


def write(path: Path, content: Dict[str, Any]) -> None:
    """Replace the record; after a crash there is the old one or the new one."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def read_all(folder: Path) -> Iterator[Tuple[Path, Dict[str, Any]]]:
    """Every record in a folder; one that is damaged is logged and left where it is."""
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("no JSON object")
        except (OSError, ValueError) as error:
            log.warning("the record %s cannot be read: %s", path, error)
            continue
        yield path, content
