"""Bytes of a model's files over HTTP: ranged requests, redirects, patience with a bad network.

`HttpSource` fetches one piece of a file at a time and hands the bytes on in order. What is verified
and kept is the assembler's business. Every piece is asked for with ``Range`` (RFC 9110, 14); a
server that ignores it sends the whole file, and then the file's pieces take turns at one body.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Dict, Optional, Tuple

import urllib3
from urllib3 import exceptions as http_errors

from ..errors import HelperError, Kind
from .answers import (
    OK,
    PARTIAL_CONTENT,
    Span,
    is_hopeless,
    network_fault,
    refusal,
    retry_after,
    span_of,
    version_of,
)
from .connections import Connections
from .limits import SOURCE, Doing
from .places import Body, Cut, Place
from .redirects import (
    MAX_REDIRECTS,
    REDIRECTS,
    Target,
    first_target,
    next_target,
    public_url,
)

if TYPE_CHECKING:
    from ..models.manifest import PlanFile

_EXPIRED = frozenset({401, 403, 410})  # what a signed URL answers when its time is over
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})  # worth another try later
_SMALL_BODY = 64 * 1024
_GO_ON = "run the same again: it goes on where it stopped, what is verified is not fetched again"

Sink = Callable[[bytes], None]


@dataclass(frozen=True)
class Patience:
    """How long a piece is tried for, while no byte of it comes.

    Args:
        attempts: requests without one new byte; each new byte starts the count again.
        first_delay_s: the first pause; each is twice the last, less up to half of it at random.
        longest_delay_s: where that ends.
        retry_after_s: the longest pause that a source may ask for with ``Retry-After``.
    """

    attempts: int = 5
    first_delay_s: float = 0.5
    longest_delay_s: float = 8.0
    retry_after_s: float = 60.0


class HttpSource:
    """Fetches pieces of files; safe to use from many threads, one source for one plan.

    Args:
        authorization: the Authorization header, sent to `origin` only. Kept in memory only.
        origin: ``scheme://host[:port]``.
        patience: how long to try.
        ended: what `abort` sets, and pauses wait on.
    """

    def __init__(
        self,
        *,
        authorization: Optional[str] = None,
        origin: Optional[str] = None,
        patience: Patience = Patience(),
        ended: Optional[threading.Event] = None,
    ) -> None:
        self._ended = ended or threading.Event()
        self._authorization = authorization
        self._origin = origin
        self._patience = patience
        self._connections = Connections()
        self._lock = threading.Lock()
        self._places: Dict[str, Place] = {}

    def fetch(
        self, file: PlanFile, offset: int, length: Optional[int], sink: Sink, doing: Doing
    ) -> None:
        """Give `sink` the bytes of `file` from `offset`, in order and each once.

        Blocks; tries again where it stopped when the network breaks.

        Args:
            length: bytes; None means up to the end, wherever that is.

        Raises:
            HelperError: `Kind.SOURCE` (the source said no), `Kind.MISMATCH` (the file is not the
                promised one), `Kind.UNREACHABLE` (the network), `Kind.CANCELLED`.
        """
        piece = _Piece(file, offset, None if length is None else offset + length, sink, doing)
        place = self._place(file)
        failures = 0
        renewed_at = -1
        while not piece.complete:
            self._check_ended()
            before = piece.position
            try:
                self._attempt(place, piece)
            except _Expired as expired:
                if renewed_at == piece.position:
                    raise expired.error from None
                renewed_at = piece.position
            except _Transient as fault:
                self._check_ended()
                failures = failures + 1 if piece.position == before else 1
                self._pause_after(fault, failures)

    def abort(self) -> None:
        """End every fetch, from any thread: those that block on the network too."""
        self._ended.set()
        self._connections.abort()

    def close(self) -> None:
        """Let go of idle connections, when no thread fetches any more."""
        for place in self._places.values():
            place.close()
        self._connections.close()

    def _place(self, file: PlanFile) -> Place:
        with self._lock:
            place = self._places.get(file.path)
            if place is None:
                place = self._places[file.path] = Place(etag=file.etag)
            return place

    def _attempt(self, place: Place, piece: _Piece) -> None:
        piece.doing.turn_to(None)  # who has the turn tells what all wait for
        with place.turn(piece.position) as turn:
            piece.doing.turn_to(SOURCE)
            body = place.take_body(turn, piece.position) or self._open(place, piece)
            if place.ranged:
                turn.end()
            try:
                self._copy(body, piece)
            except BaseException:
                body.close()
                raise
            place.leave_body(turn, body)

    def _copy(self, body: Body, piece: _Piece) -> None:
        try:
            while not piece.complete:
                self._check_ended()
                start = body.position
                data = body.read(piece.stop)
                if not data:
                    piece.ended_at(body)
                    return
                piece.take(start, data)
        except Cut as cut:
            total = body.span.total or body.span.stop
            at = f"{body.position} of {total} bytes" if total else f"{body.position} bytes"
            error = piece.error(Kind.UNREACHABLE, f"{cut} at {at}", hint=_GO_ON)
            raise _Transient(error) from None

    # Asking

    def _open(self, place: Place, piece: _Piece) -> Body:
        first = first_target(piece.url, origin=self._origin)
        asked = place.target or first
        target, response = self._ask(asked, place, piece)
        try:
            if response.status not in (OK, PARTIAL_CONTENT):
                raise self._refused(place, piece, target, response, remembered=asked != first)
            span = self._check(place, piece, response)
            place.found(
                target, version_of(response.headers), ranged=response.status == PARTIAL_CONTENT
            )
        except BaseException:
            response.close()
            raise
        return Body(response, span)

    def _ask(
        self, target: Target, place: Place, piece: _Piece
    ) -> Tuple[Target, urllib3.BaseHTTPResponse]:
        """The first answer that is no redirect, and where it came from."""
        for _ in range(MAX_REDIRECTS + 1):
            try:
                response = self._connections.get(target.url, self._headers(target, place, piece))
            except http_errors.HTTPError as error:
                fault = network_fault(error, path=piece.path, url=target.url)
                raise (fault if is_hopeless(error) else _Transient(fault)) from None
            if response.status not in REDIRECTS:
                return target, response
            _discard(response)
            target = next_target(target, response.headers.get("Location"))
        raise piece.error(Kind.SOURCE, f"more than {MAX_REDIRECTS} redirects, one after the other")

    def _headers(self, target: Target, place: Place, piece: _Piece) -> Dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "gswarm"}
        if target.authorized and self._authorization:
            headers["Authorization"] = self._authorization
        if piece.position > 0 or piece.stop is not None:
            last = "" if piece.stop is None else piece.stop - 1
            headers["Range"] = f"bytes={piece.position}-{last}"
            if not piece.hashed and place.version is not None and place.version.if_range:
                headers["If-Range"] = place.version.if_range
        return headers

    def _refused(
        self,
        place: Place,
        piece: _Piece,
        target: Target,
        response: urllib3.BaseHTTPResponse,
        *,
        remembered: bool,
    ) -> Exception:
        error = refusal(
            response.status,
            response.headers,
            path=piece.path,
            url=target.url,
            authorized=target.authorized and self._authorization is not None,
        )
        if remembered and response.status in _EXPIRED:
            place.forget(target)
            return _Expired(error)
        if response.status in _BUSY:
            return _Transient(error, pause_s=retry_after(response.headers, now=time.time()))
        return error

    def _check(self, place: Place, piece: _Piece, response: urllib3.BaseHTTPResponse) -> Span:
        """What the body is, if it is of the promised file and of the version seen before."""
        try:
            span = span_of(response.status, response.headers, start=piece.position, stop=piece.stop)
        except HelperError as error:
            raise piece.error(error.kind, error.message) from None
        seen = None if piece.hashed else place.version
        if seen is not None and seen.differs_from(version_of(response.headers)):
            raise piece.error(Kind.MISMATCH, "it changed at the source since it was looked up")
        if None not in (piece.size, span.total) and piece.size != span.total:
            message = f"the source has {span.total} bytes of it, {piece.size} were promised"
            raise piece.error(Kind.MISMATCH, message)
        if span.stop is None and not piece.has_known_end and not _is_chunked(response):
            raise piece.error(Kind.SOURCE, "the source does not say how long it is")
        return span

    # Waiting

    def _pause_after(self, fault: _Transient, failures: int) -> None:
        patience = self._patience
        pause = fault.pause_s
        if failures >= patience.attempts or (pause or 0) > patience.retry_after_s:
            raise fault.error
        if pause is None:
            longest = min(patience.longest_delay_s, patience.first_delay_s * 2 ** (failures - 1))
            pause = longest * random.uniform(0.5, 1)  # noqa: S311 - spreads the nodes, hides nothing
        self._ended.wait(pause)

    def _check_ended(self) -> None:
        if self._ended.is_set():
            raise HelperError(Kind.CANCELLED, "the download was cancelled")


class _Transient(Exception):
    """Worth another try; `error` is what to say when tries are over."""

    def __init__(self, error: HelperError, *, pause_s: Optional[float] = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.pause_s = pause_s


class _Expired(Exception):
    """The remembered URL is not good any more; `error` says so when the next is not either."""

    def __init__(self, error: HelperError) -> None:
        super().__init__(error.message)
        self.error = error


class _Piece:
    """A part of a file on its way to a sink; `position` is the file's byte that is next."""

    def __init__(
        self, file: PlanFile, offset: int, stop: Optional[int], sink: Sink, doing: Doing
    ) -> None:
        if file.url is None:
            raise HelperError(Kind.INVALID, f"{file.path}: the plan has no URL for it")
        self.path = file.path
        self.url = file.url
        self.size = file.size
        self.hashed = file.sha256 is not None or file.git_sha1 is not None
        self.position = offset
        self.stop = stop
        self.doing = doing
        self._sink = sink

    @property
    def complete(self) -> bool:
        return self.stop is not None and self.position >= self.stop

    @property
    def has_known_end(self) -> bool:
        return self.hashed or self.size is not None or self.stop is not None

    def take(self, start: int, data: bytes) -> None:
        """Pass on what is still wanted of `data`, which begins at the file's byte `start`."""
        fresh = data[self.position - start :] if start < self.position else data
        if fresh:
            self._sink(fresh)
            self.position += len(fresh)

    def ended_at(self, body: Body) -> None:
        """The body has ended as it said: the file ends there, or it was a shorter part."""
        file_ends = body.span.total is None or body.position >= body.span.total
        if not file_ends:
            return
        if self.stop is not None and body.position < self.stop:
            raise self.error(
                Kind.MISMATCH,
                f"the source has {body.position} bytes of it, {self.stop} were promised",
            )
        self.stop = self.position

    def error(self, kind: str, message: str, *, hint: Optional[str] = None) -> HelperError:
        return HelperError(kind, f"{self.path}: {message}", where=public_url(self.url), hint=hint)


def _discard(response: urllib3.BaseHTTPResponse) -> None:
    """Read a redirect's short body, so that its connection serves again; drop any other."""
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length) <= _SMALL_BODY:
        try:
            response.read(decode_content=False)
            return
        except http_errors.HTTPError:
            pass
    response.close()


def _is_chunked(response: urllib3.BaseHTTPResponse) -> bool:
    return "chunked" in response.headers.get("Transfer-Encoding", "").lower()
