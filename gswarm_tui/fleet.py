"""All nodes at once: connect, reconnect, ask.

::

    async with Fleet(inventory, home) as fleet:
        info = await fleet.node("node1").call("node.info")

A node is connected to on first use, once for all callers. A call that is under way when the
connection is lost fails, unless it is `REPEATABLE`; the next call connects again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, Self, final
from urllib.parse import urlsplit

from gswarm_remote import wire
from gswarm_remote.errors import HelperError
from gswarm_remote.methods import KEPT

from gswarm_tui.connect.base import ByteReader, ByteWriter, ForwardingRefused, Transport
from gswarm_tui.connect.bootstrap import HelperSpec
from gswarm_tui.connect.bundle import Bundles
from gswarm_tui.connect.helper import Connector, HelperConnection
from gswarm_tui.connect.local import LocalTransport
from gswarm_tui.connect.remembered import Routes
from gswarm_tui.errors import (
    AuthenticationError,
    GswarmError,
    HostKeyError,
    RemoteError,
    UnreachableError,
)
from gswarm_tui.home import Home
from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.loopback import is_loopback
from gswarm_tui.standing import Standing

if TYPE_CHECKING:
    from gswarm_tui.connect.ssh import SshDialer

IDLE_EXIT_VARIABLE = "GSWARM_IDLE_EXIT"
"""Seconds after which a helper without a reason to stay ends; for helpers that are started now."""

REPEATABLE = KEPT | {"node.info", "node.status", "model.manifest", "lease.take"}
"""What a helper does once, however often it is asked."""

TASK: ContextVar[str | None] = ContextVar("gswarm_task", default=None)
"""What work on nodes is known by while a job's task runs: ``job key/action id/attempt``."""

_ATTEMPTS = 3
_RECONNECTS = 5
_FIRST_DELAY_S = 0.25
_TOLD_WITHIN_S = 10.0
"""How long a cancel waits for a lost node: somebody sits before it."""

State = Literal["new", "connecting", "connected", "lost", "failed"]
ProgressListener = Callable[[dict[str, Any]], None]
Dial = Callable[[NodeSpec], Awaitable[Transport]]


@final
class Node:
    """One node of a fleet. Made by `Fleet`, which closes it.

    Attributes:
        spec: what the inventory says of it.
        error: why it could not be connected to, when that was tried last.
        standing: the leases of tasks there.
    """

    def __init__(
        self, spec: NodeSpec, dial: Dial, connector: Connector, helper: HelperSpec
    ) -> None:
        self.spec = spec
        self.error: GswarmError | None = None
        self.standing = Standing()
        self._dial = dial
        self._connector = connector
        self._helper_spec = helper
        self._transport: Transport | None = None
        self._helper: HelperConnection | None = None
        self._attempt: asyncio.Task[HelperConnection] | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def state(self) -> State:
        if self._attempt is not None and not self._attempt.done():
            return "connecting"
        if self.error is not None:
            return "failed"
        if self._helper is None:
            return "new"
        return "connected" if self._helper.peer.closed is None else "lost"

    @property
    def hello(self) -> Mapping[str, Any] | None:
        """What the helper said of itself; None before the first connection."""
        return self._helper.hello if self._helper is not None else None

    async def connect(self) -> None:
        """Connect, if it is not; every other method does so by itself.

        Raises:
            NodeError: it cannot be.
        """
        await self._connected()

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        progress: ProgressListener | None = None,
    ) -> Any:
        """Ask the node's helper; cancelling this cancels what was asked, there too.

        What the helper does once however often it is asked (`REPEATABLE`) is asked for again where
        the connection is lost meanwhile: then this attaches to the work, which went on. It is asked
        for in the name of `TASK`, where that is set: so a later controller finds it by that.

        Args:
            progress: gets the reports of long work as the helper sends them.

        Raises:
            RemoteError: the helper's answer is an error.
            NodeError: the node could not be reached, or was lost meanwhile; also in place of a
                cancel that could not be passed on, so that nobody takes the work for ended.
        """
        attempts = _ATTEMPTS if method in REPEATABLE else 1
        sent = in_the_name_of_the_task(method, params or {})
        helper: HelperConnection | None = None
        try:
            while True:
                helper = await self._connected()
                attempts -= 1
                try:
                    with self._translated():
                        return await helper.peer.call(method, sent, progress=progress)
                except UnreachableError:
                    if not attempts:
                        raise
        except asyncio.CancelledError:
            untold = helper is not None and helper.peer.closed is not None
            if untold and method in KEPT and "task" in sent:
                await self._end_task(sent["task"])
            raise

    async def open_bulk(self, token: str) -> tuple[ByteReader, ByteWriter]:
        """A raw connection for the bytes that belong to `token`.

        Raises:
            RemoteError: the helper knows no such token.
            NodeError: the node could not be reached, or was lost meanwhile.
        """
        helper = await self._connected()
        with self._translated():
            stream = await helper.open_bulk(token)
            return stream.reader, stream.writer

    @contextlib.asynccontextmanager
    async def expose(self, url: str) -> AsyncIterator[str]:
        """The URL at which the node reaches what answers here at `url`, while the block runs.

        Only what listens on this machine's loopback needs more than `url` itself: over SSH, a port
        on the node's loopback is forwarded to it.

        Raises:
            NodeError: the node could not be reached, or its server does not forward ports.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        if self.spec.connection == "local" or not is_loopback(host):
            yield url
            return
        await self._connected()
        assert self._transport is not None
        port = parts.port or (443 if parts.scheme == "https" else 80)
        async with contextlib.AsyncExitStack() as stack:
            try:
                there = await stack.enter_async_context(self._transport.reverse(host, port))
            except ForwardingRefused as error:
                raise UnreachableError(
                    f"{parts.scheme}://{parts.netloc} answers on this machine only, and the node's"
                    f" server forwards no port to it: {error}",
                    where=self.name,
                    hint="allow it there (AllowTcpForwarding in sshd_config), or use an address"
                    " that the node can reach",
                ) from error
            yield parts._replace(netloc=f"127.0.0.1:{there}").geturl()

    async def close(self) -> None:
        """Let go of the node; its helper goes on for as long as it has a reason to."""
        self.standing.close()
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
            await asyncio.wait([attempt])
        if self._helper is not None:
            await self._helper.close()
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    async def _end_task(self, task: str) -> None:
        """End what the node does for a task, where the connection was lost before it was told.

        Raises:
            UnreachableError: it could not be told.
        """
        try:
            async with asyncio.timeout(_TOLD_WITHIN_S):
                helper = await self._connected()
                with self._translated():
                    await helper.peer.call("task.cancel", {"prefix": task})
        except (GswarmError, TimeoutError) as error:
            reason = error.message if isinstance(error, GswarmError) else "it does not answer"
            raise UnreachableError(
                f"the cancel could not be passed on, and what it does may go on: {reason}",
                where=self.name,
                hint="when the node answers again, gswarm job retry takes up what came of it",
            ) from error

    # Connecting

    async def _connected(self) -> HelperConnection:
        if self._helper is not None and self._helper.peer.closed is None:
            return self._helper
        if isinstance(self.error, (AuthenticationError, HostKeyError)):
            raise self.error  # it would only be refused again, and counted by the server
        if self._attempt is None or self._attempt.done():
            self._attempt = asyncio.ensure_future(self._connect())
            self._attempt.add_done_callback(_heard)
        return await asyncio.shield(self._attempt)

    async def _connect(self) -> HelperConnection:
        """Connect; where a connection was lost, with some patience."""
        patience = _RECONNECTS if self._helper is not None else 0
        try:
            for attempt in range(patience):
                with contextlib.suppress(UnreachableError):
                    return await self._connect_once()
                jitter = random.uniform(0.5, 1.5)  # noqa: S311
                await asyncio.sleep(_FIRST_DELAY_S * 2**attempt * jitter)
            return await self._connect_once()
        except GswarmError as error:
            self.error = error
            raise

    async def _connect_once(self) -> HelperConnection:
        if self._helper is not None:
            await self._helper.close()
        if self._transport is None or self._transport.lost:
            self._transport = await self._dial(self.spec)
        helper = await self._connector.connect(self._transport, self._helper_spec)
        try:
            with self._translated():
                await helper.peer.call("node.configure", self.spec.node_settings())
        except BaseException:
            await helper.close()
            raise
        self._helper, self.error = helper, None
        self.standing.renew(helper)
        return helper

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except HelperError as error:
            where = f"{self.name}: {error.where}" if error.where else self.name
            raise RemoteError(
                error.message, kind=error.kind, where=where, hint=error.hint
            ) from None
        except (wire.WireError, OSError) as error:
            message = f"connection lost: {error or type(error).__name__}"
            raise UnreachableError(message, where=self.name, hint="try again") from error


@final
class Fleet:
    """The nodes of an inventory; an async context manager, whose end closes all connections.

    Args:
        inventory: which nodes there are.
        home: the controller's data directory, for what is remembered and fetched.
        idle_exit_s: seconds after which helpers started here end when they have no reason to stay;
            by default $GSWARM_IDLE_EXIT, or the helper's own default of a minute.
        notice: is told, in a sentence, what takes long; by default stderr.
    """

    def __init__(
        self,
        inventory: Inventory,
        home: Home,
        *,
        idle_exit_s: float | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        self.inventory = inventory
        self.home = home
        self._idle_exit_s = idle_exit_s if idle_exit_s is not None else _idle_exit()
        bundles = Bundles(home.cache, notice=notice or _to_stderr)
        self._connector = Connector(bundles, Routes(home.cache / "routes"))
        self._dialer: SshDialer | None = None
        self._nodes: dict[str, Node] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def node(self, name_or_host: str) -> Node:
        """The node of that name, or the only one with that host; not connected to yet.

        Raises:
            DeviceError: the inventory has none.
        """
        spec = self.inventory.node(name_or_host)
        if spec.name not in self._nodes:
            own = (sys.executable or None) if spec.connection == "local" else None
            helper = HelperSpec(
                spec.name, spec.root, python=spec.python or own, idle_exit_s=self._idle_exit_s
            )
            self._nodes[spec.name] = Node(spec, self._dial, self._connector, helper)
        return self._nodes[spec.name]

    async def gather(
        self, nodes: Iterable[str], method: str, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Ask several nodes at once: each one's answer, or the `GswarmError` that came instead."""

        async def ask(name: str) -> Any:
            try:
                return await self.node(name).call(method, params)
            except GswarmError as error:
                return error

        names = list(dict.fromkeys(nodes))
        return dict(zip(names, await asyncio.gather(*map(ask, names)), strict=True))

    async def close(self) -> None:
        nodes, self._nodes = list(self._nodes.values()), {}
        await asyncio.gather(*(node.close() for node in nodes))
        dialer, self._dialer = self._dialer, None
        if dialer is not None:
            await dialer.close()

    async def _dial(self, spec: NodeSpec) -> Transport:
        if spec.connection == "local":
            return LocalTransport()
        from gswarm_tui.connect.ssh import SshAddress, SshDialer  # asyncssh takes long to import

        if self._dialer is None:
            self._dialer = SshDialer(known_hosts=self.home.known_hosts)
        address = SshAddress(
            spec.name,
            spec.host,
            user=spec.user,
            port=spec.port,
            identity=spec.identity,
            jump=spec.jump,
        )
        return await self._dialer.dial(address)


def in_the_name_of_the_task(method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """`params` with the key of the task that asks, for what a helper keeps by it."""
    task = TASK.get()
    if task is None or method not in REPEATABLE:
        return params
    return {"task": task, **params}


def _heard(task: asyncio.Task[HelperConnection]) -> None:
    """Those who waited know; where all of them were cancelled, nobody needs to."""
    if not task.cancelled():
        task.exception()


def _idle_exit() -> float | None:
    try:
        return float(os.environ[IDLE_EXIT_VARIABLE])
    except (KeyError, ValueError):
        return None


def _to_stderr(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
