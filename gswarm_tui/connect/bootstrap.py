"""Starting the helper on a node: the controller's half of the conversation with stage 0."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gswarm_tui.errors import BootstrapError, UnreachableError

from . import command
from .base import ByteReader, Process, Stream, Transport
from .bundle import Bundles, built, bundle_hash

BANNER_KEPT = 64 * 1024
"""Bytes of a login shell's chatter that are kept, to be quoted when nothing else follows."""

_BANNER_LIMIT = 8 * 1024 * 1024  # a shell that prints more than this never comes to an end
_LINE_LIMIT = 1024 * 1024
_ANSWER_TIMEOUT_S = 90.0  # stage 0 itself gives the helper 60 to start
_QUOTED = 400
_HASH_SHOWN = 16

_drains: set[asyncio.Task[bytes]] = set()  # asyncio itself holds tasks weakly


@dataclass(frozen=True, slots=True)
class HelperSpec:
    """Which helper is meant.

    Args:
        node: the node's name, for errors.
        root: the node's root, as the node understands it.
        python: the interpreter; None means that stage 0 finds one.
        idle_exit_s: seconds without a reason to stay; None is the helper's own default.
    """

    node: str
    root: str
    python: str | None = None
    idle_exit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Listening:
    """A helper that has been started, or was running already."""

    socket: str
    pid: int


class _StartFailed(BootstrapError):
    """Stage 0 could not do it; `had_bundle` means that the unpacked bundle may be at fault."""

    had_bundle = False


async def start_helper(
    transport: Transport, spec: HelperSpec, bundles: Bundles, *, end: Listening | None = None
) -> Listening:
    """See to it that a helper runs on the node.

    Args:
        end: a helper that is to be ended first; another process is not, whatever its number.

    Raises:
        BootstrapError: it cannot be started; the message holds what the node said.
        UnreachableError: the connection was lost.
    """
    asked = {
        "end": end.pid if end else None,
        "bridge": False,
        "socket": end.socket if end else None,
    }
    try:
        conversation = await _converse(transport, spec, bundles, asked)
    except _StartFailed as failed:
        if not failed.had_bundle:
            raise
        conversation = await _converse(transport, spec, bundles, {**asked, "fresh": True})
    await conversation.end()
    assert conversation.listening is not None
    return conversation.listening


async def open_bridge(
    transport: Transport, spec: HelperSpec, bundles: Bundles, *, socket: str
) -> Stream:
    """A connection to the helper through a process on the node that copies bytes.

    For servers that forward no Unix sockets. A helper is started where none answers on `socket`.

    Raises:
        BootstrapError, UnreachableError: as for `start_helper`.
    """
    asked = {"end": None, "bridge": True, "socket": socket}
    conversation = await _converse(transport, spec, bundles, asked)
    return Stream(conversation.process.stdout, conversation.process.stdin)


async def _converse(
    transport: Transport, spec: HelperSpec, bundles: Bundles, asked: dict[str, Any]
) -> _Conversation:
    marker = secrets.token_hex(8), secrets.token_hex(8)
    asked = {
        "hash": bundle_hash()[:_HASH_SHOWN],
        "built": list(built()),
        "root": spec.root,
        "idle_exit": spec.idle_exit_s,
        "fresh": False,
        **asked,
    }
    try:
        line = command.stage0(asked, marker=marker, python=spec.python)
    except BootstrapError as error:
        raise BootstrapError(error.message, where=spec.node, hint=error.hint) from None
    process = await transport.execute(line)
    conversation = _Conversation(process, spec, "".join(marker).encode())
    try:
        await conversation.run(bundles, bridge=asked["bridge"])
    except BaseException:
        await conversation.end()
        raise
    return conversation


class _Conversation:
    """What is said with one stage 0."""

    def __init__(self, process: Process, spec: HelperSpec, marker: bytes) -> None:
        self.process = process
        self.listening: Listening | None = None
        self._spec = spec
        self._marker = marker
        self._received = bytearray()
        self._banner = b""
        self._had_bundle = False
        self._stderr = asyncio.ensure_future(_drain(process.stderr))
        _drains.add(self._stderr)
        self._stderr.add_done_callback(_drains.discard)

    async def end(self) -> None:
        self._stderr.cancel()
        await self.process.close()

    async def run(self, bundles: Bundles, *, bridge: bool) -> None:
        """Go on until the helper listens, or the bridge stands.

        Raises:
            BootstrapError: the node said no, or nothing that makes sense.
            UnreachableError: the connection was lost.
        """
        try:
            await self._within(self._find_marker())
            while True:
                kind, payload = await self._within(self._line())
                if kind == "report":
                    await self._answer_report(payload, bundles)
                elif kind == "ready":
                    self.listening = self._helper(payload)
                    if not bridge:
                        return
                elif kind == "bridge":
                    return
                elif kind == "none":
                    raise await self._no_python()
                elif kind == "failed":
                    raise self._failed(payload)
                else:
                    raise self._error(f"stage 0 said {kind!r:.40}, which is not known here")
        except OSError as error:
            raise UnreachableError(
                f"the connection was lost while the helper was started: {error}",
                where=self._spec.node,
            ) from error

    async def _within(self, step: Any) -> Any:
        try:
            return await asyncio.wait_for(step, _ANSWER_TIMEOUT_S)
        except TimeoutError:
            raise self._error(
                f"no answer within {_ANSWER_TIMEOUT_S:g} s", quote=bytes(self._received)
            ) from None

    async def _find_marker(self) -> None:
        searched = dropped = 0
        while True:
            found = self._received.find(self._marker, searched)
            if found >= 0:
                self._banner = (self._banner + self._received[:found])[:BANNER_KEPT]
                del self._received[: found + len(self._marker)]
                return
            if dropped + len(self._received) > _BANNER_LIMIT:
                raise self._error("the login shell prints without end", quote=self._banner)
            if len(self._received) > BANNER_KEPT:
                cut = len(self._received) - len(self._marker)
                self._banner = (self._banner + self._received[:cut])[:BANNER_KEPT]
                dropped += cut
                del self._received[:cut]
            searched = max(0, len(self._received) - len(self._marker))
            if not await self._receive():
                raise await self._never_started()

    async def _receive(self) -> bool:
        data = await self.process.stdout.read(65536)
        self._received += data
        return bool(data)

    async def _line(self) -> tuple[str, str]:
        while b"\n" not in self._received:
            if len(self._received) > _LINE_LIMIT:
                raise self._error("stage 0's answer is too long")
            if not await self._receive():
                raise await self._ended()
        line, _, rest = self._received.partition(b"\n")
        self._received = bytearray(rest)
        kind, _, payload = line.decode(errors="replace").partition(" ")
        return kind, payload

    async def _answer_report(self, payload: str, bundles: Bundles) -> None:
        with self._understanding(payload):
            report = ast.literal_eval(payload)
            self._had_bundle, platform = report["bundle"] is not None, str(report["platform"])
        if self._had_bundle:
            return
        try:
            archive = await bundles.archive(platform)
        except BootstrapError as error:
            error.where = error.where or self._spec.node
            raise
        stdin = self.process.stdin
        stdin.write(f"{len(archive)} {hashlib.sha256(archive).hexdigest()}\n".encode() + archive)
        await self._within(stdin.drain())

    def _helper(self, payload: str) -> Listening:
        with self._understanding(payload):
            answer = json.loads(payload)
            error = answer.get("error")
            if not error:
                return Listening(str(answer["socket"]), int(answer["pid"]))
            place = f"{error['where']}: " if error.get("where") else ""
            message, hint = f"{place}{error['message']}", error.get("hint")
        raise self._error(message, hint=hint)

    @contextlib.contextmanager
    def _understanding(self, payload: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, SyntaxError, LookupError, TypeError, AttributeError) as error:
            raise self._error("stage 0's answer is malformed", quote=payload.encode()) from error

    # What goes wrong

    def _error(
        self, message: str, *, hint: str | None = None, quote: bytes = b""
    ) -> BootstrapError:
        said = f"; it printed: {_shown(quote)}" if quote.strip() else ""
        return BootstrapError(f"{message}{said}", where=self._spec.node, hint=hint)

    def _failed(self, payload: str) -> BootstrapError:
        with self._understanding(payload):
            message, hint = ast.literal_eval(payload)
        failed = _StartFailed(str(message), where=self._spec.node, hint=str(hint))
        failed.had_bundle = self._had_bundle
        return failed

    async def _never_started(self) -> BootstrapError:
        status = await self.process.finish()
        python = self._spec.python
        return self._error(
            f"the login shell{f' or {python}' if python else ''} did not run our command"
            f" (exit status {status})",
            hint=f"check 'python:' of the node in the inventory; the path is {python}"
            if python
            else "the account needs a login shell that can run /bin/sh",
            quote=self._banner + bytes(self._received) + await self._heard(),
        )

    async def _ended(self) -> BootstrapError:
        status = await self.process.finish()
        return self._error(
            f"Python ended while the helper was started (exit status {status})",
            hint="connect again; if it comes back, this is a bug in gswarm",
            quote=bytes(self._received) + await self._heard(),
        )

    async def _no_python(self) -> BootstrapError:
        while await self._receive():
            pass
        found = [line for line in self._received.decode(errors="replace").splitlines() if line]
        if self._spec.python:
            return self._error(
                f"{self._spec.python} is no Python 3.9 or newer (found: {command.unusable(found)})",
                hint="correct 'python:' of the node in the inventory",
            )
        return self._error(
            f"no Python 3.9 or newer was found (found: {command.unusable(found)})",
            hint="install python3 on the node, or name one with 'python:' in the inventory",
        )

    async def _heard(self) -> bytes:
        """What came on stderr, when the process has ended."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self._stderr), 2)
        return b""


async def _drain(reader: ByteReader) -> bytes:
    """Read to the end, so that nobody waits for us; the first bytes are kept."""
    kept = b""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            kept = (kept + data)[:BANNER_KEPT]
    return kept


def _shown(data: bytes) -> str:
    """The end of `data`, fit for a terminal: no control characters, on one line."""
    text = data.decode(errors="replace")
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= _QUOTED else "…" + words[-_QUOTED:]
