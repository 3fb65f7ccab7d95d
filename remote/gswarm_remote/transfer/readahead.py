"""Pieces of files as a stream of chunks, each read while the one before is on its way.

The node's sending end and the controller's upload read alike.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import AsyncGenerator, Iterable, Iterator, Mapping, Optional, Tuple

from ..errors import HelperError, Kind
from .worker import Worker

CHUNK = 2**20
"""Bytes read at once."""

SentPiece = Tuple[int, int, int]
"""The number of the file in the manifest, the offset and the length."""


async def read_pieces(
    files: Mapping[int, Path], pieces: Iterable[SentPiece]
) -> AsyncGenerator[bytes, None]:
    """The bytes of `pieces`, one after the other. To be closed by whoever stops early.

    The files are read in a thread, and not by ``sendfile``: a cold page or a network filesystem
    that hangs would stop the loop.

    Args:
        files: where the manifest's files are, by number.

    Raises:
        OSError: a file cannot be read.
        HelperError: it is shorter than the pieces say (mismatch).
    """
    reading = _Reading(files)
    with Worker("bulk-read", at_end=reading.close) as worker:
        ahead: Optional[asyncio.Future[bytes]] = None
        for step in _steps(pieces):
            behind, ahead = ahead, worker.do(reading.read, *step)
            if behind is not None:
                yield await behind
        if ahead is not None:
            yield await ahead


def _steps(pieces: Iterable[SentPiece]) -> Iterator[SentPiece]:
    """The pieces in parts of at most `CHUNK` bytes."""
    for number, offset, length in pieces:
        for start in range(offset, offset + length, CHUNK):
            yield number, start, min(CHUNK, offset + length - start)


class _Reading:
    """The file that is being read. Used by one thread, and blocks."""

    def __init__(self, files: Mapping[int, Path]) -> None:
        self._files = files
        self._number: Optional[int] = None
        self._descriptor = -1

    def read(self, number: int, offset: int, length: int) -> bytes:
        if number != self._number:
            self.close()
            self._descriptor = os.open(self._files[number], os.O_RDONLY)
            self._number = number
        data = os.pread(self._descriptor, length, offset)
        if len(data) < length:
            raise HelperError(
                Kind.MISMATCH,
                f"the file ends at byte {offset + len(data)}, {offset + length} were expected",
                where=str(self._files[number]),
                hint="it was changed since it was looked at; run the same again",
            )
        return data

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._number = -1, None
