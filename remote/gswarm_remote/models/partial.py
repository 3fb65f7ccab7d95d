"""A model in flight: its files as far as they are here, and a journal of the verified pieces.

::

    <store>/.gswarm/partial/<plan id>/
        lock       held by the one process that writes here
        plan.json  what is promised about each file (never a URL)
        journal    the verified pieces: fsynced, with our checksum
        needs-credentials   there where the source was asked with some: nothing of what they are
        files/     the files; renamed to <store>/<name>/<revision> when whole and verified

Any number of threads may write different pieces at once; `piece` says what one is.

What an earlier run journalled is taken at its word while there are pieces to fetch, and is not read
again for that: every file is hashed as a whole before it is published in any case. Where that hash
is wrong, `rotten` compares each piece with its journalled checksum, so that only the bad ones are
fetched again. A file whose source promises no digest has its pieces compared each time; pieces of a
file about which it promises nothing (no digest, no etag) are never reused by another run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Set, Type

from ..errors import HelperError, Kind
from ..paths import resolve_below
from ..transfer.limits import Doing
from .files import write_durably
from .journal import Journal, PieceRecord
from .lock import Lock
from .manifest import Plan
from .piece import NO_PIECE, Piece, PieceWriter, length_at, pieces_of

if TYPE_CHECKING:
    from .store import Store

log = logging.getLogger("gswarm.models")


class Partial:
    """One plan's bytes on their way into `store`; made by `Store.open_partial`, which takes `lock`.

    A context manager: leaving it lets go of the lock and keeps the bytes.
    """

    def __init__(self, store: Store, folder: Path, plan: Plan, lock: Lock) -> None:
        self.store = store
        self.folder = folder
        self.files = folder / "files"
        self.plan = plan
        self.twins: Dict[int, Path] = {}
        """Published files with the same sha256 that cannot be linked: copied, not fetched."""
        self.on_close: Callable[[], None] = lambda: None
        self._lock = lock
        self._guard = threading.Lock()
        self._linked: Set[int] = set()
        self._written: List[int] = [0] * len(plan.files)
        self.files.mkdir(parents=True, exist_ok=True)
        write_durably(folder / "plan.json", json.dumps(plan.identity(), indent=1).encode())
        self._paths = [resolve_below(self.files, file.path) for file in plan.files]
        self._journal = Journal(folder / "journal")
        try:
            self._reconcile()
        except BaseException:
            self._journal.close()
            raise

    def __enter__(self) -> Partial:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    @property
    def total(self) -> Optional[int]:
        """Bytes in all; None where a file's size is not known."""
        return self.plan.size

    @property
    def done(self) -> int:
        """Bytes that need not be fetched any more."""
        with self._guard:
            linked = sum(self.plan.files[index].size or 0 for index in self._linked)
            return linked + sum(self._written)

    @property
    def remaining(self) -> int:
        """Bytes that are still to be fetched, as far as sizes are known."""
        with self._guard:
            return sum(
                file.size - self._written[index]
                for index, file in enumerate(self.plan.files)
                if file.size is not None and index not in self._linked
            )

    def path(self, index: int) -> Path:
        """Where the plan's file number `index` is being put together."""
        return self._paths[index]

    def is_complete(self, index: int) -> bool:
        """Whether no piece of the file is missing."""
        with self._guard:
            return self._is_complete(index)

    def missing(self) -> List[Piece]:
        """The pieces that are not here, in the order of the plan."""
        return [piece for index in range(len(self.plan.files)) for piece in self.missing_of(index)]

    def missing_of(self, index: int) -> List[Piece]:
        """The pieces of one file that are not here."""
        with self._guard:
            if index in self._linked:
                return []
            return [
                (index, offset, length)
                for offset, length in pieces_of(self.plan.files[index])
                if offset not in self._records(index)
            ]

    def piece_writer(self, index: int, offset: int, doing: Optional[Doing] = None) -> PieceWriter:
        """Open a missing piece for writing.

        Args:
            doing: whose the piece is, where anybody wants to know what it waits for.

        Raises:
            HelperError: there is no such piece, or it is here.
            OSError: the file cannot be made.
        """
        length = length_at(self.plan.files[index], offset)
        with self._guard:
            here = index in self._linked or offset in self._records(index)
        if length != NO_PIECE and not here:
            return PieceWriter(self, index, offset, length, doing or Doing())
        raise HelperError(
            Kind.INVALID,
            f"no piece is missing at byte {offset}",
            where=self.plan.files[index].path,
        )

    def link(self, index: int, published: Path) -> bool:
        """Use a published file for file number `index` by a hard link; False where that cannot be.

        The file counts as here, and is hashed with the others before publication.
        """
        path = self.path(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(published, path)
        except OSError:
            return False  # another filesystem, another owner, too many links, or gone: fetch it
        with self._guard:
            self._linked.add(index)
        return True

    def rotten(self, index: int) -> List[int]:
        """The offsets of the pieces whose bytes are not what was journalled.

        Raises:
            OSError: the file cannot be read.
        """
        with self._guard:
            records = list(self._records(index).values())
        with self.path(index).open("rb", buffering=0) as file:
            return [record.offset for record in records if not record.holds(file.fileno())]

    def begun(self, index: int) -> bool:
        """Whether pieces of the file are here."""
        with self._guard:
            return bool(self._records(index))

    def is_linked(self, index: int) -> bool:
        """Whether the file is a hard link to another published model's."""
        return index in self._linked

    def is_borrowed(self, index: int) -> bool:
        """Whether the file comes from another published model, by link or by copy."""
        return index in self._linked or index in self.twins

    def drop(self, index: int, offset: Optional[int] = None) -> None:
        """Forget a piece of a file, or the whole file: it is missing again.

        Raises:
            OSError: the journal cannot be written.
        """
        with self._guard:
            if offset is None:
                self._linked.discard(index)
                self.twins.pop(index, None)
                with contextlib.suppress(FileNotFoundError):
                    self.path(index).unlink()
            self._journal.drop(index, offset)
            self._recount(index)
        if offset is None:
            self._make_if_empty(index)

    def close(self) -> None:
        """Let go: the bytes stay for the next run."""
        self.on_close()
        self.on_close = lambda: None
        self._journal.close()
        self._lock.release()

    def discard(self) -> None:
        """Remove what is left of it, and let go; best effort, for what stays is only bytes."""
        try:
            self.store.layout.throw_away(self.folder)
        except OSError as error:
            log.warning("%s is left behind: %s", self.folder, error)
        self.close()

    # What a PieceWriter needs

    def commit(self, record: PieceRecord) -> bool:
        """Journal a piece whose bytes are durable; returns whether its file is now complete."""
        with self._guard:
            self._journal.append(record)
            self._written[record.file] += record.length
            return self._is_complete(record.file)  # one of its writers sees this, and only one

    # What is on disk when a run begins

    def _reconcile(self) -> None:
        """Believe the journal only where it fits the plan and the files."""
        for index in range(len(self.plan.files)):
            self._forget_unfit(index)
            self._forget_stranger(index)
            self._recount(index)
            self._make_if_empty(index)

    def _forget_unfit(self, index: int) -> None:
        """Drop the pieces that the plan does not have, or that the file is too short for."""
        records = self._records(index)
        if not records:
            return
        file = self.plan.files[index]
        try:
            size = self.path(index).lstat().st_size
        except OSError:
            size = 0
        for offset, record in list(records.items()):
            expected = length_at(file, offset) if file.promised else NO_PIECE
            if expected not in (record.length, None) or offset + record.length > size:
                self._journal.drop(index, offset)

    def _forget_stranger(self, index: int) -> None:
        """Remove what no verified piece stands for: a link to another model's file, say."""
        path = self.path(index)
        try:
            info = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return
        ours = stat.S_ISREG(info.st_mode) and info.st_nlink == 1
        if ours and self._records(index):
            return
        path.unlink()
        if self._records(index):
            self._journal.drop(index)

    def _make_if_empty(self, index: int) -> None:
        """A file of no bytes has no piece that would make it."""
        if self.plan.files[index].size == 0:
            self.path(index).parent.mkdir(parents=True, exist_ok=True)
            self.path(index).touch()

    def _is_complete(self, index: int) -> bool:
        size = self.plan.files[index].size
        if index in self._linked:
            return True
        return 0 in self._records(index) if size is None else self._written[index] == size

    def _records(self, index: int) -> Dict[int, PieceRecord]:
        return self._journal.records.get(index, {})

    def _recount(self, index: int) -> None:
        self._written[index] = sum(record.length for record in self._records(index).values())
