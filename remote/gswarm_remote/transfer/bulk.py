"""Bulk connections: the bytes of models, raw, beside the frames.

A request on a control connection (``model.receive.begin``, ``model.send.begin``) says which bytes,
and gives a token; the connection that says hello with that token carries exactly those bytes, one
piece after the other and nothing between. A receiver ends it with one frame: the response
``{received}``, or its error. A sender that cannot go on just closes: the receiver knows how much
was to come.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Awaitable,
    Callable,
    Dict,
    Iterator,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

from .. import wire
from ..errors import HelperError, Kind
from ..models import space
from ..operations import in_thread
from .worker import Backlog, Worker

if TYPE_CHECKING:
    from ..models.partial import Partial, PieceWriter

log = logging.getLogger("gswarm.bulk")

TOKEN_LIFETIME_S = 60.0
MAX_TOKENS = 1024
"""Tokens that are offered and not yet used, at most."""

CHUNK = 2**20
"""Bytes read at once."""

IN_FLIGHT = 8 * CHUNK
"""Bytes received and not yet written, at most: then the sender has to wait."""

IDLE_S = 120.0
"""A connection over which nothing moves for so long is given up: its other end is gone."""

_GOODBYE_S = 10.0

Session = Callable[[Any, Any], Awaitable[None]]
"""What is done with a bulk connection: ``await session(reader, writer)``; it raises nothing."""

Piece = Tuple[int, int, int]
"""The number of the file in the manifest, the offset and the length."""


class BulkTable:
    """The tokens on offer. Each is good once, for a minute."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._offers: Dict[str, _Offer] = {}

    def offer(self, session: Session) -> str:
        """The token that opens `session`.

        Raises:
            HelperError: too many are on offer.
        """
        self._expire()
        if len(self._offers) >= MAX_TOKENS:
            raise HelperError(
                Kind.IN_USE,
                f"{MAX_TOKENS} transfers wait for their connection",
                hint="try again in a minute",
            )
        token = secrets.token_urlsafe(32)
        self._offers[token] = _Offer(session, self._clock() + TOKEN_LIFETIME_S)
        return token

    def claim(self, token: object) -> Session:
        """Use up a token.

        Raises:
            HelperError: nobody offered it, or it was used or has expired.
        """
        self._expire()
        given = token.encode() if isinstance(token, str) and token.isascii() else b""
        # Every token is compared, each in constant time: how long it takes says nothing.
        matches = [known for known in self._offers if hmac.compare_digest(known.encode(), given)]
        if not matches:
            raise HelperError(
                Kind.PERMISSION,
                "the token of this bulk connection is not valid, or not any more",
                hint="begin the transfer again: a token is good once, for a minute",
            )
        return self._offers.pop(matches[0]).session

    def _expire(self) -> None:
        now = self._clock()
        for token in [token for token, offer in self._offers.items() if offer.until <= now]:
            del self._offers[token]


@dataclass(frozen=True)
class _Offer:
    session: Session
    until: float


# Receiving


async def receive(
    reader: Any, writer: Any, open_partial: Callable[[], Partial], pieces: Sequence[Piece]
) -> None:
    """Write the bytes of `pieces` as they come, and answer with one frame.

    Pieces that were received whole are durable and journalled, however it ends. A piece that
    somebody else has brought in the meantime is read past.

    Args:
        open_partial: gives the partial that they belong to; blocks, and is called in a thread.
    """
    error: Optional[HelperError] = None
    try:
        with await in_thread(open_partial) as partial:
            await _write_pieces(reader, partial, pieces)
    except HelperError as raised:
        log.info("receiving stopped: %s", raised)
        error = raised
    received = {"received": sum(length for _, _, length in pieces)}
    response = wire.Response(1, error.to_wire() if error else None, None if error else received)
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        writer.write(wire.pack(response))
        await asyncio.wait_for(writer.drain(), _GOODBYE_S)
        if error is not None:
            await asyncio.wait_for(_read_past(reader), _GOODBYE_S)


async def _write_pieces(reader: Any, partial: Partial, pieces: Sequence[Piece]) -> None:
    writing = _Writing(partial)
    incoming = _Incoming(reader, sum(length for _, _, length in pieces))
    with Worker("bulk-write") as worker:
        backlog = Backlog(worker, limit=IN_FLIGHT)
        try:
            for index, offset, length in pieces:
                left = length
                while left:
                    data = await incoming.read(left)
                    left -= len(data)
                    await backlog.put(writing.take, index, offset, data, size=len(data))
                await backlog.put(writing.take, index, offset, b"")
            await backlog.finish()
        except OSError as error:
            raise space.explained(error, partial) from error
        finally:
            await backlog.settle()
            writing.abort()


class _Incoming:
    """What a sender sends: `total` bytes."""

    def __init__(self, reader: Any, total: int) -> None:
        self._reader = reader
        self._total = total
        self._received = 0

    async def read(self, limit: int) -> bytes:
        """The next bytes, at least one.

        Raises:
            HelperError: the sender has ended too early, or sends nothing any more.
        """
        try:
            size = min(limit, CHUNK)
            data: bytes = await asyncio.wait_for(self._reader.read(size), IDLE_S)
        except asyncio.TimeoutError:
            reason = f"the sender sent nothing for {IDLE_S:.0f} s"
            raise HelperError(Kind.UNREACHABLE, reason) from None
        except OSError as error:
            reason = f"the sender's connection was cut: {error.strerror or error}"
            raise HelperError(Kind.UNREACHABLE, reason) from None
        self._received += len(data)
        if not data:
            reason = f"the sender ended after {self._received} of {self._total} bytes"
            raise HelperError(Kind.INCOMPLETE, reason)
        return data


async def _read_past(reader: Any) -> None:
    """Read what the sender still sends: closing on it could lose our answer on its way."""
    while await reader.read(CHUNK):
        pass


class _Writing:
    """The piece that is being written. Used by one thread at a time, and blocks."""

    def __init__(self, partial: Partial) -> None:
        self._partial = partial
        self._place: Optional[Tuple[int, int]] = None
        self._piece: Optional[PieceWriter] = None

    def take(self, index: int, offset: int, data: bytes) -> None:
        """The next bytes of the piece at `offset`, or its end."""
        if self._place != (index, offset):
            self._place = (index, offset)
            if any(piece[1] == offset for piece in self._partial.missing_of(index)):
                self._piece = self._partial.piece_writer(index, offset)
        if self._piece is None:
            return
        if data:
            self._piece.write(data)
        else:
            self._piece.commit()
            self._piece = None

    def abort(self) -> None:
        if self._piece is not None:
            self._piece.abort()
            self._piece = None


# Sending


async def send(writer: Any, files: Mapping[int, Path], pieces: Sequence[Piece]) -> None:
    """Write the bytes of `pieces`; the connection is cut where they cannot be read.

    The files are read in a thread, and not by ``sendfile``: a cold page or a network filesystem
    that hangs would stop the loop, and with it the helper.

    Args:
        files: where the manifest's files are, by number.
    """
    reading = _Reading(files)
    with Worker("bulk-read", at_end=reading.close) as worker:
        try:
            ahead: Optional[asyncio.Future[bytes]] = None
            for step in _steps(pieces):
                behind, ahead = ahead, worker.do(reading.read, *step)
                if behind is not None:
                    await _pass_on(writer, await behind)
            if ahead is not None:
                await _pass_on(writer, await ahead)
        except (HelperError, OSError, asyncio.TimeoutError) as error:
            log.warning("sending stopped: %s", error or type(error).__name__)
            writer.transport.abort()


async def _pass_on(writer: Any, data: bytes) -> None:
    writer.write(data)
    await asyncio.wait_for(writer.drain(), IDLE_S)


def _steps(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """The pieces in parts of at most `CHUNK` bytes."""
    for index, offset, length in pieces:
        for start in range(offset, offset + length, CHUNK):
            yield index, start, min(CHUNK, offset + length - start)


class _Reading:
    """The file that is being read. Used by one thread, and blocks."""

    def __init__(self, files: Mapping[int, Path]) -> None:
        self._files = files
        self._index: Optional[int] = None
        self._descriptor = -1

    def read(self, index: int, offset: int, length: int) -> bytes:
        if index != self._index:
            self.close()
            self._descriptor = os.open(self._files[index], os.O_RDONLY)
            self._index = index
        data = os.pread(self._descriptor, length, offset)
        if len(data) < length:
            raise HelperError(
                Kind.MISMATCH,
                f"the file ends at byte {offset + len(data)}",
                where=str(self._files[index]),
            )
        return data

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._index = -1, None
