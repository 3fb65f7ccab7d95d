"""Requests in both directions over one connection, on top of the frames of `wire`.

`Peer` owns one connection. The controller uses it to call; the helper gives it handlers.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Dict, List, Mapping, Optional, Set

from . import output, wire
from .errors import HelperError, Kind

if TYPE_CHECKING:
    from .tasks.entry import Entry

log = logging.getLogger("gswarm.rpc")

MAX_CONCURRENT = 256
"""Requests of one connection that may be under way at once."""

ProgressListener = Callable[[Dict[str, Any]], None]
Handler = Callable[["Call", Dict[str, Any]], Awaitable[Any]]


class Call:
    """One request as its handler sees it.

    Attributes:
        connection_lost: the requester has gone without cancelling; long work goes on.
        entry: the task that it is done for, and as what the result is kept.
    """

    def __init__(self, peer: Peer, request_id: int) -> None:
        self._peer = peer
        self._id = request_id
        self._newest: Optional[Dict[str, Any]] = None
        self._sender: Optional[asyncio.Task[None]] = None
        self.connection_lost = False
        self.entry: Optional[Entry] = None

    @property
    def connection(self) -> object:
        """What is the same for all requests of one connection."""
        return self._peer

    def when_lost(self, told: Callable[[], None]) -> None:
        """Have `told` called when the connection ends, however that is."""
        self._peer.when_closed(told)

    def cancel(self) -> None:
        """End this request, as if the requester had cancelled it."""
        self._peer.cancel_served(self._id)

    def progress(self, report: Dict[str, Any]) -> None:
        """Tell the requester how far the work is; a slow one gets the newest report only.

        Of output nothing is passed over: see `output`.
        """
        self._newest = output.joined(self._newest, report)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.ensure_future(self._send_newest())

    async def tell(self, report: Dict[str, Any]) -> None:
        """Send a report, and return when the connection has taken it.

        For those who know themselves what to leave out when the requester is slow.

        Raises:
            wire.ConnectionLost: the connection has ended.
        """
        await self._peer.notify("progress", dict(report, id=self._id))

    async def _send_newest(self) -> None:
        with contextlib.suppress(wire.WireError):
            while self._newest is not None:
                report, self._newest = self._newest, None
                await self._peer.notify("progress", dict(report, id=self._id))

    async def settle(self) -> None:
        """Wait until the reports given so far are sent: none follows the response."""
        if self._sender is not None and not self.connection_lost:
            await asyncio.wait([self._sender])


class Peer:
    """One end of a connection on which `hello` has been said.

    Args:
        reader, writer: asyncio streams, or asyncssh's, which behave alike.
        handlers: what this end answers; a controller answers nothing.
    """

    def __init__(
        self, reader: Any, writer: Any, handlers: Optional[Mapping[str, Handler]] = None
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handlers: Mapping[str, Handler] = handlers or {}
        self._ids = itertools.count(1)
        self._waiting: Dict[int, asyncio.Future[Any]] = {}
        self._listeners: Dict[int, ProgressListener] = {}
        self._serving: Dict[int, asyncio.Task[None]] = {}
        self._calls: Dict[int, Call] = {}
        self._closed: Optional[str] = None
        self._when_closed: List[Callable[[], None]] = []

    @property
    def closed(self) -> Optional[str]:
        """Why the connection has ended, or None while it is up."""
        return self._closed

    async def run(self) -> None:
        """Read until the connection ends; every call that waits then fails.

        Raises:
            wire.WireError: the other end sent what is not the protocol.
        """
        reason = "the connection was closed by the other end"
        try:
            while True:
                message = await wire.read(self._reader)
                if message is None:
                    return
                self._receive(message)
        except wire.WireError as error:
            reason = str(error)
            raise
        except OSError as error:
            reason = str(error)
        finally:
            self._end(reason)

    async def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        progress: Optional[ProgressListener] = None,
    ) -> Any:
        """Ask the other end; cancelling this cancels it there.

        Raises:
            HelperError: the other end's own error.
            wire.ConnectionLost: the connection ended before the answer.
        """
        if self._closed is not None:
            raise wire.ConnectionLost(self._closed)
        request_id = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        if progress is not None:
            self._listeners[request_id] = progress
        try:
            await self._send(wire.Request(request_id, method, dict(params)))
            # To await the future itself would have a cancel end it, and an answer that comes in the
            # same moment find nobody; none would ever follow.
            await asyncio.wait([future])
        except asyncio.CancelledError:
            if not future.done():
                await self._cancel_there(request_id, future)
            raise
        finally:
            self._waiting.pop(request_id, None)
            self._listeners.pop(request_id, None)
            if not future.done():
                future.cancel()
            elif not future.cancelled():
                future.exception()  # seen, also where the caller has given up
        return future.result()

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send what needs no answer.

        Raises:
            wire.ConnectionLost: the connection has ended.
        """
        await self._send(wire.Notification(method, dict(params)))

    def close(self) -> None:
        """Close the connection; what waits fails, and what this end serves goes on where it can."""
        self._end("the connection was closed")
        self._writer.close()

    def when_closed(self, told: Callable[[], None]) -> None:
        """Have `told` called once, when the connection has ended."""
        if self._closed is not None:
            told()
        else:
            self._when_closed.append(told)

    def cancel_served(self, request_id: int) -> None:
        """Cancel a request of the other end, if it is under way."""
        task = self._serving.get(request_id)
        if task is not None:
            # Not before its first step, which a request that comes with its cancel has still ahead
            # of it: a task that is cancelled there never runs, and nobody would be answered.
            asyncio.get_running_loop().call_soon(task.cancel)

    # What the other end sends

    def _receive(self, message: wire.Message) -> None:
        if isinstance(message, wire.Request):
            self._serve(message)
        elif isinstance(message, wire.Response):
            self._answered(message)
        elif message.method == "cancel":
            self.cancel_served(message.params.get("id", -1))
        elif message.method == "progress":
            listener = self._listeners.get(message.params.get("id", -1))
            if listener is not None:
                listener(message.params)

    def _answered(self, response: wire.Response) -> None:
        future = self._waiting.get(response.id)
        if future is None or future.done():
            return  # the caller gave up in the meantime
        if response.error is not None:
            future.set_exception(HelperError.from_wire(response.error))
        else:
            future.set_result(response.result)

    def _serve(self, request: wire.Request) -> None:
        if request.id in self._serving:
            raise wire.WireError(f"request id {request.id} is used twice at once")
        call = Call(self, request.id)
        task = asyncio.ensure_future(self._respond(call, request))
        self._serving[request.id] = task
        self._calls[request.id] = call
        task.add_done_callback(lambda _: self._served(request.id))

    def _served(self, request_id: int) -> None:
        del self._serving[request_id]
        del self._calls[request_id]

    async def _respond(self, call: Call, request: wire.Request) -> None:
        error: Optional[HelperError] = None
        result: Any = None
        try:
            result = await self._handle(call, request)
        except HelperError as raised:
            error = raised
        except asyncio.CancelledError:
            if call.connection_lost:
                return
            error = HelperError(Kind.CANCELLED, f"{request.method} was cancelled")
        except Exception as raised:
            log.exception("%s failed", request.method)
            error = HelperError(
                Kind.INTERNAL,
                f"{request.method} failed with {type(raised).__name__}: {raised}",
                hint="this is a bug in gswarm; the traceback is in logs/helper.log on the node",
            )
        with contextlib.suppress(wire.ConnectionLost):
            await call.settle()
            await self._send(self._response(request.id, error, result))

    async def _handle(self, call: Call, request: wire.Request) -> Any:
        if len(self._serving) > MAX_CONCURRENT:
            raise HelperError(
                Kind.INVALID, f"more than {MAX_CONCURRENT} requests at once on one connection"
            )
        handler = self._handlers.get(request.method)
        if handler is None:
            raise HelperError(
                Kind.UNSUPPORTED,
                f"this helper has no method {request.method!r:.80}",
                hint="another version of the helper runs there: 'gswarm down' that node first",
            )
        return await handler(call, request.params)

    def _response(
        self, request_id: int, error: Optional[HelperError], result: Any
    ) -> wire.Response:
        response = wire.Response(request_id, error.to_wire() if error else None, result)
        try:
            wire.pack(response)
        except (wire.WireError, TypeError, ValueError, OverflowError) as unpackable:
            broken = HelperError(Kind.INTERNAL, f"the result cannot be sent: {unpackable}")
            return wire.Response(request_id, broken.to_wire(), None)
        return response

    # What this end sends

    async def _send(self, message: wire.Message) -> None:
        frame = wire.pack(message)
        if self._closed is not None:
            raise wire.ConnectionLost(self._closed)
        try:
            self._writer.write(frame)
            await self._writer.drain()
        except OSError as error:
            raise wire.ConnectionLost(f"the connection was lost: {error}") from error

    async def _cancel_there(self, request_id: int, answer: asyncio.Future[Any]) -> None:
        """Ask the other end to stop, and wait for its word: then nothing of the request goes on."""
        with contextlib.suppress(wire.WireError):
            await self.notify("cancel", {"id": request_id})
            await asyncio.wait([answer])

    def _end(self, reason: str) -> None:
        if self._closed is not None:
            return
        self._closed = reason
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(wire.ConnectionLost(reason))
        tasks: Set[asyncio.Task[None]] = set()
        for request_id, task in self._serving.items():
            self._calls[request_id].connection_lost = True
            tasks.add(task)
        for task in tasks:
            task.cancel()
        told, self._when_closed = self._when_closed, []
        for tell in told:
            tell()


async def say_hello(reader: Any, writer: Any, params: Mapping[str, Any]) -> Dict[str, Any]:
    """Say hello as the one who connected, and return the helper's answer.

    Raises:
        HelperError: the helper refused.
        wire.WireError: whatever listens there is no helper.
    """
    writer.write(wire.pack(wire.Request(0, "hello", dict(params))))
    await writer.drain()
    answer = await wire.read(reader)
    if answer is None:
        raise wire.ConnectionLost("the connection was closed before the helper said hello")
    if not isinstance(answer, wire.Response) or answer.id != 0:
        raise wire.WireError("the first answer is not the helper's hello")
    if answer.error is not None:
        raise HelperError.from_wire(answer.error)
    if not isinstance(answer.result, dict):
        raise wire.WireError("the helper's hello is malformed")
    return answer.result
