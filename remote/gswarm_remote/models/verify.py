"""Reading a model's every byte again, to see whether it is still what was published."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple, Union

from ..transfer.progress import Report
from . import records
from .files import Digest
from .folder import digest_all
from .manifest import FileEntry
from .records import Record
from .store import Store


def verify(
    store: Store,
    name: str,
    revision: Optional[str],
    *,
    report: Report,
    cancelled: threading.Event,
) -> Dict[str, Any]:
    """Hash every file of a model.

    Returns:
        ``{ok, revision, bad: [{path, reason}], shared_with: [names]}``: the last are the models in
        the store that share a bad file by a hard link, and so are bad themselves.

    Raises:
        HelperError: it is not here; cancelled.
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
    reasons = {path: _fault(entries[path], digest) for path, digest in digests.items()}
    bad = [{"path": path, "reason": reason} for path, reason in reasons.items() if reason]
    return {
        "ok": not bad,
        "revision": record.manifest.revision,
        "bad": bad,
        "shared_with": _sharers(store, record, [folder / str(fault["path"]) for fault in bad]),
    }


def _fault(entry: FileEntry, digest: Union[Digest, OSError]) -> Optional[str]:
    if isinstance(digest, OSError):
        return f"it cannot be read: {digest.strerror}"
    if digest.size != entry.size:
        return f"it has {digest.size} bytes, {entry.size} were published"
    if digest.sha256 != entry.sha256:
        return f"its sha256 is {digest.sha256}, {entry.sha256} was published"
    return None


def _sharers(store: Store, record: Record, bad: List[Path]) -> List[str]:
    inodes: Set[Tuple[int, int]] = {inode for path in bad for inode in _inode(path)}
    names = set()
    for other in records.published(store.layout) if inodes else ():
        if other.manifest.hash == record.manifest.hash and other == record:
            continue
        folder = other.folder(store.layout)
        for entry in other.manifest.files:
            if inodes.intersection(_inode(folder / entry.path)):
                names.add(f"{other.manifest.name} {other.manifest.revision}")
    return sorted(names)


def _inode(path: Path) -> List[Tuple[int, int]]:
    try:
        info = path.stat()
    except OSError:
        return []
    return [(info.st_dev, info.st_ino)]
