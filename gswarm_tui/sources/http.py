"""One file at an ``https://`` or ``http://`` address; nobody promises its checksum."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from gswarm_tui.errors import SourceError, SourceNameError, SourceUnreachableError
from gswarm_tui.progress import Progress, ProgressCallback, ignore
from gswarm_tui.sources.base import Choice, Resolved, SourceFile, check_paths, suggest_name
from gswarm_tui.sources.urls import hide_secrets, origin_of, read_url, reason_of

if TYPE_CHECKING:
    import httpx2

TIMEOUT_S = 30.0
# What servers answer that don't know HEAD; and 403 where a URL was signed for GET alone.
_LONGEST_ETAG = 512  # as nodes take it
_NO_HEAD = frozenset({400, 403, 405, 501})


@dataclass(frozen=True, slots=True)
class WebSource:
    """`url` with its query, which may be a signature: only the plan has it."""

    url: str

    def __repr__(self) -> str:
        return f"WebSource({self.reference!r})"

    @property
    def reference(self) -> str:
        return hide_secrets(self.url)

    @property
    def filename(self) -> str:
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    async def resolve(
        self,
        *,
        revision: str | None = None,
        choice: Choice,
        environ: Mapping[str, str],
        progress: ProgressCallback = ignore,
    ) -> Resolved:
        """Ask for size and version; see `Source.resolve`. No token of the environment is sent."""
        if revision or choice:
            raise SourceNameError(
                "a revision and patterns make no sense for one file", where=self.reference
            )
        progress(Progress("resolve", message=f"asking for {self.reference}"))
        size, etag = await _ask(self.url, self.reference)
        return Resolved(
            reference=self.reference,
            kind="fetch",
            name=suggest_name(self.filename.rpartition(".")[0] or self.filename),
            files=(SourceFile(self.filename, size=size, etag=etag, url=self.url),),
            origin=origin_of(urlsplit(self.url)),
        )


def parse(reference: str) -> WebSource | None:
    """Read ``https://host/path/file``; None if it is something else.

    Raises:
        SourceNameError: it is a web address, and not of a file.
    """
    if not reference.startswith(("https://", "http://")):
        return None
    read_url(reference, what="the source")
    source = WebSource(reference.partition("#")[0])
    if not source.filename:
        raise SourceNameError(
            f"{source.reference!r} ends in no file's name",
            hint="write the address of one file, such as https://host/folder/model.gguf",
        )
    try:
        check_paths([source.filename], where=source.reference)
    except SourceError as error:
        raise SourceNameError(error.message, where=error.where) from None
    if "/" in source.filename:
        raise SourceNameError("the file's name has a slash", where=source.reference)
    return source


async def _ask(url: str, reference: str) -> tuple[int | None, str | None]:
    """Size and etag by HEAD, else by asking for the first byte; None for what neither tells."""
    import httpx2

    headers = {"Accept-Encoding": "identity"}
    try:
        async with httpx2.AsyncClient(follow_redirects=True, timeout=TIMEOUT_S) as client:
            response = await client.head(url, headers=headers)
            size = _length(response)
            if response.status_code in _NO_HEAD or (response.is_success and size is None):
                headers["Range"] = "bytes=0-0"
                async with client.stream("GET", url, headers=headers) as response:
                    size = _length(response)
    except httpx2.TimeoutException as error:
        raise SourceUnreachableError(
            "the server did not answer in time", where=reference
        ) from error
    except httpx2.HTTPError as error:
        raise SourceUnreachableError(
            f"the server could not be reached: {reason_of(error)}",
            where=reference,
            hint="check the address, and that this machine reaches it",
        ) from error
    if not response.is_success and response.status_code != 416:
        raise _refusal(response, reference)
    return size, _strong_etag(response)


def _length(response: httpx2.Response) -> int | None:
    whole = re.fullmatch(r"bytes .*/(\d+)", response.headers.get("Content-Range", ""))
    if whole:
        return int(whole[1])
    length = response.headers.get("Content-Length", "")
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    return int(length) if length.isdigit() and not encoded and response.status_code != 206 else None


def _strong_etag(response: httpx2.Response) -> str | None:
    """The etag that names these very bytes (RFC 9110, 8.8.3); a weak one does not."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') and len(etag) <= _LONGEST_ETAG else None


def _refusal(response: httpx2.Response, reference: str) -> SourceError:
    status = response.status_code
    if status in (401, 403):
        return SourceError(
            f"the server wants credentials (HTTP {status})",
            where=reference,
            hint="download it yourself and use local:PATH, or use an address that is signed",
        )
    if status in (404, 410):
        return SourceError(f"the server has no such file (HTTP {status})", where=reference)
    if status == 429:
        return SourceUnreachableError(
            "the server has had too many requests from here (HTTP 429)",
            where=reference,
            hint="try again later",
        )
    if status >= 500:
        return SourceUnreachableError(
            f"the server has a fault of its own (HTTP {status})",
            where=reference,
            hint="try again later",
        )
    return SourceError(f"the server answered HTTP {status}", where=reference)
