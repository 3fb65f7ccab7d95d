"""The receiving end of a bulk connection: pieces of one model, written as they come."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence, Tuple

from .. import wire
from ..errors import HelperError, Kind
from ..models import space
from ..operations import in_thread
from .bulk import IDLE_S
from .limits import RELAY, WRITER, Doing
from .progress import Meter
from .readahead import CHUNK, SentPiece
from .worker import Backlog, Worker

if TYPE_CHECKING:
    from ..models.partial import Partial
    from ..models.piece import PieceWriter

log = logging.getLogger("gswarm.bulk")

IN_FLIGHT = 8 * CHUNK
"""Bytes received and not yet written, at most: then the sender has to wait."""

SILENCE_S = 5.0
"""After so long without a byte, a sender makes way for the next one of the same model."""

_GOODBYE_S = 10.0


class Receiving:
    """What is done with one bulk connection that brings `pieces`; it answers with one frame.

    Pieces that were received whole are durable and journalled, however it ends. A piece that
    somebody else has brought in the meantime is read past.

    Args:
        open_partial: gives the partial that they belong to; blocks, and is called in a thread.
        meter: counts the bytes as they come, and is told what is waited for.
    """

    def __init__(
        self,
        open_partial: Callable[[], Partial],
        pieces: Sequence[SentPiece],
        meter: Optional[Meter] = None,
    ) -> None:
        self._meter = meter or Meter("receive")
        self._open_partial = open_partial
        self._pieces = pieces
        self._total = sum(length for _, _, length in pieces)
        self._received = 0
        self._writer: Any = None
        self._ended = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether it has let go of the partial."""
        return self._ended.is_set()

    async def run(self, reader: Any, writer: Any) -> None:
        """Receive; what goes wrong is in the answer."""
        self._writer = writer
        error: Optional[HelperError] = None
        try:
            with await in_thread(self._open_partial) as partial:
                await self._write_pieces(reader, partial)
        except HelperError as raised:
            log.info("receiving stopped: %s", raised)
            error = raised
        finally:
            self._ended.set()
        await self._answer(reader, writer, error)

    async def make_way(self) -> bool:
        """End this if its sender is gone, which is not always seen at once; False if it sends.

        A laptop that was closed leaves a connection that looks like any other.
        """
        before = self._received
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ended.wait(), SILENCE_S)
        if self._ended.is_set():
            return True
        if self._received > before:
            return False
        self._writer.transport.abort()
        await self._ended.wait()
        return True

    async def _write_pieces(self, reader: Any, partial: Partial) -> None:
        limits = self._meter.limits
        with Worker("bulk-write") as worker, limits.worker() as doing, limits.writer() as writes:
            writing = _Writing(partial, writes)
            backlog = Backlog(worker, limit=IN_FLIGHT)
            try:
                for index, offset, length in self._pieces:
                    left = length
                    while left:
                        doing.turn_to(RELAY)
                        data = await self._read(reader, left)
                        left -= len(data)
                        doing.turn_to(WRITER)
                        await backlog.put(writing.take, index, offset, data, size=len(data))
                    await backlog.put(writing.take, index, offset, b"")
                await backlog.finish()
            except OSError as error:
                raise space.explained(error, partial) from error
            finally:
                await backlog.settle()
                writing.abort()

    async def _read(self, reader: Any, limit: int) -> bytes:
        """The next bytes, at least one.

        Raises:
            HelperError: the sender has ended too early, or sends nothing any more.
        """
        try:
            data: bytes = await asyncio.wait_for(reader.read(min(limit, CHUNK)), IDLE_S)
        except asyncio.TimeoutError:
            reason = f"the sender sent nothing for {IDLE_S:.0f} s"
            raise HelperError(Kind.UNREACHABLE, reason) from None
        except OSError as error:
            reason = f"the sender's connection was cut: {error.strerror or error}"
            raise HelperError(Kind.UNREACHABLE, reason) from None
        if not data:
            reason = f"the sender ended after {self._received} of {self._total} bytes"
            raise HelperError(Kind.INCOMPLETE, reason)
        self._received += len(data)
        self._meter.add(len(data))
        return data

    async def _answer(self, reader: Any, writer: Any, error: Optional[HelperError]) -> None:
        failed = error.to_wire() if error is not None else None
        result = {"received": self._received} if error is None else None
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            writer.write(wire.pack(wire.Response(1, failed, result)))
            await asyncio.wait_for(writer.drain(), _GOODBYE_S)
            if error is not None:
                await asyncio.wait_for(_read_past(reader), _GOODBYE_S)


async def _read_past(reader: Any) -> None:
    """Read what the sender still sends: closing on it could lose our answer on its way."""
    while await reader.read(CHUNK):
        pass


class _Writing:
    """The piece that is being written. Used by one thread at a time, and blocks."""

    def __init__(self, partial: Partial, doing: Doing) -> None:
        self._partial = partial
        self._doing = doing
        self._place: Optional[Tuple[int, int]] = None
        self._piece: Optional[PieceWriter] = None

    def take(self, index: int, offset: int, data: bytes) -> None:
        """The next bytes of the piece at `offset`, or its end."""
        if self._place != (index, offset):
            self._place = (index, offset)
            self._begin(index, offset)
        if self._piece is None:
            return
        if data:
            self._piece.write(data)
        else:
            self._piece.commit()
            self._piece = None

    def _begin(self, index: int, offset: int) -> None:
        try:
            self._piece = self._partial.piece_writer(index, offset, self._doing)
        except HelperError as error:
            if error.kind != Kind.INVALID:
                raise
            self._piece = None  # it came another way since it was asked for: read past it

    def abort(self) -> None:
        if self._piece is not None:
            self._piece.abort()
            self._piece = None
