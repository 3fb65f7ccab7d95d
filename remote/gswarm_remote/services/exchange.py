"""One connection of a user's to a forwarder: requests in, answers out as they come."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Optional, Tuple

import h11

from .. import http
from ..errors import HelperError
from .publication import (
    HEALTH,
    MODELS,
    PASSED_BACK,
    PASSED_ON,
    Headers,
    Publication,
    Refusal,
    engine_down,
    engine_silent,
    invalid,
)
from .traffic import Passing, Traffic
from .translation import Translator

log = logging.getLogger("gswarm.forwarder")

MAX_BODY = 32 * 1024 * 1024
"""Bytes of a request; it is held in memory, because the model's name in it has to be mapped."""

IDLE_S = 75.0  # until the head of the next request is there
FIRST_S = 15.0  # the same, of one who has not shown the key yet
_BODY_S = 60.0  # between two pieces of a body
_HEALTH_S = 10.0
_READ = 65536
_MOST_DISCARDED = 65536
_MOST_KEPT = 65536  # of next requests, while one is answered

Streams = Tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _ClientGone(Exception):
    """The user has closed the connection; nobody waits for an answer."""


class Exchange:
    """The owner of one user's connection.

    Args:
        translator, traffic: of the publication; they are one for all connections.

    Attributes:
        admitted: it has made a request that may be answered, with the key if there is one.
    """

    def __init__(
        self,
        publication: Publication,
        translator: Translator,
        streams: Streams,
        traffic: Traffic,
    ) -> None:
        self._publication = publication
        self._translator = translator
        self._reader, self._writer = streams
        self._traffic = traffic
        self._http = h11.Connection(h11.SERVER)
        self._idle = True
        self._last = False
        self.admitted = False

    async def run(self) -> None:
        """Answer until the user goes, or is asked to."""
        try:
            while not self._last and await self._one():
                self._http.start_next_cycle()
        except (_ClientGone, OSError, asyncio.TimeoutError):
            pass  # the user's end of it; whatever the engine did for them has been stopped
        except h11.LocalProtocolError as error:
            log.warning("the answer could not be sent on: %s", error)
            self._writer.transport.abort()
        finally:
            self._writer.close()

    def finish(self) -> None:
        """Answer what is under way, and nothing after that."""
        self._last = True
        if self._idle:
            self._writer.close()

    async def _one(self) -> bool:
        """One request and its answer; whether another may follow."""
        try:
            request = await self._head()
            if request is None:
                return False
            self._idle = False
            await self._respond(request)
        except Refusal as refusal:
            await self._discard_rest()
            await self._send_whole(refusal.status, refusal.body, refusal.headers)
        except h11.RemoteProtocolError as error:
            if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                malformed = invalid("the request is malformed")
                await self._send_whole(error.error_status_hint, malformed.body, malformed.headers)
            return False
        self._idle = True
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _respond(self, request: h11.Request) -> None:
        publication = self._publication
        names = [name for name, _ in request.headers]
        if b"content-length" in names and b"transfer-encoding" in names:
            self._last = True  # a proxy before us may see another end of it: RFC 9112, 6.1
            raise invalid("the request has two lengths")
        path = publication.path_of(request.method, request.target)
        if path != HEALTH:
            publication.check_key(request.headers)
            self.admitted = True
        _check_length(request.headers)
        body = await self._body()
        if path == HEALTH:
            await self._answer_health()
        elif path == MODELS:
            await self._send_whole(200, publication.models(), [_JSON])
        else:
            content = await self._translator.translated(body)
            passing = self._traffic.begin()
            try:
                await self._forward(path, _chosen(request.headers, PASSED_ON), content, passing)
            finally:
                passing.end()

    async def _answer_health(self) -> None:
        """Ask the engine at its own health path; its answer's body is its own business."""
        endpoint, ready = self._publication.endpoint, self._publication.ready
        if not self._publication.engine_lives():
            raise engine_down("the engine has ended")
        try:
            answer = await http.request(
                "GET", endpoint.url(ready.health), uds=endpoint.uds, timeout_s=_HEALTH_S
            )
        except HelperError as error:
            raise engine_down(f"the engine does not answer: {error.message}") from None
        if not ready.healthy(answer.status):
            raise Refusal(
                503,
                f"the engine says that it is not healthy ({answer.status})",
                code="engine_unhealthy",
                kind="server_error",
            )
        await self._send_whole(200, b'{"status": "ok"}', [_JSON])

    # Passing on

    async def _forward(self, path: bytes, headers: Headers, body: bytes, passing: Passing) -> None:
        """Send a request to the engine, and its answer back, until either end goes."""
        relay = asyncio.ensure_future(self._relay(path, headers, body, passing))
        gone = asyncio.ensure_future(self._client_gone())
        try:
            await asyncio.wait([relay, gone], return_when=asyncio.FIRST_COMPLETED)
            if not relay.done():
                raise _ClientGone
            relay.result()
        finally:
            relay.cancel()
            gone.cancel()
            await asyncio.gather(relay, gone, return_exceptions=True)

    async def _client_gone(self) -> None:
        """Return when the user has closed the connection; a next request is kept for later."""
        kept = 0
        while kept < _MOST_KEPT:
            data = await self._reader.read(_READ)
            if not data:
                return
            self._http.receive_data(data)
            kept += len(data)
        await asyncio.Event().wait()  # one who sends that much ahead is not watched any more

    async def _relay(self, path: bytes, headers: Headers, body: bytes, passing: Passing) -> None:
        engine = h11.Connection(h11.CLIENT)
        writer: Optional[asyncio.StreamWriter] = None
        try:
            reader, writer = await self._connect()
            writer.write(_request(engine, path, headers, body))
            await writer.drain()
            await self._pass_back(engine, reader, passing)
        except asyncio.TimeoutError:  # an OSError since Python 3.11
            self._cut_if_begun()
            raise engine_silent(self._publication.silence_s) from None
        except (OSError, h11.RemoteProtocolError) as error:
            log.warning("%s: the engine failed: %s", path.decode(), error)
            self._cut_if_begun()
            raise engine_down("the engine does not answer, or broke off") from None
        finally:
            if writer is not None:
                writer.close()

    async def _connect(self) -> Streams:
        endpoint = self._publication.endpoint
        if not self._publication.engine_lives():
            raise ConnectionRefusedError("its process has ended")
        if endpoint.uds is not None:
            return await asyncio.open_unix_connection(endpoint.uds)
        return await asyncio.open_connection("127.0.0.1", endpoint.port)

    async def _pass_back(
        self, engine: h11.Connection, reader: asyncio.StreamReader, passing: Passing
    ) -> None:
        while True:
            event = engine.next_event()
            if event is h11.NEED_DATA:
                silence_s = self._publication.silence_s
                engine.receive_data(await http.within(silence_s, reader.read(_READ)))
            elif isinstance(event, h11.Response):
                headers = _chosen(event.headers, PASSED_BACK)
                passing.head(event.status_code, dict(headers).get(b"content-type", b""))
                await self._send(h11.Response(status_code=event.status_code, headers=headers))
            elif isinstance(event, h11.Data):
                passing.data(event.data)
                await self._send(h11.Data(data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                return await self._send(h11.EndOfMessage())
            elif isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("it closed the connection without an answer")

    def _cut_if_begun(self) -> None:
        """Where the status is sent already, nobody may take what came so far for the whole."""
        if self._http.our_state is not h11.SEND_RESPONSE:
            self._writer.transport.abort()
            raise _ClientGone

    # The user's end

    async def _head(self) -> Optional[h11.Request]:
        patience_s = IDLE_S if self.admitted else min(IDLE_S, FIRST_S)
        event = await asyncio.wait_for(self._event(patience_s), patience_s)
        return event if isinstance(event, h11.Request) else None

    async def _body(self) -> bytes:
        body = bytearray()
        while True:
            event = await self._event(_BODY_S)
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    raise _too_large()
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)
            else:
                raise _ClientGone

    async def _event(self, timeout_s: float) -> Any:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            data = await asyncio.wait_for(self._reader.read(_READ), timeout_s)
            self._http.receive_data(data)

    async def _discard_rest(self) -> None:
        """Read a little of what is refused: an answer can get lost when much is left unread."""
        if self._http.they_are_waiting_for_100_continue:
            return
        discarded = 0
        with contextlib.suppress(asyncio.TimeoutError, h11.RemoteProtocolError):
            while discarded < _MOST_DISCARDED and self._http.their_state is h11.SEND_BODY:
                event = await self._event(1.0)
                discarded += len(event.data) if isinstance(event, h11.Data) else 0

    async def _send_whole(self, status: int, body: bytes, headers: Headers) -> None:
        length = (b"content-length", str(len(body)).encode())
        await self._send(h11.Response(status_code=status, headers=[*headers, length]))
        await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: Any) -> None:
        if isinstance(event, h11.Response) and self._last:
            event = h11.Response(
                status_code=event.status_code,
                headers=[*event.headers, (b"connection", b"close")],
            )
        data = self._http.send(event)
        if not data:
            return
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError:
            raise _ClientGone from None


_JSON = (b"content-type", b"application/json")


def _too_large() -> Refusal:
    return invalid(f"a request has at most {MAX_BODY} bytes", status=413, code="too_large")


def _check_length(headers: Any) -> None:
    """Refuse what says of itself that it is too long, before it is sent."""
    for name, value in headers:
        if name == b"content-length" and int(value) > MAX_BODY:
            raise _too_large()


def _chosen(headers: Any, names: Tuple[bytes, ...]) -> Headers:
    return [(bytes(name), bytes(value)) for name, value in headers if name in names]


def _request(engine: h11.Connection, path: bytes, headers: Headers, body: bytes) -> bytes:
    head = h11.Request(
        method=b"POST",
        target=path,
        headers=[
            (b"host", b"127.0.0.1"),
            (b"connection", b"close"),
            _JSON,
            (b"content-length", str(len(body)).encode()),
            *headers,
        ],
    )
    events: Tuple[Any, ...] = (head, h11.Data(data=body), h11.EndOfMessage())
    return b"".join(engine.send(event) or b"" for event in events)
