"""Bulk connections: the bytes of models, raw, beside the frames.

A request on a control connection (``model.receive.begin``, ``model.send.begin``) says which bytes,
and gives a token; the connection that says hello with that token carries exactly those bytes, one
piece after the other and nothing between. A receiver ends it with one frame: the response
``{received}``, or its error. A sender that cannot go on just closes: the receiver knows how much
was to come.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Awaitable, Callable, Dict, Mapping, Sequence

from ..errors import HelperError, Kind
from .readahead import SentPiece, read_pieces

log = logging.getLogger("gswarm.bulk")

TOKEN_LIFETIME_S = 60.0
MAX_TOKENS = 1024
"""Tokens that are offered and not yet used, at most."""

IDLE_S = 120.0
"""A connection over which nothing moves for so long is given up: its other end is gone."""

Session = Callable[[Any, Any], Awaitable[None]]
"""What is done with a bulk connection: ``await session(reader, writer)``; it raises nothing."""


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


async def send(writer: Any, files: Mapping[int, Path], pieces: Sequence[SentPiece]) -> None:
    """Write the bytes of `pieces`; the connection is cut where they cannot be read.

    Args:
        files: where the manifest's files are, by number.
    """
    chunks = read_pieces(files, pieces)
    try:
        async for data in chunks:
            writer.write(data)
            await asyncio.wait_for(writer.drain(), IDLE_S)
    except (HelperError, OSError, asyncio.TimeoutError) as error:
        log.warning("sending stopped: %s", error or type(error).__name__)
        writer.transport.abort()
    finally:
        await chunks.aclose()
