"""Nodes over SSH: asyncssh with the user's own configuration, agent and known hosts.

One `SshDialer` serves a whole fleet. It limits how many connections are being made at once, because
a default sshd drops some above ten (``MaxStartups 10:30:100``), and shares one connection to each
jump host. Nothing is ever asked for on a terminal, and a refused authentication is not tried again:
newer servers ban addresses that fail repeatedly.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from gswarm_tui.errors import (
    AuthenticationError,
    HostKeyError,
    NodeError,
    UnreachableError,
    UsageError,
)

from . import ssh_config
from .base import ByteReader, ByteWriter, ForwardingRefused, NoSocket, Stream
from .hostkeys import Verifier
from .ssh_config import HostSettings

MAX_DIRECT = 64
MAX_THROUGH_JUMP = 8
CONNECT_TIMEOUT_S = 20.0
KEEPALIVE_S = 15.0
KEEPALIVE_COUNT = 3
_FIRST_CIPHER = "^aes128-gcm@openssh.com"  # twice as fast here as the default chacha20
_WINDOW = 8 * 1024 * 1024  # bytes under way on a channel: keeps a long fat path full
MAX_JUMPS = 8
_CLOSE_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class SshAddress:
    """Where a node is; what is None comes from ssh_config.

    Args:
        node: the node's name, for errors.
        jump: hosts to go through, as ``ssh -J`` takes them: ``user@host:port,host``.
        identity: the private key's file.
    """

    node: str
    host: str
    user: str | None = None
    port: int | None = None
    identity: Path | None = None
    jump: str | None = None


class SshDialer:
    """Makes the connections of one fleet, and owns those to jump hosts.

    Args:
        known_hosts: a file of gswarm's own, beside those that ssh_config names.
    """

    def __init__(self, *, known_hosts: Path | None = None) -> None:
        self._known_hosts = known_hosts
        self._direct = asyncio.Semaphore(MAX_DIRECT)
        self._through: dict[str, asyncio.Semaphore] = {}
        self._jumps: dict[str, asyncio.Task[asyncssh.SSHClientConnection]] = {}

    async def dial(self, address: SshAddress) -> SshTransport:
        """Connect to a node.

        Raises:
            UnreachableError, AuthenticationError, HostKeyError: it cannot be.
            UsageError: ssh_config is malformed.
        """
        settings = self._settings(address)
        jump = address.jump or settings.jump
        if not jump:
            async with self._direct:
                return SshTransport(address.node, settings, await _open(address, settings))
        chain = self._whole_chain(jump)
        async with self._through.setdefault(chain, asyncio.Semaphore(MAX_THROUGH_JUMP)):
            tunnel = await self._jump(address.node, chain)
            connection = await _open(address, settings, tunnel=tunnel)
            return SshTransport(address.node, settings, connection)

    async def close(self) -> None:
        """Close the connections to jump hosts; those to nodes are their users'."""
        tasks, self._jumps = list(self._jumps.values()), {}
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, asyncssh.SSHClientConnection):
                await _close(outcome)

    def _settings(self, address: SshAddress) -> HostSettings:
        return ssh_config.read(
            address.host, user=address.user, port=address.port, known_hosts=self._known_hosts
        )

    def _whole_chain(self, jump: str) -> str:
        """`jump` with what ssh_config puts before its first host."""
        hops = jump.split(",")
        while len(hops) <= MAX_JUMPS:
            before = self._settings(_hop(hops[0])).jump
            if not before or before in hops:  # "Host *" may name the jump host for itself
                break
            hops = before.split(",") + hops
        return ",".join(hops)

    async def _jump(self, node: str, chain: str) -> asyncssh.SSHClientConnection:
        """The connection to the last host of `chain`; all who wait for it share one attempt."""
        task = self._jumps.get(chain)
        if task is None or _is_spent(task):
            task = self._jumps[chain] = asyncio.ensure_future(self._open_jump(chain))
        try:
            return await asyncio.shield(task)
        except NodeError as error:
            raise type(error)(
                f"the jump host {error.where}: {error.message}", where=node, hint=error.hint
            ) from error

    async def _open_jump(self, chain: str) -> asyncssh.SSHClientConnection:
        before, _, last = chain.rpartition(",")
        address = _hop(last)
        tunnel = await self._jump(last, before) if before else None
        return await _open(address, self._settings(address), tunnel=tunnel)


class SshTransport:
    """A connection to one node."""

    def __init__(
        self, node: str, settings: HostSettings, connection: asyncssh.SSHClientConnection
    ) -> None:
        self._node = node
        self._settings = settings
        self._connection = connection

    @property
    def lost(self) -> bool:
        return self._connection.is_closed()

    async def execute(self, command: str) -> SshProcess:
        try:
            process = await self._connection.create_process(
                command, encoding=None, request_pty=False, window=_WINDOW
            )
        except (asyncssh.Error, OSError) as error:
            raise UnreachableError(
                f"the server does not run commands: {_reason(error)}",
                where=self._node,
                hint=f"check that this works: ssh {self._settings.target} true",
            ) from error
        return SshProcess(process)

    async def open_unix(self, path: str) -> Stream:
        try:
            reader, writer = await self._connection.open_unix_connection(
                path, encoding=None, window=_WINDOW
            )
        except asyncssh.ChannelOpenError as error:
            if self.lost:
                raise self._cut(error) from error
            if error.code == asyncssh.OPEN_CONNECT_FAILED:
                raise NoSocket(f"{path}: {error.reason}") from error
            raise ForwardingRefused(error.reason) from error
        except (asyncssh.Error, OSError) as error:
            raise self._cut(error) from error
        return Stream(_Reader(reader), _Writer(writer))

    @contextlib.asynccontextmanager
    async def reverse(self, host: str, port: int) -> AsyncIterator[int]:
        try:
            listener = await self._connection.forward_remote_port("127.0.0.1", 0, host, port)
        except asyncssh.ChannelListenError as error:
            if self.lost:
                raise self._cut(error) from error
            raise ForwardingRefused(str(error)) from error
        except (asyncssh.Error, OSError) as error:
            raise self._cut(error) from error
        try:
            yield listener.get_port()
        finally:
            listener.close()

    async def close(self) -> None:
        await _close(self._connection)

    def describe(self) -> str:
        settings = self._settings
        return f"ssh {settings.user}@{settings.host}:{settings.port}"

    def _cut(self, error: Exception) -> UnreachableError:
        return UnreachableError(f"the connection was lost: {_reason(error)}", where=self._node)


class SshProcess:
    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process
        self.stdin: ByteWriter = _Writer(process.stdin)
        self.stdout: ByteReader = _Reader(process.stdout)
        self.stderr: ByteReader = _Reader(process.stderr)

    async def finish(self) -> int | None:
        await self._process.wait_closed()
        return self._process.exit_status

    async def close(self) -> None:
        self._process.close()  # to wait for the word of sshd would cost a round trip


class _Reader:
    """asyncssh's reader; a connection that is lost is an `OSError`, as everywhere else."""

    def __init__(self, reader: asyncssh.SSHReader[bytes]) -> None:
        self._reader = reader

    async def read(self, n: int = -1, /) -> bytes:
        try:
            return await self._reader.read(n)
        except asyncssh.Error as error:
            raise ConnectionResetError(_reason(error)) from error

    async def readexactly(self, n: int, /) -> bytes:
        try:
            return await self._reader.readexactly(n)
        except asyncssh.Error as error:
            raise ConnectionResetError(_reason(error)) from error


class _Writer:
    """asyncssh's writer, likewise."""

    def __init__(self, writer: asyncssh.SSHWriter[bytes]) -> None:
        self._writer = writer

    def write(self, data: bytes, /) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        try:
            await self._writer.drain()
        except asyncssh.Error as error:
            raise ConnectionResetError(_reason(error)) from error

    def write_eof(self) -> None:
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()


async def _open(
    address: SshAddress,
    settings: HostSettings,
    *,
    tunnel: asyncssh.SSHClientConnection | None = None,
) -> asyncssh.SSHClientConnection:
    verifier = Verifier(address.node, settings)
    timeout = settings.connect_timeout or CONNECT_TIMEOUT_S
    try:
        connection = await asyncssh.connect(
            address.host,
            settings.port,
            username=settings.user,
            config=[str(path) for path in settings.files],
            tunnel=tunnel,
            client_factory=lambda: verifier,
            known_hosts=verifier.trusted,
            x509_trusted_certs=None,
            connect_timeout=timeout,
            login_timeout=timeout,
            keepalive_interval=settings.keepalive or KEEPALIVE_S,
            keepalive_count_max=KEEPALIVE_COUNT,
            agent_forwarding=False,
            **({} if settings.own_ciphers else {"encryption_algs": _FIRST_CIPHER}),
            **_identity(address.identity),
        )
    except (asyncssh.Error, OSError, ValueError) as error:
        raise _translate(error, address, settings, verifier, timeout) from error
    try:
        verifier.remember()
    except HostKeyError:
        connection.abort()
        raise
    return connection


async def _close(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    try:
        await asyncio.wait_for(connection.wait_closed(), _CLOSE_TIMEOUT_S)
    except TimeoutError:
        connection.abort()  # nobody reads at the other end any more


def _identity(path: Path | None) -> dict[str, Any]:
    """An identity that is named is the only one: servers count every key that is offered."""
    if path is None:
        return {}
    public = path.with_name(path.name + ".pub")
    options: dict[str, Any] = {"client_keys": [str(path)], "ignore_encrypted": True}
    if public.is_file():  # then the agent may hold it, and no passphrase is needed
        options["agent_identities"] = [str(public)]
    return options


def _translate(
    error: Exception,
    address: SshAddress,
    settings: HostSettings,
    verifier: Verifier,
    timeout: float,
) -> NodeError:
    where = address.node
    there = f"{settings.host} port {settings.port}"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return verifier.error(error.reason)
    if isinstance(error, asyncssh.PermissionDenied):
        return AuthenticationError(
            f"{settings.host} does not accept the user {settings.user} with"
            f" {address.identity or 'the keys of the agent and of ~/.ssh'}",
            where=where,
            hint=f"make this work first: ssh {settings.target} true"
            " (a key with a passphrase belongs into ssh-agent)",
        )
    if isinstance(error, (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, FileNotFoundError)):
        return AuthenticationError(
            f"the key cannot be used: {_reason(error)}",
            where=where,
            hint="check 'identity:' of the node in the inventory, and IdentityFile in ssh_config",
        )
    if isinstance(error, TimeoutError):
        return UnreachableError(
            f"no answer from {there} within {timeout:g} s",
            where=where,
            hint="check that the machine is up and that nothing in between drops the connection",
        )
    if isinstance(error, socket.gaierror):
        return UnreachableError(
            f"the name {settings.host} is not known: {error.strerror}",
            where=where,
            hint="check 'host:' of the node in the inventory",
        )
    return UnreachableError(
        f"no connection to {there}: {_reason(error)}",
        where=where,
        hint=f"check that this works: ssh {settings.target} true",
    )


def _hop(text: str) -> SshAddress:
    """One host of a chain: ``user@host:port``, ``[v6]:port``, each part but the host optional."""
    user, _, rest = text.removeprefix("ssh://").rpartition("@")
    host, port = rest, None
    if rest.startswith("["):
        host, _, tail = rest[1:].partition("]")
        port = tail.removeprefix(":") or None
    elif rest.count(":") == 1:
        host, port = rest.split(":")
    if not host or (port is not None and not port.isdigit()):
        raise UsageError(f"{text!r} is not a jump host", hint="write it as user@host:port")
    return SshAddress(text, host, user=user or None, port=int(port) if port else None)


def _is_spent(task: asyncio.Task[asyncssh.SSHClientConnection]) -> bool:
    """Whether another attempt makes sense: not after a refusal, which would only be repeated."""
    if not task.done():
        return False
    if task.cancelled():
        return True
    error = task.exception()
    if error is not None:
        return not isinstance(error, (AuthenticationError, HostKeyError))
    return task.result().is_closed()


def _reason(error: BaseException) -> str:
    if isinstance(error, (asyncssh.DisconnectError, asyncssh.ChannelOpenError)):
        return error.reason
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)  # asyncio puts its own words into strerror
    return str(error) or type(error).__name__
