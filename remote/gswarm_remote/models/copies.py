"""What a controller is told of one model in one tier: the map `Copy` of node.status and model.*."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Dict

from . import records
from .manifest import Plan
from .records import Layout, Record

READY = "ready"
PARTIAL = "partial"
CREDENTIALS = "credentials"
"""What a model in flight waits for whose source has to be asked with some."""

_NEEDS_CREDENTIALS = "needs-credentials"

CHANGED = "changed"
"""Adopted in place, and not what it was then any more."""

DAMAGED = "damaged"
"""Files were found that are not what was published: the next fetch replaces them."""

MOST_DAMAGED = 20
"""Paths of bad files that a copy names: status is asked for every few seconds."""


def of_record(layout: Layout, record: Record, tier: str) -> Dict[str, Any]:
    """The copy that a record stands for, whose folder is there."""
    manifest = record.manifest
    state = READY
    if record.external and record.fault(layout) is not None:
        state = CHANGED
    elif record.bad:
        state = DAMAGED
    return {
        "name": manifest.name,
        "revision": manifest.revision,
        "tier": tier,
        "state": state,
        "size": manifest.size,
        "hash": manifest.hash,
        "path": str(record.folder(layout)),
        "files": len(manifest.files),
        "done": manifest.size,
        "waiting": None,
        "source": manifest.source,
        "published_at": manifest.published_at,
        "last_accessed": records.last_accessed(layout, record),
        "verified_at": record.read_at,
        "damaged": list(record.bad[:MOST_DAMAGED]),
        "metadata": dict(manifest.metadata),
        "external": record.external,
    }


def note_credentials(folder: Path, *, needed: bool) -> None:
    """Note with a model in flight whether its source is asked with credentials.

    They die with the helper: without them nobody but a controller that brings some can go on.

    Raises:
        OSError: it cannot be noted.
    """
    marker = folder / _NEEDS_CREDENTIALS
    if needed:
        marker.touch()
    else:
        with contextlib.suppress(FileNotFoundError):
            marker.unlink()


def of_partial(folder: Path, plan: Plan, done: int, tier: str) -> Dict[str, Any]:
    """The copy that a model in flight will be; `done` bytes of it are verified."""
    return {
        "name": plan.name,
        "revision": plan.known_revision(),
        "tier": tier,
        "state": PARTIAL,
        "size": plan.size,
        "hash": None,
        "path": str(folder / "files"),
        "files": len(plan.files),
        "done": done,
        "waiting": CREDENTIALS if (folder / _NEEDS_CREDENTIALS).exists() else None,
        "source": plan.source,
        "published_at": None,
        "last_accessed": None,
        "verified_at": None,
        "damaged": [],
        "metadata": dict(plan.metadata),
        "external": False,
    }
