"""Reading a model's every byte again, to see whether it is still what was published."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple, Union

from ..transfer.progress import Report
from . import records
from .files import Digest, explained
from .folder import digest_all
from .manifest import FileEntry
from .records import Record
from .store import Store

_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # what a file's reading fails with, and is fine


def verify(
    store: Store,
    name: str,
    revision: Optional[str],
    *,
    report: Report,
    cancelled: threading.Event,
) -> Dict[str, Any]:
    """Hash every file of a model, and note with it (and with who shares a bad file) what was found.

    Returns:
        ``{ok, revision, bad: [{path, reason}], shared_with: [names]}``: the last are the models in
        the store that share a bad file by a hard link, and so are bad themselves.

    Raises:
        HelperError: it is not here; cancelled; this process may not open more files.
    """
    record = store.record(name, revision)
    folder = record.folder(store.layout)
    entries = {entry.path: entry for entry in record.manifest.files}
    digests = digest_all(
        {path: folder / path for path in entries},
        total=record.manifest.size,
        phase="verify",
        report=report,
        cancelled=cancelled,
    )
    for digest in digests.values():
        if isinstance(digest, OSError) and digest.errno in _OURS:
            raise explained(digest, where=folder) from digest
    reasons = {path: _fault(entries[path], digest) for path, digest in digests.items()}
    bad = {path: reason for path, reason in reasons.items() if reason}
    store.note_reading(record, bad)
    sharers = _sharers(store, record, [folder / path for path in bad])
    for other, paths in sharers:
        store.note_reading(other, paths, whole=False)
    return {
        "ok": not bad,
        "revision": record.manifest.revision,
        "bad": [{"path": path, "reason": reason} for path, reason in bad.items()],
        "shared_with": sorted(f"{o.manifest.name} {o.manifest.revision}" for o, _ in sharers),
    }


def _fault(entry: FileEntry, digest: Union[Digest, OSError]) -> Optional[str]:
    if isinstance(digest, OSError):
        return f"it cannot be read: {digest.strerror}"
    if digest.size != entry.size:
        return f"it has {digest.size} bytes, {entry.size} were published"
    if digest.sha256 != entry.sha256:
        return f"its sha256 is {digest.sha256}, {entry.sha256} was published"
    return None


def _sharers(store: Store, record: Record, bad: List[Path]) -> List[Tuple[Record, List[str]]]:
    """The other models whose files are the same bytes on disk, each with their paths there."""
    inodes: Set[Tuple[int, int]] = {inode for path in bad for inode in _inode(path)}
    current = records.read(store.layout, record.manifest.name, record.manifest.revision)
    if current is None or not current.is_same(record):
        return []  # it was replaced meanwhile: these are not the files that were read
    found = []
    for other in records.published(store.layout) if inodes else ():
        if other.manifest == record.manifest:
            continue
        folder = other.folder(store.layout)
        paths = [
            e.path for e in other.manifest.files if inodes.intersection(_inode(folder / e.path))
        ]
        if paths:
            found.append((other, paths))
    return found


def _inode(path: Path) -> List[Tuple[int, int]]:
    try:
        info = path.stat()
    except OSError:
        return []
    return [(info.st_dev, info.st_ino)]
