"""What the threads that fetch pieces of one file share: where its bytes are, and turns at them."""

from __future__ import annotations

import contextlib
import threading
from typing import Iterator, List, Optional

import urllib3
from urllib3 import exceptions as http_errors

from .answers import Span, Version
from .redirects import Target

_READ = 256 * 1024  # bytes asked of a socket at once; it gives what it has


class Cut(Exception):
    """A body ended before its end; the text says why."""


class Body:
    """An answer's body, and which byte of the file comes next from it. One thread at a time.

    Attributes:
        position: the file's byte that `read` gives next.
        span: what the body is, whole.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, span: Span) -> None:
        self._response = response
        self.span = span
        self.position = span.start

    @property
    def finished(self) -> bool:
        return self.span.stop is not None and self.position >= self.span.stop

    def read(self, until: Optional[int]) -> bytes:
        """The bytes that are there, of those before `until`; none at the body's end.

        Raises:
            Cut: the connection ended first, or nothing came for too long.
        """
        stops = [stop for stop in (until, self.span.stop) if stop is not None]
        amount = min([_READ] + [stop - self.position for stop in stops])
        if amount <= 0:
            return b""
        try:
            data = self._response.read1(amount, decode_content=False)
        except http_errors.ReadTimeoutError:
            raise Cut("nothing came for too long") from None
        except http_errors.HTTPError:
            raise Cut("cut off") from None
        if not data and self.span.stop is not None:
            raise Cut("cut off")
        self.position += len(data)
        return data

    def close(self) -> None:
        """Let go of the connection; it is used again where the body was read to its end."""
        if self.finished:
            self._response.release_conn()
        self._response.close()


class Turn:
    """A thread's turn at a `Place`; not held where no turns are taken."""

    def __init__(self, place: Place, *, held: bool) -> None:
        self._place = place
        self.held = held

    def end(self) -> None:
        if self.held:
            self.held = False
            self._place._end()


class Place:
    """Where the bytes of one file come from; shared by the threads that fetch its pieces.

    Until the first answer is there, and as long as the server answers with whole files, fetches of
    the file take turns, lowest offset first: so the hub is asked once, and a body that is read in
    order serves one piece after the other.

    Attributes:
        target: where the file was found, after redirects.
        version: of the file, as promised or as first seen.
        ranged: whether the server there sends parts of files.
    """

    def __init__(self, *, etag: Optional[str]) -> None:
        self.target: Optional[Target] = None
        self.version = None if etag is None else Version(etag, None)
        self.ranged = False
        self._body: Optional[Body] = None
        self._turns = threading.Condition()
        self._waiting: List[int] = []
        self._taken = False

    @contextlib.contextmanager
    def turn(self, offset: int) -> Iterator[Turn]:
        """Wait for one's turn, where turns are taken."""
        turn = Turn(self, held=self._begin(offset))
        try:
            yield turn
        finally:
            turn.end()

    def found(self, target: Target, version: Version, *, ranged: bool) -> None:
        """Remember where the file is."""
        self.target = target
        self.version = self.version or version
        self.ranged = ranged

    def forget(self, target: Target) -> None:
        """`target` is not good any more, unless another thread has found the next one already."""
        with self._turns:
            if self.target == target:
                self.target = None
                self.ranged = False

    def take_body(self, turn: Turn, position: int) -> Optional[Body]:
        """The body that an earlier piece left, if it has yet to come to `position`."""
        if not turn.held:
            return None
        body, self._body = self._body, None
        if body is not None and body.position > position:
            body.close()
            return None
        return body

    def leave_body(self, turn: Turn, body: Body) -> None:
        """Leave a body to the next turn, or let go of it where there is none."""
        if turn.held and not body.finished:
            self._body = body
        else:
            body.close()

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def _begin(self, offset: int) -> bool:
        with self._turns:
            self._waiting.append(offset)
            self._turns.wait_for(lambda: self.ranged or self._is_next(offset))
            self._waiting.remove(offset)
            if self.ranged:
                self._turns.notify_all()
                return False
            self._taken = True
            return True

    def _is_next(self, offset: int) -> bool:
        return not self._taken and offset == min(self._waiting)

    def _end(self) -> None:
        with self._turns:
            self._taken = False
            self._turns.notify_all()
