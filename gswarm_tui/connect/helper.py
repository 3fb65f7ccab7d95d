"""A connection to the helper of a node: the quick way where one runs, stage 0 where none does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from gswarm_remote import wire
from gswarm_remote.errors import HelperError
from gswarm_remote.rpc import Peer, say_hello

from gswarm_tui.errors import BootstrapError, UnreachableError

from .base import ForwardingRefused, NoSocket, Stream, Transport
from .bootstrap import HelperSpec, Listening, open_bridge, start_helper
from .bundle import Bundles, built, bundle_hash
from .remembered import Route, Routes

HELLO_TIMEOUT_S = 15.0


class HelperConnection:
    """A helper that has said hello.

    Attributes:
        peer: for calls.
        hello: what the helper said of itself.
    """

    def __init__(
        self, stream: Stream, hello: dict[str, Any], connect: Callable[[], Awaitable[Stream]]
    ) -> None:
        self.peer = Peer(stream.reader, stream.writer)
        self.hello = hello
        self._connect = connect
        self._running = asyncio.ensure_future(self._run())

    async def open_bulk(self, token: str) -> Stream:
        """Another connection to the same helper, for the bytes that belong to `token`.

        Raises:
            HelperError: the helper knows no such token.
            wire.WireError, OSError, asyncio.TimeoutError: it cannot be made.
        """
        stream = await self._connect()
        try:
            await _hello(stream, role="bulk", token=token)
        except BaseException:
            stream.writer.close()
            raise
        return stream

    async def close(self) -> None:
        self.peer.close()
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running

    async def _run(self) -> None:
        try:
            await self.peer.run()
        except wire.WireError:
            pass  # those who wait for an answer are told
        finally:
            self.peer.close()


class Connector:
    """Connects to helpers, and remembers how.

    Args:
        bundles: what a node without the helper gets.
        routes: where the ways are remembered.
    """

    def __init__(self, bundles: Bundles, routes: Routes) -> None:
        self._bundles = bundles
        self._routes = routes

    async def connect(self, transport: Transport, spec: HelperSpec) -> HelperConnection:
        """Connect to the node's helper; start it, or replace an older one, where need be.

        Raises:
            BootstrapError: it cannot be started, or speaks another protocol.
            UnreachableError: the connection was lost.
        """
        key = f"{transport.describe()} {spec.root}"
        try:
            found = await self._warm(transport, spec, key)
            connection, route = found or await self._cold(transport, spec, key)
            if is_newer(connection.hello):
                await connection.close()
                old = Listening(route.socket, int(connection.hello["pid"]))
                connection, _ = await self._cold(transport, spec, key, end=old)
        except HelperError as error:
            hint = error.hint or "use the same gswarm release wherever this node is used"
            raise BootstrapError(error.message, where=spec.node, hint=hint) from error
        except (wire.WireError, OSError) as error:
            raise UnreachableError(
                f"the helper's connection was lost: {error}",
                where=spec.node,
                hint="try again; what the helper did is in hosts/*/logs/helper.log below its root",
            ) from error
        return connection

    async def _warm(
        self, transport: Transport, spec: HelperSpec, key: str
    ) -> tuple[HelperConnection, Route] | None:
        """The helper that answered last time, or None."""
        route = self._routes.get(key)
        if route is None:
            return None
        connect = self._way(transport, spec, route)
        with contextlib.suppress(NoSocket, ForwardingRefused, wire.WireError, TimeoutError):
            return await _greet(connect), route
        return None

    async def _cold(
        self, transport: Transport, spec: HelperSpec, key: str, *, end: Listening | None = None
    ) -> tuple[HelperConnection, Route]:
        """Let stage 0 find or start one."""
        listening = await start_helper(transport, spec, self._bundles, end=end)
        try:
            connection, route = await self._reach(transport, spec, listening.socket)
        except TimeoutError:  # it holds the root and is stuck: ending it is harmless
            listening = await start_helper(transport, spec, self._bundles, end=listening)
            try:
                connection, route = await self._reach(transport, spec, listening.socket)
            except TimeoutError:
                raise BootstrapError(
                    "the helper was started and does not answer",
                    where=spec.node,
                    hint=f"look at the load of the machine, and at process {listening.pid} on it",
                ) from None
        self._routes.put(key, route)
        return connection, route

    async def _reach(
        self, transport: Transport, spec: HelperSpec, socket: str
    ) -> tuple[HelperConnection, Route]:
        """Connect to a helper that is known to listen; where the server does not let us, bridge."""
        for route in (Route(socket), Route(socket, bridged=True)):
            with contextlib.suppress(NoSocket, ForwardingRefused):
                return await _greet(self._way(transport, spec, route)), route
        raise AssertionError("a bridge raises neither")

    def _way(
        self, transport: Transport, spec: HelperSpec, route: Route
    ) -> Callable[[], Awaitable[Stream]]:
        if route.bridged:
            return lambda: open_bridge(transport, spec, self._bundles, socket=route.socket)
        return lambda: transport.open_unix(route.socket)


def is_newer(hello: dict[str, Any]) -> bool:
    """Whether the controller's own helper is newer than the one that said `hello`."""
    if hello.get("hash") == bundle_hash():
        return False
    match hello.get("built"):
        case [str() as version, int() as modified]:
            return _order(built()) > _order((version, modified))
    return True


def _order(version_and_time: tuple[str, int]) -> tuple[tuple[int, ...], int]:
    version, time = version_and_time
    return tuple(int(part) if part.isdigit() else 0 for part in version.split(".")), time


async def _greet(connect: Callable[[], Awaitable[Stream]]) -> HelperConnection:
    stream = await connect()
    try:
        hello = await _hello(stream, role="control")
    except BaseException:
        stream.writer.close()
        raise
    return HelperConnection(stream, hello, connect)


async def _hello(stream: Stream, **params: str) -> dict[str, Any]:
    """Say hello, and wait for the answer.

    Raises:
        HelperError: the helper refused.
        wire.WireError, OSError: whatever listens there is no helper, or is gone.
        TimeoutError: it does not answer.
    """
    asked = {"protocol": wire.PROTOCOL, **params}
    return await asyncio.wait_for(say_hello(stream.reader, stream.writer, asked), HELLO_TIMEOUT_S)
