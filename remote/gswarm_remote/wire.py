"""The one definition of what travels between a controller and a helper.

A frame is a 4-byte big-endian length and that many bytes of MessagePack. Messages are those of
MessagePack-RPC (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md), with parameters
always a map:

    [0, id, method, params]     a request
    [1, id, error, result]      its response; error is nil or {kind, message, hint, where}
    [2, method, params]         a notification: ``cancel {id}`` and ``progress {id, ...}``

The first frame of every connection is the request ``hello``. Bytes of models never travel in
frames: a second connection says ``hello`` with the role ``bulk`` and a one-use token, and carries
them raw.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Dict, Optional, Union

import msgpack

PROTOCOL = 1
"""The protocol's major version; peers of another one answer an error that says what to do."""

MAX_FRAME = 16 * 1024 * 1024
"""Bytes in a frame, at most, once a peer has said hello."""

MAX_HELLO = 64 * 1024
"""Bytes in a frame before that: nothing large is read from a stranger."""

MAX_ITEMS = 2**21
"""Items in one list or map of a message, at most: the pieces of a 32 TB model."""

_HEADER = 4
_REQUEST, _RESPONSE, _NOTIFICATION = 0, 1, 2
_MAX_ID = 2**63


class WireError(Exception):
    """The peer sent what is not the protocol; the connection cannot go on. Its text says why."""


class ConnectionLost(WireError):
    """The connection ended while something was still expected of it."""


@dataclass(frozen=True)
class Request:
    id: int
    method: str
    params: Dict[str, Any]


@dataclass(frozen=True)
class Response:
    id: int
    error: Optional[Dict[str, Any]]
    result: Any


@dataclass(frozen=True)
class Notification:
    method: str
    params: Dict[str, Any]


Message = Union[Request, Response, Notification]


def pack(message: Message) -> bytes:
    """The frame for `message`.

    Raises:
        WireError: it is larger than `MAX_FRAME`.
        TypeError: it holds something that MessagePack has no form for.
    """
    if isinstance(message, Request):
        body = [_REQUEST, message.id, message.method, message.params]
    elif isinstance(message, Response):
        body = [_RESPONSE, message.id, message.error, message.result]
    else:
        body = [_NOTIFICATION, message.method, message.params]
    data: bytes = msgpack.packb(body, use_bin_type=True)
    if len(data) > MAX_FRAME:
        raise WireError(f"a message of {len(data)} bytes is over the limit of {MAX_FRAME}")
    return len(data).to_bytes(_HEADER, "big") + data


def unpack(data: bytes) -> Message:
    """The message in a frame's body.

    Raises:
        WireError: it is not MessagePack, or not one of the three messages.
    """
    try:
        body = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            ext_hook=_refuse_extension,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
        )
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise WireError(f"a frame that is not MessagePack: {reason:.200}") from None
    if isinstance(body, list) and body:
        message = _message(body)
        if message is not None:
            return message
    raise WireError("a frame that is neither a request, a response nor a notification")


async def read(reader: Any, *, limit: int = MAX_FRAME) -> Optional[Message]:
    """Read one message; None where the connection ends between two frames.

    Args:
        reader: an `asyncio.StreamReader`, or asyncssh's, which reads alike.
        limit: bytes in the frame, at most.

    Raises:
        WireError: the frame is too large or malformed.
        ConnectionLost: the connection ended inside the frame.
    """
    try:
        header = await reader.readexactly(_HEADER)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ConnectionLost("the connection ended inside a frame") from None
        return None
    length = int.from_bytes(header, "big")
    if length > limit:
        raise WireError(f"a frame of {length} bytes is over the limit of {limit}")
    try:
        return unpack(await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        raise ConnectionLost("the connection ended inside a frame") from None


def _message(body: list[Any]) -> Optional[Message]:
    kind = body[0]
    if kind == _REQUEST and len(body) == 4:
        _, request_id, method, params = body
        if _is_id(request_id) and isinstance(method, str) and isinstance(params, dict):
            return Request(request_id, method, params)
    elif kind == _RESPONSE and len(body) == 4:
        _, request_id, error, result = body
        if _is_id(request_id) and (error is None or isinstance(error, dict)):
            return Response(request_id, error, result)
    elif kind == _NOTIFICATION and len(body) == 3:
        _, method, params = body
        if isinstance(method, str) and isinstance(params, dict):
            return Notification(method, params)
    return None


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_ID


def _refuse_extension(code: int, data: bytes) -> Any:
    raise ValueError(f"extension type {code} is not used here")
