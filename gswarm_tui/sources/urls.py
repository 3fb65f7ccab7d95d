"""URLs as sources read them: http(s) only, and without credentials, which would be recorded."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from gswarm_tui.errors import SourceNameError

_DEFAULT_PORTS = {"http": 80, "https": 443}


def read_url(text: str, *, what: str) -> SplitResult:
    """Split a URL.

    Args:
        what: what the URL is, for the message.

    Raises:
        SourceNameError: it has no host, another scheme, or a user name or password.
    """
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise SourceNameError(f"{what} is no URL: {error}") from None
    if url.scheme not in _DEFAULT_PORTS or not url.hostname or port == 0:
        raise SourceNameError(
            f"{what} is {text!r:.200}, which is no http or https URL",
            hint="write https://host/path",
        )
    if url.username is not None or url.password is not None:
        raise SourceNameError(
            f"{what} has credentials in the URL of {url.hostname}, where they would be recorded",
            hint="set HF_TOKEN for a hub, or use a URL without them",
        )
    if any(character.isspace() or not character.isprintable() for character in text):
        raise SourceNameError(
            f"{what} is {text!r:.200}, which has a character that a URL can't have"
        )
    return url


def origin_of(url: SplitResult) -> str:
    """``scheme://host:port``, with the port always written: what a token may be sent to."""
    host = (url.hostname or "").lower()
    shown = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{shown}:{url.port or _DEFAULT_PORTS[url.scheme]}"


def hide_secrets(text: str) -> str:
    """A URL without user name, password, query and fragment; any other text as it is."""
    try:
        url = urlsplit(text)
    except ValueError:
        return text.partition("?")[0]
    if not url.netloc:
        return text
    return url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl()


def reason_of(error: Exception) -> str:
    """Why nothing answers, without the system's number for it: ``Connection refused``."""
    said = re.sub(r"^\[Errno -?\d+\] ", "", hide_secrets(str(error)))
    return said or type(error).__name__
