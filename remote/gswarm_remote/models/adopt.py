"""Taking models in that are on the machine already: by copy, by hard link, or where they are.

Whatever way, every file is hashed, and nothing is written into the folder that they come from. A
hard link shares the file itself with its owner: who edits it in place there edits the model, and
verification says so. In place, only a record is made: a file that is changed later makes the model
``changed``, and it is not served any more.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from ..errors import HelperError, Kind
from ..transfer.progress import Report
from .checks import invalid
from .files import Digest
from .folder import Source, check_unchanged, digests, files_of
from .manifest import FileEntry, Manifest, Plan, PlanFile, content_revision
from .records import Record, now
from .stage import copy_files
from .store import Store

LINK, IN_PLACE, AUTO = "link", "in_place", "auto"


@dataclass(frozen=True)
class Found:
    """What is to become a model.

    Args:
        place: a folder, or a single file.
        name: the model's name.
        revision: None for the content's digest.
        source: as the user knows it; ``file://PLACE`` where that is empty.
        metadata: type, description, tags, requirements.
    """

    place: Path
    name: str
    revision: Optional[str] = None
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.place.is_absolute():
            raise invalid(f"{str(self.place)!r} is not an absolute path")

    def plan(self, found: Mapping[str, Digest]) -> Plan:
        """The plan for these files."""
        return Plan(
            name=self.name,
            revision=self.revision,
            source=self.source or f"file://{self.place}",
            files=tuple(PlanFile(path, d.size, d.sha256) for path, d in sorted(found.items())),
            metadata=self.metadata,
        )


def copy_in(store: Store, found: Found, *, report: Report, cancelled: threading.Event) -> Manifest:
    """Hash the files, copy them, verify the copy, publish. Already here, nothing is copied.

    Raises:
        HelperError: they cannot be read, or change meanwhile (mismatch); no room; cancelled.
    """
    sources = files_of(found.place)
    plan = found.plan(digests(sources, report=report, cancelled=cancelled))
    manifest = store.published(plan)
    if manifest is not None:
        return manifest
    paths = {path: source.path for path, source in sources.items()}
    return copy_files(store, plan, paths, report=report, cancelled=cancelled)


def adopt(
    store: Store, found: Found, how: str, *, report: Report, cancelled: threading.Event
) -> Manifest:
    """Hash the files, and take them in without copying.

    Args:
        how: `LINK`, `IN_PLACE`, or `AUTO`, which links where that can be.

    Raises:
        HelperError: they cannot be read or linked, or change meanwhile (mismatch); cancelled.
    """
    if how not in (LINK, IN_PLACE, AUTO):
        raise invalid(f"{how!r:.40} is no way to adopt", hint="link, in_place or auto")
    sources = files_of(found.place)
    obstacle = None if how == IN_PLACE else _obstacle(store, sources)
    if how == LINK and obstacle is not None:
        raise HelperError(
            Kind.UNSUPPORTED,
            f"the files cannot be linked: {obstacle}",
            where=str(found.place),
            hint="adopt in place, or import them, which copies",
        )
    plan = found.plan(digests(sources, report=report, cancelled=cancelled))
    manifest = store.published(plan)
    if manifest is not None:
        return manifest
    entries = plan.entries()
    assert entries is not None
    if how == IN_PLACE or obstacle is not None:
        return store.record_in_place(_record(found, plan, entries, sources))
    return _link(store, plan, entries, sources, cancelled)


def _link(
    store: Store,
    plan: Plan,
    entries: Tuple[FileEntry, ...],
    sources: Mapping[str, Source],
    cancelled: threading.Event,
) -> Manifest:
    links = {path: source.path for path, source in sources.items()}
    with store.open_partial(plan, cancelled=cancelled, links=links) as partial:
        for index, file in enumerate(plan.files):
            check_unchanged(sources[file.path])
            if not partial.is_complete(index):
                partial.discard()
                raise HelperError(
                    Kind.UNSUPPORTED,
                    "the file cannot be linked",
                    where=str(sources[file.path].path),
                    hint="adopt in place, or import the folder, which copies",
                )
        return store.publish(partial, entries)


def _record(
    found: Found, plan: Plan, entries: Tuple[FileEntry, ...], sources: Mapping[str, Source]
) -> Record:
    folder = found.place if found.place.is_dir() else found.place.parent
    manifest = Manifest(
        name=plan.name,
        revision=plan.revision or content_revision(entries),
        source=plan.source,
        files=entries,
        published_at=now(),
        location=str(folder),
        metadata=plan.metadata,
    )
    stamps: Dict[str, Tuple[int, int]] = {
        path: (source.size, source.mtime_ns) for path, source in sources.items()
    }
    return Record(manifest, stamps)


def _obstacle(store: Store, sources: Mapping[str, Source]) -> Optional[str]:
    """Why the files cannot be hard-linked into the store, or None."""
    store.prepare()
    for source in sources.values():
        if source.owner != os.geteuid():
            return f"{source.path} is another user's"
        if source.device != store.root.stat().st_dev:
            return f"{source.path} is on another filesystem"
    probe = store.layout.own / f"probe-{uuid.uuid4().hex}"
    try:
        os.link(next(iter(sources.values())).path, probe)
    except OSError as error:
        return str(error.strerror)
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return None
