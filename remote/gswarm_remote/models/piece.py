"""One piece of a model's file, on its way to disk.

A piece is `PIECE` bytes of one file; a file of unknown size is one open-ended piece.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from types import TracebackType
from typing import TYPE_CHECKING, List, Optional, Tuple, Type, Union

from ..errors import HelperError, Kind
from ..transfer.limits import DISK, HASH, Doing
from .journal import PieceRecord
from .manifest import PlanFile

if TYPE_CHECKING:
    from .partial import Partial

PIECE = 16 * 2**20
"""Bytes in a piece."""

Piece = Tuple[int, int, Optional[int]]
"""The plan's file number, the offset, and the length: None where the file's size is not known."""

Bytes = Union[bytes, bytearray, memoryview]

NO_PIECE = -1
"""The length of what is none."""

_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


def pieces_of(file: PlanFile) -> List[Tuple[int, Optional[int]]]:
    """Offset and length of the pieces that a file consists of."""
    if file.size is None:
        return [(0, None)]
    return [(offset, min(PIECE, file.size - offset)) for offset in range(0, file.size, PIECE)]


def length_at(file: PlanFile, offset: int) -> Optional[int]:
    """The length of the piece at `offset`, `NO_PIECE` where none begins there."""
    if file.size is None:
        return None if offset == 0 else NO_PIECE
    if offset % PIECE or not 0 <= offset < file.size:
        return NO_PIECE
    return min(PIECE, file.size - offset)


class PieceWriter:
    """One piece on its way to disk; for one thread.

    A context manager: leaving it without `commit` gives the piece up.

    Args:
        doing: is told what it waits for, and is given back as it was.
    """

    def __init__(
        self, partial: Partial, index: int, offset: int, length: Optional[int], doing: Doing
    ) -> None:
        self._partial = partial
        self._index = index
        self.offset = offset
        self.length = length
        self._doing = doing
        self._hash = hashlib.sha256()
        self.received = 0
        self._allowed = 0 if length is None else length
        path = partial.path(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666)

    def __enter__(self) -> PieceWriter:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.abort()

    def write(self, data: Bytes) -> None:
        """Take the next bytes of the piece.

        Raises:
            HelperError: they are more than the piece has (mismatch), or, in a piece of unknown
                length, for which nothing was claimed, more than there is room for (no_space).
            OSError: they cannot be written.
        """
        view = memoryview(data)
        if self.received + len(view) > self._allowed:
            if self.length is not None:
                raise self._error(Kind.MISMATCH, "more bytes came than were promised")
            self._allowed = self.received + self._partial.store.room(self._partial, len(view))
        before = self._doing.turn_to(HASH)
        self._hash.update(view)
        self._doing.turn_to(DISK)
        while view:
            written = os.pwrite(self._descriptor, view, self.offset + self.received)
            self.received += written
            view = view[written:]
        self._doing.turn_to(before)

    def commit(self) -> bool:
        """Make the piece durable and journal it; returns whether its file is now complete.

        Raises:
            HelperError: bytes are missing (incomplete).
            OSError: it cannot be written.
        """
        before = self._doing.turn_to(DISK)
        if self.length is None:
            os.ftruncate(self._descriptor, self.received)
        elif self.received < self.length:
            raise self._error(
                Kind.INCOMPLETE, f"the bytes ended after {self.received} of {self.length}"
            )
        _sync_data(self._descriptor)
        self._close()
        record = PieceRecord(self._index, self.offset, self.received, self._hash.hexdigest())
        complete = self._partial.commit(record)
        self._doing.turn_to(before)
        return complete

    def abort(self) -> None:
        """Give the piece up, unless it is committed; its bytes do not count."""
        if self._descriptor >= 0 and self.length is None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)  # nobody else's, and of no use to a next run
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _error(self, kind: str, message: str) -> HelperError:
        path = self._partial.plan.files[self._index].path
        return HelperError(kind, f"{message}, in the piece at byte {self.offset}", where=path)
