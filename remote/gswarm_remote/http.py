"""A small HTTP client: asks an engine for its health, or a URL for a health check.

HTTP/1.1 by h11, over TCP, TLS or a Unix socket; one request for each connection, with a whole body
of limited size. `services.forwarder` streams to users, and `transfer` downloads.
"""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from typing import Any, Coroutine, List, Mapping, Optional, Tuple, TypeVar
from urllib.parse import SplitResult, urlsplit

import h11

from .errors import HelperError, Kind

_READ = 65536
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_VALUE = re.compile(r"(?:[!-~](?:[ -~\t]*[!-~])?)?")  # RFC 9110, 5.5, without its obs-text
_VISIBLE = re.compile(r"[!-~]+")

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Response:
    """An answer.

    Args:
        status: the HTTP status code.
        headers: names in lower case, in the order in which they came.
        body: at most as many bytes as were asked for.
    """

    status: int
    headers: Tuple[Tuple[str, str], ...]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


async def request(
    method: str,
    url: str,
    *,
    uds: Optional[str] = None,
    headers: Optional[Mapping[str, str]] = None,
    body: bytes = b"",
    timeout_s: float = 10.0,
    max_body: int = 65536,
) -> Response:
    """Send one request and read its answer; redirects are not followed.

    Args:
        url: http or https. With `uds` only its path and query count.
        uds: the path of a Unix socket to send it to.
        timeout_s: seconds for all of it.
        max_body: bytes of the answer's body that are kept; the rest is left unread.

    Raises:
        HelperError: `Kind.INVALID` where the request cannot be sent as it is, `Kind.UNREACHABLE`
            where there is no answer, or what comes is not HTTP.
    """
    parts = _split(url)
    _check_head(method, headers or {})
    where = uds or f"{parts.scheme}://{parts.netloc}"
    try:
        return await within(
            timeout_s, _exchange(method, parts, uds, dict(headers or {}), body, max_body)
        )
    except asyncio.TimeoutError:
        raise HelperError(
            Kind.UNREACHABLE, f"no answer within {timeout_s:g} s", where=where
        ) from None
    except h11.LocalProtocolError:  # its text quotes the request, keys and all
        raise HelperError(Kind.INVALID, "the request is malformed", where=where) from None
    except h11.RemoteProtocolError:  # its text quotes the answer, which may quote the request
        raise HelperError(
            Kind.UNREACHABLE, "what answers does not speak HTTP", where=where
        ) from None
    except OSError as error:
        raise HelperError(
            Kind.UNREACHABLE, f"no connection: {_reason(error)}", where=where
        ) from None


def _reason(error: OSError) -> str:
    """The system's words for a refusal, in whose place asyncio puts its own."""
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    return error.strerror or str(error)


async def within(seconds: Optional[float], work: Coroutine[Any, Any, _Result]) -> _Result:
    """As asyncio.wait_for, which before Python 3.12 can lose a cancellation of its caller.

    Raises:
        asyncio.TimeoutError: it took longer; None is for as long as it takes.
    """
    if seconds is None:
        return await work
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task], timeout=seconds)
        if not task.done():
            raise asyncio.TimeoutError
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _split(url: str) -> SplitResult:
    """Take a URL apart; no error quotes it, for its wrong part may be somebody's password."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        raise HelperError(
            Kind.INVALID, "this is no URL: its host or its port is malformed"
        ) from None
    if "@" in parts.netloc:
        raise HelperError(
            Kind.INVALID,
            "a URL must not hold a user or a password",
            hint="send an Authorization header instead",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise HelperError(
            Kind.INVALID, "a URL has to begin with http:// or https:// and name a host"
        )
    if not _VISIBLE.fullmatch(url):
        raise HelperError(
            Kind.INVALID,
            "a URL has ASCII characters only, and no spaces",
            where=f"{parts.scheme}://{parts.netloc}",
            hint="write others as %20 and the like",
        )
    return parts


def _check_head(method: str, headers: Mapping[str, str]) -> None:
    """Refuse what cannot be sent; a value is never quoted, for it may be a key.

    Raises:
        HelperError: `Kind.INVALID`, with the header's name.
    """
    if not _TOKEN.fullmatch(method):
        raise HelperError(Kind.INVALID, "the request's method is malformed")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise HelperError(Kind.INVALID, "the name of one of the request's headers is malformed")
        if not _VALUE.fullmatch(value):
            raise HelperError(
                Kind.INVALID,
                f"the value of the header {name} cannot be sent",
                hint="it may have ASCII characters only, no line ends, and no space around it",
            )


async def _exchange(
    method: str,
    parts: SplitResult,
    uds: Optional[str],
    headers: Mapping[str, str],
    body: bytes,
    max_body: int,
) -> Response:
    connection = h11.Connection(h11.CLIENT)
    data = _request_bytes(connection, method, parts, headers, body)
    reader, writer = await _connect(parts, uds)
    try:
        writer.write(data)
        await writer.drain()
        return await _answer(connection, reader, max_body)
    finally:
        writer.close()


def _request_bytes(
    connection: h11.Connection,
    method: str,
    parts: SplitResult,
    headers: Mapping[str, str],
    body: bytes,
) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields: List[Tuple[str, str]] = [("host", parts.netloc), ("connection", "close")]
    if body or method not in ("GET", "HEAD"):
        fields.append(("content-length", str(len(body))))
    given = {name for name, _ in fields}
    fields += [(name, value) for name, value in headers.items() if name.lower() not in given]
    sent = connection.send(h11.Request(method=method, target=target, headers=fields)) or b""
    sent += (connection.send(h11.Data(data=body)) or b"") if body else b""
    return sent + (connection.send(h11.EndOfMessage()) or b"")


async def _connect(
    parts: SplitResult, uds: Optional[str]
) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if uds is not None:
        return await asyncio.open_unix_connection(uds)
    if parts.scheme == "http":
        return await asyncio.open_connection(parts.hostname, parts.port or 80)
    import ssl

    return await asyncio.open_connection(
        parts.hostname, parts.port or 443, ssl=ssl.create_default_context()
    )


async def _answer(
    connection: h11.Connection, reader: asyncio.StreamReader, max_body: int
) -> Response:
    head: Optional[h11.Response] = None
    body = bytearray()
    silent = True
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(_READ)
            silent = silent and not data
            if silent:
                raise ConnectionError("it was closed without an answer")
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > max_body:
                break
        elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
            break
    if head is None:
        raise h11.RemoteProtocolError("the connection was closed before an answer")
    return Response(
        status=head.status_code,
        headers=tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers
        ),
        body=bytes(body[:max_body]),
    )
