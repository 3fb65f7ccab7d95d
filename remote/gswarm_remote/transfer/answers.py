"""What an HTTP answer means for a download: which bytes it holds, or why there are none.

Functions of a status and its headers alone; nothing here touches the network.
"""

from __future__ import annotations

import errno
import http.client
import re
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Mapping, Optional

from urllib3 import exceptions as http_errors

from ..errors import HelperError, Kind
from .connections import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from .redirects import host_of, public_url

OK, PARTIAL_CONTENT = 200, 206

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_DIGITS = re.compile(r"\d{1,18}")


@dataclass(frozen=True)
class Span:
    """The part of a file that an answer's body is.

    Args:
        start: the file's byte that comes first.
        stop: the first that does not come any more; None where only the body's end tells.
        total: bytes in the whole file, where the server says.
    """

    start: int
    stop: Optional[int]
    total: Optional[int]


@dataclass(frozen=True)
class Version:
    """What tells one state of a file at its server from another (RFC 9110, section 8.8)."""

    etag: Optional[str]
    last_modified: Optional[str]

    @property
    def if_range(self) -> Optional[str]:
        """For the If-Range header: a strong validator only (RFC 9110, section 13.1.5)."""
        return self.etag if self.etag is not None and not self.etag.startswith("W/") else None

    def differs_from(self, other: Version) -> bool:
        if self.etag is not None and other.etag is not None:
            return self.etag != other.etag
        if self.last_modified is not None and other.last_modified is not None:
            return self.last_modified != other.last_modified
        return False


def version_of(headers: Mapping[str, str]) -> Version:
    return Version(headers.get("ETag"), headers.get("Last-Modified"))


def span_of(status: int, headers: Mapping[str, str], *, start: int, stop: Optional[int]) -> Span:
    """Which bytes answer a request for those from `start` to before `stop`.

    Raises:
        HelperError: they are not those, or are compressed.
    """
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", ""):
        raise HelperError(
            Kind.SOURCE, f"an answer with Content-Encoding {encoding!r:.40}, not asked for"
        )
    length = _number(headers.get("Content-Length"))
    if status == OK:
        return Span(0, length, length)
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None:
        raise HelperError(Kind.SOURCE, "a part of the file, but not which part (no Content-Range)")
    first, last, total = int(match[1]), int(match[2]), _number(match[3])
    wrong = first != start or last < first or (stop is not None and last >= stop)
    if wrong or (total is not None and last >= total) or length not in (None, last + 1 - first):
        asked = f"{start}-{'' if stop is None else stop - 1}"
        raise HelperError(
            Kind.SOURCE,
            f"other bytes than asked for: {match[0]!r} with length {length}, not {asked}",
        )
    return Span(first, last + 1, total)


def refusal(
    status: int, headers: Mapping[str, str], *, path: str, url: str, authorized: bool
) -> HelperError:
    """The error for an answer that is neither the file nor a redirect.

    Args:
        authorized: whether a token went along.
    """
    reason = http.client.responses.get(status, "")
    said = _printable(headers.get("X-Error-Message", ""))  # the Hub's own words
    wait = retry_after(headers, now=time.time())
    message = f"{path}: the source answered {status} {reason}".rstrip()
    message += f" ({said})" if said else ""
    message += f", and asks to wait {wait:.0f} s" if status in (429, 503) and wait else ""
    return HelperError(
        Kind.SOURCE, message, where=public_url(url), hint=_hint(status, authorized=authorized)
    )


def retry_after(headers: Mapping[str, str], *, now: float) -> Optional[float]:
    """Seconds to wait, from ``Retry-After`` as a number or a date (RFC 9110, section 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    seconds = _number(value)
    if seconds is not None:
        return float(seconds)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def network_fault(error: http_errors.HTTPError, *, path: str, url: str) -> HelperError:
    """The error for a request that got no answer; urllib3's own words may hold the signed URL."""
    host = host_of(url)
    where = public_url(url)
    certificate = _certificate_error(error)
    if certificate is not None:
        return HelperError(
            Kind.UNREACHABLE,
            f"{path}: the certificate of {host} was not accepted: {certificate.verify_message}",
            where=where,
            hint="install the node's ca-certificates package, or set SSL_CERT_FILE to your site's"
            " bundle in the start file of that user's shell",
        )
    return HelperError(
        Kind.UNREACHABLE,
        f"{path}: {_network_reason(error, host)}",
        where=where,
        hint="check from the node: 'curl -sI' on that host; behind a proxy set https_proxy there",
    )


def is_hopeless(error: http_errors.HTTPError) -> bool:
    """Whether trying again gives the same: the certificate, or the URL itself."""
    return _certificate_error(error) is not None or isinstance(
        error, (http_errors.LocationValueError, http_errors.InvalidHeader)
    )


def _network_reason(error: http_errors.HTTPError, host: str) -> str:
    if isinstance(error, http_errors.NameResolutionError):
        return f"the name {host} cannot be resolved"
    refused = isinstance(error, http_errors.NewConnectionError)  # a ConnectTimeoutError, in urllib3
    if isinstance(error, http_errors.ConnectTimeoutError) and not refused:
        return f"no connection to {host} within {CONNECT_TIMEOUT_S:.0f} s"
    if isinstance(error, http_errors.ReadTimeoutError):
        return f"{host} sent nothing for {READ_TIMEOUT_S:.0f} s"
    if isinstance(error, http_errors.ProxyError):
        return f"the proxy for {host} did not connect"
    cause: Optional[BaseException] = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in errno.errorcode:
            return f"no connection to {host}: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return f"the connection to {host} was cut ({type(error).__name__})"


def _certificate_error(error: BaseException) -> Optional[ssl.SSLCertVerificationError]:
    for candidate in (error, *error.args):
        if isinstance(candidate, ssl.SSLCertVerificationError):
            return candidate
    return None


def _hint(status: int, *, authorized: bool) -> Optional[str]:
    if status == 401 and not authorized:
        return "if the model is private or gated, set HF_TOKEN on the controller"
    if status == 401:
        return "the token was not accepted: check HF_TOKEN on the controller"
    if status == 403:
        return (
            "accept the licence on the model's page with the account of HF_TOKEN, and let the token"
            " read gated repositories"
        )
    if status in (404, 410):
        return "it was there when the model was looked up: run the same again to look it up anew"
    if status == 416:
        return "the file is shorter there than promised: run the same again to look it up anew"
    if status == 429:
        return "wait some minutes and run the same again; with HF_TOKEN set the Hub allows more"
    if status >= 500:
        return "the fault is the source's: run the same again later, verified pieces are kept"
    return None


def _number(text: Optional[str]) -> Optional[int]:
    return int(text) if text is not None and _DIGITS.fullmatch(text.strip()) else None


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:200].strip()
