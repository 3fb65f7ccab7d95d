"""Transfers through the controller: a folder pushed to a node, or a copy from node to node.

Nothing is sent that the target has: it says which pieces are missing, and keeps each one that
arrives whole. So to continue a broken transfer, repeat the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from gswarm_remote import wire
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models.manifest import Manifest
from gswarm_remote.transfer.progress import Meter
from gswarm_remote.transfer.readahead import CHUNK, SentPiece, read_pieces

from gswarm_tui.connect.base import ByteReader, ByteWriter
from gswarm_tui.errors import GswarmError, RemoteError, SourceError, UnreachableError
from gswarm_tui.fleet import TASK
from gswarm_tui.progress import Progress, ProgressCallback, from_wire, ignore

REPORT_S = 0.2
"""Between two progress reports."""

ANSWER_S = 180.0
"""How long the target may take to write what it has received."""

_LAST_WORDS_S = 10.0
_AGAIN_S = 0.25

Copy = dict[str, Any]
"""A copy as the helper describes it, and ``already``: whether it was there before."""


class BulkNode(Protocol):
    """What a transfer needs of `gswarm_tui.fleet.Node`."""

    @property
    def name(self) -> str: ...

    async def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Any: ...

    async def open_bulk(self, token: str) -> tuple[ByteReader, ByteWriter]: ...


async def push_folder(
    node: BulkNode,
    folder: Path,
    manifest: Manifest,
    tier: str,
    progress: ProgressCallback = ignore,
) -> Copy:
    """Upload the files of `manifest` from this machine to `tier` of `node`.

    Args:
        folder: where the files are; or the one file, if there is only one.

    Raises:
        SourceError: a file here cannot be read, or is not what the manifest says any more.
        RemoteError: the node said no: no space, or bytes that do not have their hash.
        NodeError: the node could not be reached, or was lost on the way.
    """
    files = {
        number: folder / entry.path if folder.is_dir() else folder
        for number, entry in enumerate(manifest.files)
    }

    def chunks(pieces: list[SentPiece]) -> AsyncGenerator[bytes, None]:
        return _read_files(files, pieces)

    return await _transfer(node, manifest, tier, None, chunks, progress)


async def relay(
    source: BulkNode,
    target: BulkNode,
    name: str,
    revision: str | None,
    tiers: tuple[str, str],
    progress: ProgressCallback = ignore,
) -> Copy:
    """Copy a model from one node to another through this machine.

    Args:
        revision: None means the source's newest.
        tiers: where it is on the source, and where it goes on the target.

    Raises:
        RemoteError: one of the nodes said no.
        NodeError: one of the nodes could not be reached, or was lost on the way; it is named.
    """
    from_tier, to_tier = tiers
    asked = {"name": name, "revision": revision, "tier": from_tier}
    manifest = Manifest.from_dict(await source.call("model.manifest", asked))

    def chunks(pieces: list[SentPiece]) -> AsyncGenerator[bytes, None]:
        return _read_node(source, {**asked, "revision": manifest.revision}, pieces)

    sender = f"{source.name}:{from_tier}"
    return await _transfer(target, manifest, to_tier, sender, chunks, progress)


async def _transfer(
    target: BulkNode,
    manifest: Manifest,
    tier: str,
    sender: str | None,
    chunks: Callable[[list[SentPiece]], AsyncGenerator[bytes, None]],
    progress: ProgressCallback,
) -> Copy:
    """Bring the model there; where another controller does so now, wait until it is there.

    Args:
        sender: the device that it comes from; None where that is this machine.
    """
    while True:
        try:
            return await _attempt(target, manifest, tier, sender, chunks, progress)
        except RemoteError as error:
            if error.kind != Kind.IN_USE:
                raise
            progress(Progress("wait", message=error.message))
            await asyncio.sleep(_AGAIN_S)


async def _attempt(
    target: BulkNode,
    manifest: Manifest,
    tier: str,
    sender: str | None,
    chunks: Callable[[list[SentPiece]], AsyncGenerator[bytes, None]],
    progress: ProgressCallback,
) -> Copy:
    params = {"manifest": manifest.to_dict(), "tier": tier, "sender": sender}
    begun = await target.call("model.receive.begin", {**params, "task": TASK.get()})
    if begun.get("present"):
        return {**begun["present"], "already": True}
    pieces = [(number, offset, length) for number, offset, length in begun["missing"]]
    if pieces:
        expected = sum(length for _, _, length in pieces)
        phase = "upload" if sender is None else "copy"
        reports = _Reports(phase, done=begun["done"], expected=expected, progress=progress)
        async with contextlib.aclosing(chunks(pieces)) as source:
            await _send(target, begun["token"], source, reports)
    copy = await target.call(
        "model.receive.finish", params, progress=lambda report: progress(from_wire(report))
    )
    return {**copy, "already": False}


# The sending end


async def _read_files(
    files: Mapping[int, Path], pieces: list[SentPiece]
) -> AsyncGenerator[bytes, None]:
    """The bytes of `pieces` from files of this machine."""
    async with contextlib.aclosing(read_pieces(files, pieces)) as chunks:
        try:
            async for data in chunks:
                yield data
        except OSError as error:
            where = str(error.filename or files[pieces[0][0]].parent)
            raise SourceError(f"it cannot be read: {error.strerror}", where=where) from error
        except HelperError as error:
            raise SourceError(error.message, where=error.where, hint=error.hint) from error


async def _read_node(
    node: BulkNode, copy: Mapping[str, Any], pieces: list[SentPiece]
) -> AsyncGenerator[bytes, None]:
    """The bytes of `pieces` of a copy on `node`."""
    begun = await node.call("model.send.begin", {**copy, "pieces": [list(p) for p in pieces]})
    reader, writer = await node.open_bulk(begun["token"])
    total = sum(length for _, _, length in pieces)
    done = 0
    try:
        while done < total:
            try:
                data = await reader.read(min(CHUNK, total - done))
            except OSError as error:
                raise _cut(node, "sending", done, total) from error
            if not data:
                raise _cut(node, "sending", done, total)
            done += len(data)
            yield data
    finally:
        writer.close()


# The receiving end


async def _send(
    target: BulkNode, token: str, chunks: AsyncGenerator[bytes, None], reports: _Reports
) -> None:
    """Write `chunks` to the target, until all are there or its answer says that it is no use."""
    reader, writer = await target.open_bulk(token)
    answer = asyncio.create_task(wire.read(reader))
    pump = asyncio.create_task(_pump(writer, chunks, reports))
    try:
        await asyncio.wait({answer, pump}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            await _hear(pump, answer)
        _check_answer(target, answer, reports)
        with contextlib.suppress(_TargetLost):  # it has everything, and closed after saying so
            await pump
    finally:
        await _end(pump, answer)
        writer.close()


async def _pump(writer: ByteWriter, chunks: AsyncGenerator[bytes, None], reports: _Reports) -> None:
    async for data in chunks:
        try:
            writer.write(data)
            await writer.drain()
        except OSError as error:
            raise _TargetLost(str(error)) from error
        reports.add(len(data))


class _TargetLost(Exception):
    """The target takes no more bytes; its answer may say why."""


async def _hear(pump: asyncio.Task[None], answer: asyncio.Task[wire.Message | None]) -> None:
    """Wait for the target's answer after the last byte, or after it took no more."""
    try:
        await pump
    except _TargetLost:
        await asyncio.wait({answer}, timeout=_LAST_WORDS_S)
    else:
        await asyncio.wait({answer}, timeout=ANSWER_S)


def _check_answer(
    target: BulkNode, answer: asyncio.Task[wire.Message | None], reports: _Reports
) -> None:
    """Raise what the target's answer says, or that there was none."""
    message: wire.Message | None = None
    if answer.done():
        with contextlib.suppress(OSError, wire.WireError):
            message = answer.result()
    if not isinstance(message, wire.Response):
        raise _cut(target, "receiving", reports.moved, reports.expected)
    if message.error is not None:
        error = HelperError.from_wire(message.error)
        where = f"{target.name}: {error.where}" if error.where else target.name
        raise RemoteError(error.message, kind=error.kind, where=where, hint=error.hint)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _cut(node: BulkNode, doing: str, done: int, total: int) -> GswarmError:
    return UnreachableError(
        f"the connection was cut while it was {doing}, after {done} of {total} bytes",
        where=node.name,
        hint="run the same again: the pieces that are there are not sent again",
    )


class _Reports:
    """Counts what is sent, and says so a few times a second."""

    def __init__(self, phase: str, *, done: int, expected: int, progress: ProgressCallback) -> None:
        self._meter = Meter(phase, done=done, total=done + expected)
        self._progress = progress
        self._next_at = 0.0
        self.moved = 0
        self.expected = expected

    def add(self, count: int) -> None:
        self.moved += count
        self._meter.add(count)
        now = time.monotonic()
        if now >= self._next_at or self.moved == self.expected:
            self._next_at = now + REPORT_S
            self._progress(from_wire(self._meter.report()))
