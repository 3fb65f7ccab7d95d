"""The models in one folder of a node: what is there, what is on its way, what goes.

The disk tier and the dram tier are stores alike; see `records` for what lies where, `partial` for
models in flight, and `publication` for how they appear and go. Everything here blocks: it is for
threads. A store may be used by several threads, helpers and users at once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from ..errors import HelperError, Kind
from . import copies, journal, publication, records, space
from .checks import check_metadata, check_name, check_revision
from .files import explained
from .lock import Lock, holder, locked, try_lock, wait_lock
from .manifest import FileEntry, Manifest, Plan
from .partial import Partial
from .records import Layout, Record, now

log = logging.getLogger("gswarm.models")


class Store:
    """The models below `root`; nothing is made there before something is to be written.

    Args:
        root: an absolute path.
        quota: bytes that models may take there, None for no limit but the disk's.
    """

    def __init__(self, root: Path, *, quota: Optional[int] = None) -> None:
        self.root = root
        self.quota = quota
        self.layout = Layout(root)
        self._prepared = False

    # What is there

    def copies(self, tier: str) -> List[Dict[str, Any]]:
        """Every model that is here or on its way, as the map `Copy` of the protocol."""
        ready = [
            copies.of_record(self.layout, record, tier) for record in records.published(self.layout)
        ]
        return ready + [copies.of_partial(*found, tier) for found in self._partials()]

    def copy(self, manifest: Manifest, tier: str) -> Dict[str, Any]:
        """One published model as the map `Copy` of the protocol."""
        return copies.of_record(self.layout, self.record(manifest.name, manifest.revision), tier)

    def record(self, name: str, revision: Optional[str] = None) -> Record:
        """The record of a model; of the revision published last where none is named.

        Raises:
            HelperError: it is not here.
        """
        check_name(name)
        if revision is not None:
            record = records.read(self.layout, name, check_revision(revision))
            if record is None or not record.folder(self.layout).is_dir():
                raise self._not_here(name, revision)
            return record
        found = list(records.published(self.layout, name))
        if not found:
            raise self._not_here(name, None)
        return max(found, key=lambda record: record.manifest.published_at)

    def manifest(self, name: str, revision: Optional[str] = None) -> Manifest:
        """The manifest of a model; of the revision that was published last where none is named.

        Raises:
            HelperError: it is not here.
        """
        return self.record(name, revision).manifest

    def open(self, name: str, revision: Optional[str] = None) -> Tuple[Manifest, Path]:
        """The manifest and the folder of a model whose files are to be used now.

        Raises:
            HelperError: it is not here, or its files are not what was published (mismatch).
        """
        record = self.record(name, revision)
        fault = record.fault(self.layout)
        if fault is not None:
            raise HelperError(
                Kind.MISMATCH,
                f"the files of {name} are not what was published: {fault}",
                where=str(record.folder(self.layout)),
                hint="see which with 'gswarm model verify', then get or adopt the model again",
            )
        records.touch(self.layout, record.manifest.name, record.manifest.revision)
        return record.manifest, record.folder(self.layout)

    def published(self, plan: Plan) -> Optional[Manifest]:
        """The model that `plan` would make, if it is here; its files may be more than the plan's.

        Raises:
            HelperError: what is here under that name and revision has other content (exists).
        """
        revision = plan.known_revision()
        if revision is None:
            return None
        record = records.read(self.layout, plan.name, revision)
        if record is None or record.fault(self.layout) is not None:
            return None
        here = {entry.path: entry for entry in record.manifest.files}
        for file in plan.files:
            entry = here.get(file.path)
            if entry is None or file.size not in (None, entry.size):
                raise self._other_content(record, file.path)
            if file.sha256 not in (None, entry.sha256):
                raise self._other_content(record, file.path)
        return record.manifest

    def used(self) -> int:
        """Bytes that models take here, those in flight included, linked files counted once."""
        published = [
            record.folder(self.layout)
            for record in records.published(self.layout)
            if not record.external
        ]
        files = {
            (info.st_dev, info.st_ino): min(info.st_size, info.st_blocks * 512)
            for info in _files_below([*published, *self.layout.partials.glob("*/files")])
        }
        return sum(files.values())

    def room(self, partial: Partial, count: int) -> int:
        """How many bytes a file of unknown size may grow; raises as `space.Claims.room`."""
        return space.claims.room(partial, count, used=self.used, quota=self.quota)

    # What changes

    def open_partial(
        self,
        plan: Plan,
        *,
        cancelled: Optional[threading.Event] = None,
        links: Optional[Mapping[str, Path]] = None,
    ) -> Partial:
        """Begin to fetch `plan`, or go on where an earlier run stopped.

        Files that are published here already, by their promised sha256, are linked. While another
        process fetches the same plan this waits, if `cancelled` is given.

        Args:
            cancelled: ends the waiting.
            links: files elsewhere on this machine to link to, by the plan's paths.

        Raises:
            HelperError: no room (no_space), somebody else fetches it (in_use), cancelled.
        """
        with self._explaining():
            self.prepare()
            lock = self._lock_partial(plan.id, cancelled)
            try:
                partial = Partial(self, self.layout.partials / plan.id, plan, lock)
            except BaseException:
                lock.release()
                raise
            try:
                for index, file in enumerate(plan.files):
                    if links is not None and partial.missing_of(index):
                        partial.link(index, links[file.path])
                self._link_equal_files(partial)
                partial.on_close = space.claims.admit(partial, used=self.used, quota=self.quota)
            except BaseException:
                partial.close() if partial.done else partial.discard()
                raise
            return partial

    def publish(self, partial: Partial, entries: Iterable[FileEntry]) -> Manifest:
        """Make a partial whose files are all verified a model; raises as `publication.publish`."""
        return publication.publish(self.layout, partial, entries, published_at=now())

    def record_in_place(self, record: Record) -> Manifest:
        """Take a model in that stays in its own folder; raises as `publication.record_in_place`."""
        with self._explaining():
            self.prepare()
            return publication.record_in_place(self.layout, record)

    def delete(self, name: str, revision: Optional[str] = None) -> Tuple[List[str], int]:
        """Remove a model, or all its revisions, and what is on its way of it.

        Returns:
            What was removed, as ``name revision``, and the bytes that this freed.

        Raises:
            HelperError: it is not here; it is being fetched (in_use).
        """
        found = [
            record
            for record in records.published(self.layout, check_name(name))
            if revision in (None, record.manifest.revision)
        ]
        partials = [
            (folder, plan)
            for folder, plan, _ in self._partials()
            if plan.name == name and revision in (None, plan.known_revision())
        ]
        if not found and not partials:
            raise self._not_here(name, revision)
        with self._explaining():
            self.prepare()
            freed = _only_links(
                [record.folder(self.layout) for record in found if not record.external]
            )
            freed += _only_links([folder / "files" for folder, _ in partials])
            removed = [self._delete_partial(folder, plan) for folder, plan in partials]
            with locked(self.layout.lock):
                for record in found:
                    publication.remove(self.layout, record)
                    removed.append(f"{name} {record.manifest.revision}")
            publication.empty_trash(self.layout)
            return removed, freed

    def describe(self, name: str, metadata: Dict[str, Any]) -> List[Manifest]:
        """Update the metadata of every revision of a model; keys that are not given stay.

        Raises:
            HelperError: it is not here.
        """
        check_metadata(metadata)
        changed = []
        with self._explaining():
            if not any(records.published(self.layout, check_name(name))):
                raise self._not_here(name, None)
            self.prepare()
            moment = now()
            with locked(self.layout.lock):
                for record in records.published(self.layout, name):
                    merged = {**record.manifest.metadata, **metadata, "updated_at": moment}
                    manifest = replace(record.manifest, metadata=check_metadata(merged))
                    self._rewrite(record, replace(record, manifest=manifest))
                    changed.append(manifest)
        return changed

    def note_reading(self, record: Record, bad: Iterable[str], *, whole: bool = True) -> None:
        """Note which files of a model were found bad when it was read; none clears it.

        Best effort: the store may be somebody else's, and the model may be gone, or replaced, by
        now.

        Args:
            whole: whether every file was read; else those that are known to be bad stay so.
        """
        name, revision = record.manifest.name, record.manifest.revision
        try:
            self.prepare()
            with locked(self.layout.lock):
                current = records.read(self.layout, name, revision)
                if current is not None and current.is_same(record):
                    at, known = (now(), ()) if whole else (current.read_at, current.bad)
                    reading = records.Reading(at, tuple(sorted({*known, *bad})))
                    self._rewrite(current, replace(current, reading=reading))
        except (HelperError, OSError) as error:
            log.info("what was found of %s is not noted: %s", name, error)

    def prepare(self) -> None:
        """Make the store's own folders, and clean up after a crash; once is enough.

        Raises:
            HelperError, OSError: it cannot be written.
        """
        if self._prepared and self.layout.partials.is_dir():
            return
        for folder in (self.layout.partials, self.layout.manifests):
            folder.mkdir(parents=True, exist_ok=True)
        for line in publication.recover(self.layout):
            log.info("%s: %s", self.root, line)
        self._prepared = True

    # Inside

    def _partials(self) -> Iterator[Tuple[Path, Plan, int]]:
        """Folder, plan and verified bytes of every model in flight."""
        for folder in sorted(self.layout.partials.glob("*")):
            if not (folder / "files").is_dir():
                continue  # just begun, or just published
            try:
                plan = Plan.from_dict(json.loads((folder / "plan.json").read_bytes()))
            except (OSError, ValueError, HelperError):
                continue
            pieces, _ = journal.read(folder / "journal")
            done = sum(piece.length for file in pieces.values() for piece in file.values())
            yield folder, plan, done

    def _lock_partial(self, plan_id: str, cancelled: Optional[threading.Event]) -> Lock:
        folder = self.layout.partials / plan_id
        if cancelled is not None:
            return wait_lock(folder / "lock", cancelled=cancelled, wait_s=None)
        lock = try_lock(folder / "lock")
        if lock is None:
            raise self._being_fetched(folder)
        return lock

    def _link_equal_files(self, partial: Partial) -> None:
        wanted: Dict[str, List[int]] = {}
        for index, file in enumerate(partial.plan.files):
            if file.sha256 is not None and partial.missing_of(index) and not partial.begun(index):
                wanted.setdefault(file.sha256, []).append(index)
        for record in records.published(self.layout) if wanted else ():
            for entry in record.manifest.files:
                for index in wanted.get(entry.sha256, ()) if entry.path not in record.bad else ():
                    path = record.folder(self.layout) / entry.path
                    self._use_equal_file(partial, index, path, entry, record.external)

    def _use_equal_file(
        self, partial: Partial, index: int, path: Path, entry: FileEntry, external: bool
    ) -> None:
        if partial.is_complete(index) or not _is_file_of(path, entry.size):
            return
        if external or not partial.link(index, path):
            partial.twins[index] = path

    def _delete_partial(self, folder: Path, plan: Plan) -> str:
        lock = try_lock(folder / "lock")
        if lock is None:
            raise self._being_fetched(folder)
        try:
            self.layout.throw_away(folder)
        finally:
            lock.release()
        return f"{plan.name} {plan.known_revision() or ''} (partial)"

    def _rewrite(self, old: Record, new: Record) -> None:
        """Write a record anew; when the model was last used stays as it is."""
        path = self.layout.record(old.manifest.name, old.manifest.revision)
        used = path.stat()
        records.write(self.layout, new)
        os.utime(path, ns=(used.st_atime_ns, used.st_mtime_ns))

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        """Make what the system refuses an error for the user."""
        try:
            yield
        except OSError as error:
            raise explained(error, where=self.root) from error

    def _not_here(self, name: str, revision: Optional[str]) -> HelperError:
        what = name if revision is None else f"{name} {revision}"
        return HelperError(Kind.NOT_FOUND, f"{what} is not here", where=str(self.root))

    def _being_fetched(self, folder: Path) -> HelperError:
        return HelperError(
            Kind.IN_USE,
            f"it is being fetched by {holder(folder / 'lock')}",
            where=str(self.root),
            hint="cancel that, or wait until it is done",
        )

    def _other_content(self, record: Record, path: str) -> HelperError:
        manifest = record.manifest
        return HelperError(
            Kind.EXISTS,
            f"{manifest.name} {manifest.revision} is here with other content: {path} differs",
            where=str(record.folder(self.layout)),
            hint="delete it first, or take another name",
        )


def _files_below(folders: Iterable[Path]) -> Iterator[os.stat_result]:
    for top in folders:
        for folder, _, names in os.walk(top):
            for name in names:
                with contextlib.suppress(OSError):
                    yield Path(folder, name).lstat()


def _only_links(folders: Iterable[Path]) -> int:
    """Bytes of the files below the folders that have no hard link anywhere else."""
    links: Dict[Tuple[int, int], int] = {}
    freed = 0
    for info in _files_below(folders):
        inode = (info.st_dev, info.st_ino)
        links[inode] = links.get(inode, 0) + 1
        if links[inode] == info.st_nlink:
            freed += info.st_size
    return freed


def _is_file_of(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
