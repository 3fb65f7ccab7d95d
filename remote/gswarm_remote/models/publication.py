"""How a model appears in a store, how it goes, and what is cleaned up after a crash.

Publication, with everything fsynced before the next step:

1. the files are whole, verified and read-only in ``partial/<plan id>/files``
2. the record is written; without its folder it means nothing
3. the folder is renamed into place: from this moment the model is there
4. what is left of the partial is removed

A crash before 3 leaves a partial whose pieces are all verified, which the next run publishes
without fetching, and at most a record without a folder, which nobody counts and `recover` removes.
Where a copy with bad or lost files is replaced, that one is set aside before 3 and its record is
written after 3: until then it says what is bad. Nothing that was good is lost by a crash in
between, for `recover` puts the old folder back.

Removal goes the other way: the folder is renamed into the trash, then the record goes, then the
bytes.

All of it is done by the holder of the store's lock, but for the removal of bytes from the trash.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from pathlib import Path
from typing import Iterable, List, Optional

from ..errors import HelperError, Kind
from . import records
from .files import make_read_only, sync_folder, sync_tree
from .lock import locked, try_lock
from .manifest import FileEntry, Manifest, content_revision
from .partial import Partial
from .records import Layout, Record


def publish(
    layout: Layout, partial: Partial, entries: Iterable[FileEntry], *, published_at: str
) -> Manifest:
    """Make the verified files of `partial` a model of the store; `partial` is used up.

    Returns:
        The manifest that is published: an earlier one where the model is there already.

    Raises:
        HelperError: other content is there under this name and revision (exists).
        OSError: a step failed; the partial is whole, and publishing can be tried again.
    """
    manifest = _seal(partial, tuple(entries), published_at)
    _make_durable(partial)
    folder = layout.folder(manifest.name, manifest.revision)
    with locked(layout.lock):
        existing = already(layout, manifest)
        if existing is None:
            broken = _is_broken(layout, manifest)
            _refuse_foreign(layout, manifest, broken=broken)
            if broken:
                _replace(layout, partial, manifest)
            else:
                records.write(layout, Record(manifest))
                folder.parent.mkdir(exist_ok=True)
                partial.files.rename(folder)
            for changed in (folder.parent, layout.root, partial.folder):
                sync_folder(changed)
    partial.discard()
    empty_trash(layout)
    return existing or manifest


def record_in_place(layout: Layout, record: Record) -> Manifest:
    """Make a model of files that stay in somebody's own folder.

    Raises:
        HelperError: other content is there under this name and revision (exists).
        OSError: the record cannot be written.
    """
    with locked(layout.lock):
        existing = already(layout, record.manifest)
        if existing is None:
            records.write(layout, record)
    return existing or record.manifest


def already(layout: Layout, manifest: Manifest) -> Optional[Manifest]:
    """The model that is there with this name and revision, if it is the same and whole.

    Raises:
        HelperError: it is not the same (exists).
    """
    record = records.read(layout, manifest.name, manifest.revision)
    if record is None or not record.folder(layout).is_dir():
        return None
    same = record.manifest.hash == manifest.hash
    if (same or record.external) and record.fault(layout) is not None:
        return None  # files are gone, or their owner changed them: it is to be replaced
    if same:
        return record.manifest
    raise HelperError(
        Kind.EXISTS,
        f"{manifest.name} {manifest.revision} is here with other content"
        f" ({len(record.manifest.files)} files, sha256:{record.manifest.hash[:12]})",
        where=str(record.folder(layout)),
        hint="delete it first, or take another name",
    )


def remove(layout: Layout, record: Record) -> None:
    """Take a model out of the store; the bytes go when the trash is emptied.

    The files of a model that was adopted in place are not touched. The caller holds the lock.

    Raises:
        OSError: a step failed; the model is there as before, or gone.
    """
    name, revision = record.manifest.name, record.manifest.revision
    folder = layout.folder(name, revision)
    if not record.external and folder.is_dir():
        _to_trash(layout, folder)
    with contextlib.suppress(FileNotFoundError):
        layout.record(name, revision).unlink()
    for parent in (folder.parent, layout.record(name, revision).parent):
        with contextlib.suppress(OSError):  # other revisions are there
            parent.rmdir()


def empty_trash(layout: Layout) -> bool:
    """Remove the bytes of what was taken out; what cannot be removed is left for the next time.

    Returns:
        Whether there was anything.
    """
    rubbish = list(layout.trash.glob("*"))
    for folder in rubbish:
        shutil.rmtree(folder, ignore_errors=True)
    return bool(rubbish)


def recover(layout: Layout) -> List[str]:
    """Clean up after a helper that died in the middle; returns what was done, in words.

    Nothing is removed where the filesystem has no locks: there somebody may be in the middle of it.

    Raises:
        OSError: the store cannot be written.
    """
    done: List[str] = []
    with locked(layout.lock) as lock:
        if not lock.real:
            return done
        for aside in layout.aside.glob("*/*"):
            if _settle(layout, aside):
                done.append(f"put {aside.parent.name} {aside.name} back, which was to be replaced")
        for name, revision in records.names(layout):
            record = records.read(layout, name, revision)
            if record is not None and not record.external and not record.folder(layout).is_dir():
                remove(layout, record)
                done.append(f"removed the record of {name} {revision}, whose folder is not there")
        for half in layout.manifests.glob("*/*.new"):  # records are written by the lock's holder
            half.unlink()
        for name in _drop_published_partials(layout):
            done.append(f"removed what was left of the transfer {name}")
    if empty_trash(layout):
        done.append("emptied the trash")
    return done


def _to_trash(layout: Layout, folder: Path) -> None:
    layout.trash.mkdir(parents=True, exist_ok=True)
    folder.rename(layout.trash / uuid.uuid4().hex)
    sync_folder(folder.parent)


def _is_broken(layout: Layout, manifest: Manifest) -> bool:
    """Whether ours is there, of which files are bad or lost, or whose record cannot be read."""
    key = manifest.name, manifest.revision
    record = records.read(layout, *key)
    is_ours = layout.record(*key).exists() if record is None else not record.external
    return is_ours and layout.folder(*key).is_dir()


def _replace(layout: Layout, partial: Partial, manifest: Manifest) -> None:
    """Put the files of `partial` in the place of a broken copy, which stays where that fails."""
    folder = layout.folder(manifest.name, manifest.revision)
    aside = layout.aside / manifest.name / manifest.revision
    aside.parent.mkdir(parents=True, exist_ok=True)
    sync_folder(layout.aside)
    folder.rename(aside)
    try:
        for changed in (aside.parent, folder.parent):
            sync_folder(changed)
        partial.files.rename(folder)
        records.write(layout, Record(manifest))
    finally:
        _settle(layout, aside)


def _settle(layout: Layout, aside: Path) -> bool:
    """End what a copy was set aside for; whether it is back, because nothing replaced it."""
    folder = layout.folder(aside.parent.name, aside.name)
    back = not folder.exists()
    if back:
        aside.rename(folder)
    else:
        _to_trash(layout, aside)
    with contextlib.suppress(OSError):  # others are there
        aside.parent.rmdir()
    return back


def _seal(partial: Partial, entries: tuple[FileEntry, ...], published_at: str) -> Manifest:
    plan = partial.plan
    return Manifest(
        name=plan.name,
        revision=plan.revision or content_revision(entries),
        source=plan.source,
        files=entries,
        published_at=published_at,
        metadata=plan.metadata,
    )


def _make_durable(partial: Partial) -> None:
    for index in range(len(partial.plan.files)):
        if not partial.is_linked(index):  # a linked file's mode is its owner's
            make_read_only(partial.path(index))
    sync_tree(partial.files)


def _refuse_foreign(layout: Layout, manifest: Manifest, *, broken: bool) -> None:
    """A folder of that name that somebody else made is not ours to write in.

    Args:
        broken: whether the folder of that revision is ours, and to be replaced.
    """
    folder = layout.root / manifest.name
    try:
        there = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return
    except NotADirectoryError:
        there = {"(a file)"}
    ours = {revision for _, revision in records.names(layout, manifest.name)}
    strangers = sorted(there - ours)
    if strangers or (manifest.revision in there and not broken):
        raise HelperError(
            Kind.EXISTS,
            f"{folder} is there already and is not gswarm's: it holds"
            f" {(strangers or [manifest.revision])[0]!r}",
            where=str(folder),
            hint="take another name for the model, or adopt that folder: gswarm model scan",
        )


def _drop_published_partials(layout: Layout) -> List[str]:
    """Remove partials whose files were renamed into place, and that nobody holds; their names."""
    dropped = []
    for folder in layout.partials.glob("*"):
        if (folder / "files").exists() or not folder.is_dir():
            continue
        lock = try_lock(folder / "lock")
        if lock is None:
            continue
        try:
            if not (folder / "files").exists():
                layout.throw_away(folder)
                dropped.append(folder.name)
        finally:
            lock.release()
    return dropped
