"""Who may look at the screens in a browser.

Whoever reaches the port is not yet trusted: other users of the machine reach loopback too, and so
does every page that a browser here has open. So each request needs a cookie, which is had for the
token; a name in ``Host`` that is none of this machine is refused (DNS rebinding), and a websocket
has to come from a page of this very server.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Mapping
from typing import Final, final

from gswarm_tui.errors import UsageError
from gswarm_tui.loopback import is_loopback

VARIABLE: Final = "GSWARM_WEB_TOKEN"
LEAST: Final = 16
"""So many characters a token needs that somebody chose."""
_HOST: Final = re.compile(
    r"(?:(?P<name>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)|\[(?P<v6>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
"""``name``, ``name:port``, ``[IPv6]``, ``[IPv6]:port``, in ASCII."""


@final
class Guard:
    """Says who may ask.

    Args:
        token: what a browser has to bring with its first request.
        address: what is listened on.
        port: of the server; in the cookie's name, because cookies do not know ports.
    """

    def __init__(self, token: str, address: str, port: int) -> None:
        self._token = token
        self._pass = secrets.token_urlsafe(32)
        self._open = not is_loopback(address)
        self._names = {"localhost", "127.0.0.1", "::1", _bare(address)}
        if self._open:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self.cookie = f"gswarm-tui-{port}"

    @property
    def passed(self) -> str:
        """The cookie's value: another secret, so that nobody learns the token from it."""
        return self._pass

    def knows_token(self, token: str) -> bool:
        return _equal(token, self._token)

    def knows_cookie(self, cookies: Mapping[str, str]) -> bool:
        return _equal(cookies.get(self.cookie, ""), self._pass)

    def knows_host(self, host: str | None) -> bool:
        """Whether a request's ``Host`` is a name or an address of this machine.

        Another machine's page cannot have an address as its name, so every address will do where
        the server is open to the network. The port may be another one: that of ``ssh -L``.
        """
        name = name_in(host or "")
        return name in self._names or (self._open and _is_address(name))

    def knows_origin(self, origin: str | None, host: str | None) -> bool:
        """Whether what wants a websocket is a page of this server."""
        return bool(host) and origin == f"http://{host}"


def token(environ: Mapping[str, str]) -> tuple[str, bool]:
    """The token, and whether somebody chose it.

    Raises:
        UsageError: the one that was chosen is too short.
    """
    chosen = environ.get(VARIABLE, "").strip()
    if not chosen:
        return secrets.token_urlsafe(32), False
    if len(chosen) < LEAST:
        raise UsageError(
            f"${VARIABLE} is too short to keep anybody out",
            hint=f"take {LEAST} characters or more, or leave it out to get a random one",
        )
    return chosen, True


def _equal(given: str, kept: str) -> bool:
    """Compare in a time that says nothing of where they differ."""
    return secrets.compare_digest(given.encode(errors="surrogatepass"), kept.encode())


def name_in(host: str) -> str:
    """The name or the address in a ``Host``, in lower case; nothing where it is written otherwise
    than a browser does: with a user, a dot at the end, a port that is none.

    What it lets through can stand in a policy or a URL as it is.
    """
    found = _HOST.fullmatch(host)
    if found is None or not 0 < int(found["port"] or 80) < 65536:
        return ""
    return (found["name"] or found["v6"]).lower()


def _bare(address: str) -> str:
    return address.strip("[]").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
