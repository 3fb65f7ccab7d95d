"""What the Hugging Face Hub's own client downloads with, as a Starlette application.

::

    /api/models/{org}/{name}                     commit and files (?blobs=true: sizes and hashes)
    /api/models/{org}/{name}/revision/{rev}      the same, of a revision
    /api/models/{org}/{name}/tree/{rev}/{path}   a folder of it (?recursive=true: all below)
    /{org}/{name}/resolve/{rev}/{path}           a file, with ranges and conditions

A revision is ``main`` or the commit. Errors are JSON, with the ``X-Error-Code`` by which
huggingface_hub picks the exception that it raises.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, BinaryIO
from urllib.parse import quote

import anyio.to_thread
from gswarm_remote.models.records import timestamp
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gswarm_tui.hub.ranges import ByteRange, UnsatisfiableError, read_range
from gswarm_tui.hub.repository import FileChangedError, HubFile, Library, Snapshot

_BLOCK = 1 << 20
_TRUE = frozenset({"1", "true", "on", "yes"})


class HubError(Exception):
    """An answer that is an error, as the Hub gives it.

    Args:
        status: of HTTP.
        code: for ``X-Error-Code``.
        message: for a person.
        commit: of the repository, where it was found; the client keeps what a commit does not have.
    """

    def __init__(
        self, status: int, code: str | None, message: str, *, commit: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.commit = commit

    def response(self) -> Response:
        # A header is one line of ASCII.
        headers = {"X-Error-Message": self.message.encode("unicode_escape").decode()}
        if self.code:
            headers["X-Error-Code"] = self.code
        if self.commit:
            headers["X-Repo-Commit"] = self.commit
        return JSONResponse({"error": self.message}, status_code=self.status, headers=headers)


def application(library: Library, *, token: str | None = None) -> Starlette:
    """The hub as an ASGI application.

    Args:
        token: if given, every request needs it as its bearer token.
    """
    hub = _Hub(library, token)
    get = ["GET", "HEAD"]
    return Starlette(
        routes=[
            Route("/api/models/{org}/{name}", hub.answer(hub.info), methods=get),
            Route(
                "/api/models/{org}/{name}/revision/{revision:path}",
                hub.answer(hub.info),
                methods=get,
            ),
            Route("/api/models/{org}/{name}/tree/{revision}", hub.answer(hub.tree), methods=get),
            Route(
                "/api/models/{org}/{name}/tree/{revision}/{path:path}",
                hub.answer(hub.tree),
                methods=get,
            ),
            Route(
                "/{org}/{name}/resolve/{revision}/{path:path}", hub.answer(hub.file), methods=get
            ),
        ],
        exception_handlers={HTTPException: _plain_error},
    )


async def _plain_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = "this hub serves models only" if status == 404 else "this hub can only be read"
    return HubError(status, None, f"{message}: {request.method} {request.url.path}").response()


class _Hub:
    """What the routes do; each method raises `HubError` for what it can't answer."""

    def __init__(self, library: Library, token: str | None) -> None:
        self._library = library
        self._token = token

    def answer(
        self, endpoint: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                self._check_token(request)
                return await endpoint(request)
            except HubError as error:
                return error.response()
            except FileChangedError as error:
                return HubError(409, None, f"{error} has changed since it was listed").response()
            except OSError as error:
                reason = f"{error.strerror}: {_shown(self._library, error.filename)}"
                return HubError(500, None, f"the hub can't read its folder: {reason}").response()

        return guarded

    async def info(self, request: Request) -> Response:
        snapshot = await self._snapshot(request)
        detailed = request.query_params.get("blobs", "").lower() in _TRUE
        return JSONResponse(
            {
                "_id": snapshot.commit[:24],
                "id": snapshot.repository,
                "modelId": snapshot.repository,
                "author": snapshot.repository.partition("/")[0],
                "sha": snapshot.commit,
                "lastModified": timestamp(snapshot.modified),
                "createdAt": timestamp(snapshot.modified),
                "private": False,
                "gated": "manual" if self._token else False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "usedStorage": sum(file.size for file in snapshot.files.values()),
                "siblings": [_sibling(file, detailed) for file in snapshot.files.values()],
            }
        )

    async def tree(self, request: Request) -> Response:
        snapshot = await self._snapshot(request)
        folder = request.path_params.get("path", "").strip("/")
        recursive = request.query_params.get("recursive", "").lower() in _TRUE
        entries = _tree(snapshot, folder + "/" if folder else "", recursive=recursive)
        if folder and not entries:
            raise HubError(
                404, "EntryNotFound", f"no folder {folder!r} in it", commit=snapshot.commit
            )
        return JSONResponse(entries)

    async def file(self, request: Request) -> Response:
        snapshot = await self._snapshot(request)
        path = request.path_params["path"]
        file = snapshot.files.get(path)
        if file is None:
            raise HubError(404, "EntryNotFound", f"no file {path!r} in it", commit=snapshot.commit)
        headers = _file_headers(snapshot, file)
        if _etag_matches(request.headers.get("If-None-Match"), file.etag):
            return Response(status_code=304, headers=headers)
        if request.method == "HEAD":
            return Response(headers=headers | {"Content-Length": str(file.size)})
        try:
            asked = _asked_range(request, file)
        except UnsatisfiableError:
            error = HubError(416, None, f"{path!r} has {file.size} bytes").response()
            error.headers["Content-Range"] = f"bytes */{file.size}"
            return error
        if asked is not None:
            headers["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{file.size}"
        part = asked or ByteRange(0, file.size)
        return _FileResponse(
            await anyio.to_thread.run_sync(file.open),
            part,
            status_code=206 if asked else 200,
            headers=headers | {"Content-Length": str(part.stop - part.start)},
        )

    async def _snapshot(self, request: Request) -> Snapshot:
        organisation, name = request.path_params["org"], request.path_params["name"]
        snapshot = await anyio.to_thread.run_sync(self._library.snapshot, organisation, name)
        if snapshot is None:
            raise HubError(404, "RepoNotFound", f"this hub has no model {organisation}/{name}")
        revision = request.path_params.get("revision", "main")
        if not snapshot.has_revision(revision):
            message = f"{snapshot.repository} has the revisions main and {snapshot.commit} alone"
            raise HubError(404, "RevisionNotFound", message)
        return snapshot

    def _check_token(self, request: Request) -> None:
        if self._token is None:
            return
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            raise HubError(401, "GatedRepo", "this hub wants a token: set HF_TOKEN")
        if not hmac.compare_digest(given.strip().encode(), self._token.encode()):
            # The Hub's own words, by which its client tells this from a repository that is missing.
            raise HubError(401, None, "Invalid credentials in Authorization header")


def _sibling(file: HubFile, detailed: bool) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": file.path}
    if detailed:
        sibling |= {"size": file.size, "blobId": file.oid}
        if file.sha256:
            sibling["lfs"] = {
                "sha256": file.sha256,
                "size": file.size,
                "pointerSize": file.pointer_size,
            }
    return sibling


def _tree(snapshot: Snapshot, prefix: str, *, recursive: bool) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    folders: set[str] = set()
    for path, file in snapshot.files.items():
        if not path.startswith(prefix):
            continue
        *parents, _ = path.removeprefix(prefix).split("/")
        for depth in range(1, len(parents) + 1 if recursive else min(len(parents), 1) + 1):
            folder = prefix + "/".join(parents[:depth])
            if folder not in folders:
                folders.add(folder)
                # A folder has no object of its own here; its id only has to look like one.
                entries.append(
                    {"type": "directory", "oid": snapshot.commit, "size": 0, "path": folder}
                )
        if recursive or not parents:
            entries.append(_tree_file(file))
    return entries


def _tree_file(file: HubFile) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "oid": file.oid, "size": file.size, "path": file.path}
    if file.sha256:
        entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return entry


def _file_headers(snapshot: Snapshot, file: HubFile) -> dict[str, str]:
    headers = {
        "ETag": f'"{file.etag}"',
        "X-Repo-Commit": snapshot.commit,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
        "X-Content-Type-Options": "nosniff",
    }
    if file.sha256:
        headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
    return headers


def _asked_range(request: Request, file: HubFile) -> ByteRange | None:
    condition = request.headers.get("If-Range")
    if condition is not None and condition.strip() != f'"{file.etag}"':
        return None
    return read_range(request.headers.get("Range"), file.size)


def _etag_matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    given = [value.strip().removeprefix("W/") for value in header.split(",")]
    return "*" in given or f'"{etag}"' in given


class _ShorterError(Exception):
    """The file became shorter while it was sent."""


class _FileResponse(StreamingResponse):
    """A part of an open file, which it closes; if the file ends early, so does the connection."""

    def __init__(
        self, stream: BinaryIO, part: ByteRange, *, status_code: int, headers: dict[str, str]
    ) -> None:
        super().__init__(self._blocks(part), status_code=status_code, headers=headers)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._stream, suppress(_ShorterError):
            await super().__call__(scope, receive, send)

    async def _blocks(self, part: ByteRange) -> AsyncIterator[bytes]:
        await anyio.to_thread.run_sync(self._stream.seek, part.start)
        left = part.stop - part.start
        while left:
            block = await anyio.to_thread.run_sync(self._stream.read, min(_BLOCK, left))
            if not block:
                raise _ShorterError
            left -= len(block)
            yield block


def _shown(library: Library, filename: Any) -> str:
    """A path as the hub's readers may see it: nothing above the folder."""
    return str(filename).removeprefix(str(library.folder)).lstrip("/")
