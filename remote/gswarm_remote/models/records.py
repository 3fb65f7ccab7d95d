"""What a store has written down about its models, and where everything in a store is.

::

    <store>/<name>/<revision>/...                      a published model: its files
    <store>/.gswarm/manifests/<name>/<revision>.json   its record
    <store>/.gswarm/partial/<plan id>/                 models in flight
    <store>/.gswarm/aside/<name>/<revision>/           what is being replaced
    <store>/.gswarm/trash/                             what is being removed
    <store>/.gswarm/lock

A model is there when both its record and its folder are. The record's modification time is when the
model was last used.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ..errors import HelperError
from .checks import RESERVED, check_map, check_text, invalid
from .files import write_durably
from .manifest import Manifest

log = logging.getLogger("gswarm.models")

FORMAT = 1

_MAX_KEPT = 128  # of a large model a record takes some 100 kB
_Version = Tuple[int, int, int]
_kept: Dict[Path, Tuple[_Version, Optional[Record]]] = {}  # status asks for all of them
_guard = threading.Lock()

Stamp = Tuple[int, int]
"""Size in bytes and modification time in ns: how a changed file is told without reading it."""


@dataclass(frozen=True)
class Layout:
    """Where things are in the store at `root`."""

    root: Path

    @property
    def own(self) -> Path:
        return self.root / RESERVED

    @property
    def lock(self) -> Path:
        return self.own / "lock"

    @property
    def partials(self) -> Path:
        return self.own / "partial"

    @property
    def aside(self) -> Path:
        return self.own / "aside"

    @property
    def trash(self) -> Path:
        return self.own / "trash"

    @property
    def manifests(self) -> Path:
        return self.own / "manifests"

    def throw_away(self, folder: Path) -> None:
        """Make a folder disappear at once, and then its bytes; what cannot be removed stays in the
        trash.

        Raises:
            OSError: it is still there.
        """
        self.trash.mkdir(parents=True, exist_ok=True)
        rubbish = self.trash / uuid.uuid4().hex
        folder.rename(rubbish)
        shutil.rmtree(rubbish, ignore_errors=True)

    def record(self, name: str, revision: str) -> Path:
        return self.manifests / name / f"{revision}.json"

    def folder(self, name: str, revision: str) -> Path:
        return self.root / name / revision


@dataclass(frozen=True)
class Reading:
    """What was found when every file of a model was last read again.

    Args:
        at: as `timestamp` writes it.
        bad: paths of the files that were not what was published.
    """

    at: str
    bad: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """A manifest as it lies in a store, and for a model adopted in place a stamp for each path.

    Args:
        reading: None where its files were not read since they were published or adopted.
    """

    manifest: Manifest
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    reading: Optional[Reading] = None

    @property
    def external(self) -> bool:
        """Whether the files are in somebody's own folder."""
        return self.manifest.location is not None

    @property
    def bad(self) -> Tuple[str, ...]:
        """The paths of the files that were found bad, and not replaced since."""
        return self.reading.bad if self.reading is not None else ()

    @property
    def read_at(self) -> str:
        """When every file was last read, as `timestamp` writes it."""
        return self.manifest.published_at if self.reading is None else self.reading.at

    def is_same(self, other: Record) -> bool:
        """Whether it is of the same files on disk, and none of them was replaced in between."""
        one, two = self.manifest, other.manifest
        return (one.hash, one.published_at) == (two.hash, two.published_at)

    def folder(self, layout: Layout) -> Path:
        """Where the files are."""
        if self.manifest.location is not None:
            return Path(self.manifest.location)
        return layout.folder(self.manifest.name, self.manifest.revision)

    def fault(self, layout: Layout) -> Optional[str]:
        """What is wrong with the files as far as can be told without reading them, or None."""
        for path in self.bad:
            return f"{path} was found damaged"
        folder = self.folder(layout)
        for entry in self.manifest.files:
            try:
                info = (folder / entry.path).stat()
            except OSError as error:
                return f"{entry.path}: {error.strerror}"
            if info.st_size != entry.size:
                return f"{entry.path} has {info.st_size} bytes, not {entry.size}"
            stamp = self.stamps.get(entry.path)
            if stamp is not None and stamp[1] != info.st_mtime_ns:
                return f"{entry.path} was modified since it was adopted"
        return None

    def to_bytes(self) -> bytes:
        values: Dict[str, Any] = {
            "format": FORMAT,
            "manifest": self.manifest.to_dict(),
            "stamps": {path: list(stamp) for path, stamp in self.stamps.items()},
        }
        if self.reading is not None:
            values["reading"] = {"at": self.reading.at, "bad": list(self.reading.bad)}
        return json.dumps(values, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """Read a record; raises `HelperError` where it is not one."""
        try:
            values = check_map(json.loads(data), "a record")
        except (ValueError, RecursionError) as error:
            raise invalid(f"the record is not JSON: {error}") from None
        if values.get("format") != FORMAT:
            raise invalid(f"the record has the format {values.get('format')!r:.40}, not {FORMAT}")
        manifest, stamps = Manifest.from_dict(values.get("manifest")), _stamps(values.get("stamps"))
        return cls(manifest, stamps, _reading(values.get("reading"), manifest))


def _stamps(data: object) -> Dict[str, Stamp]:
    stamps = {}
    for path, stamp in check_map(data, "stamps").items():
        if not isinstance(stamp, list) or [type(number) for number in stamp] != [int, int]:
            raise invalid("a stamp is a size and a time")
        stamps[path] = (stamp[0], stamp[1])
    return stamps


def _reading(data: object, manifest: Manifest) -> Optional[Reading]:
    """What was found, of the files that the model has."""
    if data is None:
        return None
    values = check_map(data, "a reading")
    bad = values.get("bad")
    if not isinstance(bad, list):
        raise invalid("a reading is a time and a list of paths")
    paths = {path for path in bad if isinstance(path, str)}
    found = tuple(entry.path for entry in manifest.files if entry.path in paths)
    return Reading(check_text(values.get("at"), "the time of a reading"), found)


def write(layout: Layout, record: Record) -> None:
    """Write a record durably; raises `OSError`."""
    path = layout.record(record.manifest.name, record.manifest.revision)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, record.to_bytes())


def read(layout: Layout, name: str, revision: str) -> Optional[Record]:
    """The record of a model, whether or not its folder is there; None where there is none to use.

    A damaged record is passed over and named in the helper's log: its model is not served.
    """
    path = layout.record(name, revision)
    try:
        info = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    version = info.st_ino, info.st_mtime_ns, info.st_size
    kept = _kept.get(path)
    if kept is None or kept[0] != version:
        kept = version, _parse(path)
        _keep(path, kept)
    return kept[1]


def _keep(path: Path, kept: Tuple[_Version, Optional[Record]]) -> None:
    """Remember what a record says, and let go of the one that was remembered first."""
    with _guard:
        _kept.pop(path, None)
        while len(_kept) >= _MAX_KEPT:
            del _kept[next(iter(_kept))]
        _kept[path] = kept


def _parse(path: Path) -> Optional[Record]:
    try:
        record = Record.from_bytes(path.read_bytes())
    except (OSError, HelperError) as error:
        log.warning("%s is passed over: %s", path, error)
        return None
    if (record.manifest.name, record.manifest.revision) != (path.parent.name, path.stem):
        log.warning("%s is passed over: it is the record of another model", path)
        return None
    return record


def names(layout: Layout, name: Optional[str] = None) -> List[Tuple[str, str]]:
    """Name and revision of every record, or of those of one model."""
    pattern = f"{name or '*'}/*.json"
    return sorted((path.parent.name, path.stem) for path in layout.manifests.glob(pattern))


def published(layout: Layout, name: Optional[str] = None) -> Iterator[Record]:
    """The records whose folder is there: the models of a store, or the revisions of one."""
    for key in names(layout, name):
        record = read(layout, *key)
        if record is not None and record.folder(layout).is_dir():
            yield record


def last_accessed(layout: Layout, record: Record) -> Optional[str]:
    path = layout.record(record.manifest.name, record.manifest.revision)
    try:
        return timestamp(path.stat().st_mtime)
    except OSError:
        return None


def touch(layout: Layout, name: str, revision: str) -> None:
    """Note that a model is used now, where its record is ours to touch; best effort."""
    try:
        os.utime(layout.record(name, revision))
    except OSError as error:
        log.info("the use of %s is not noted: %s", name, error)


def now() -> str:
    """The `timestamp` of this moment."""
    return timestamp(time.time())


def timestamp(seconds: float) -> str:
    """ISO 8601 in UTC with milliseconds: as text it sorts by time."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
