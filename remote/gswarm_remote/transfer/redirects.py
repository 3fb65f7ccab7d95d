"""Where a URL leads, and how far the token goes along.

A hub answers the request for a large file with a redirect to a signed URL on another host. The
token was meant for the hub: it stays there. The signed URL is itself a secret for as long as it is
valid: nothing here lets a query string into an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional
from urllib.parse import SplitResult, urljoin, urlsplit

from ..errors import HelperError, Kind

MAX_REDIRECTS = 5

REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""The statuses that mean "ask there instead" (RFC 9110, section 15.4)."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """A URL to ask, and whether the token may go with the request."""

    url: str
    authorized: bool


def first_target(url: str, *, origin: Optional[str]) -> Target:
    """Where to ask first: the token goes along if `url` is on `origin`.

    Raises:
        HelperError: it is not an http or https URL.
    """
    here = origin_of(url)
    return Target(url, authorized=origin is not None and here == origin_of(origin))


def next_target(target: Target, location: Optional[str]) -> Target:
    """Where the redirect `location` leads from `target`.

    A token that was dropped on the way is not picked up again, even where the way leads back.

    Raises:
        HelperError: there is no location, it is not http or https, or it leads from https to http.
    """
    if not location:
        raise HelperError(
            Kind.SOURCE, "a redirect without a location", where=public_url(target.url)
        )
    url = urljoin(target.url, location)
    here, there = origin_of(target.url), origin_of(url)
    if here.startswith("https:") and there.startswith("http:"):
        raise HelperError(
            Kind.SOURCE,
            f"a redirect from https to plain http ({there}) is refused",
            where=public_url(target.url),
            hint="ask whoever runs that server to redirect to https",
        )
    return Target(url, authorized=target.authorized and here == there)


def origin_of(url: str) -> str:
    """``scheme://host:port``, in lower case and with the port always there.

    Raises:
        HelperError: it is not an http or https URL.
    """
    parts = _split(url)
    host = parts.hostname or ""
    bracketed = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{bracketed}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"


def host_of(url: str) -> str:
    """The host alone, for a sentence.

    Raises:
        HelperError: it is not an http or https URL.
    """
    return _split(url).hostname or ""


def public_url(url: str) -> str:
    """`url` as it may be shown: without user, password, query and fragment."""
    try:
        parts = _split(url)
    except HelperError:
        return "(not an http or https URL)"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _split(url: str) -> SplitResult:
    refused = HelperError(Kind.SOURCE, "not an http or https URL with a host")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refused from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0:
        raise refused
    return parts
