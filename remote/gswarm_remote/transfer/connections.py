"""HTTP connections from a node to a source: TLS, proxies, time limits, and one end for all."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import threading
import urllib.request
import weakref
from typing import Any, Dict, Mapping, Optional, Tuple

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .redirects import host_of, origin_of

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0

# Where systems keep their certificates, for a Python whose OpenSSL was built to look elsewhere (a
# relocated one does): Debian and Ubuntu, RHEL and Fedora, Alpine and macOS, openSUSE.
_CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)

# urllib3 logs each request's path and query when debugging is on, and a signed URL is a secret.
logging.getLogger("urllib3").setLevel(logging.WARNING)


class Connections:
    """Pools of connections, safe to use from many threads.

    Proxies are those of the environment, ``https_proxy``, ``http_proxy`` and ``no_proxy`` in either
    case: the environment of the shell that started the helper.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._managers: Dict[Tuple[bool, Optional[str]], urllib3.PoolManager] = {}
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._aborted = False

    def get(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """Send a GET, once; the body is still to be read, and is not decoded.

        Raises:
            urllib3.exceptions.HTTPError: no answer.
            HelperError: `url` is not an http or https URL.
        """
        return self._manager(url).request(
            "GET",
            url,
            headers=dict(headers),
            preload_content=False,
            decode_content=False,
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
        )

    def abort(self) -> None:
        """End every connection, also those made later: threads that wait for bytes stop waiting."""
        self._aborted = True
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            _shut(sock)

    def close(self) -> None:
        """Close the connections that are idle."""
        with self._lock:
            for manager in self._managers.values():
                manager.clear()
            self._managers.clear()

    def _manager(self, url: str) -> urllib3.PoolManager:
        key = (origin_of(url).startswith("https:"), proxy_for(url))
        with self._lock:
            manager = self._managers.get(key)
            if manager is None:
                manager = self._managers[key] = self._make_manager(*key)
            return manager

    def _make_manager(self, secure: bool, proxy: Optional[str]) -> urllib3.PoolManager:
        options: Dict[str, Any] = {"num_pools": 8, "maxsize": 32}
        if secure:
            options["ssl_context"] = tls_context()
        if proxy is None:
            manager = urllib3.PoolManager(**options)
        else:
            credentials = urllib3.util.parse_url(proxy).auth
            headers = urllib3.make_headers(proxy_basic_auth=credentials) if credentials else None
            manager = urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
        manager.pool_classes_by_scheme = self._pool_classes()
        return manager

    def _pool_classes(self) -> Dict[str, Any]:
        """urllib3's pools, of connections that tell us their sockets: `abort` must reach them."""
        opened = self._opened

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                opened(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                opened(self.sock)

        plain = type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain})
        secure = type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": Secure})
        return {"http": plain, "https": secure}

    def _opened(self, sock: Any) -> None:
        if not isinstance(sock, socket.socket):
            return  # TLS inside a TLS proxy: ends at its read timeout
        with self._lock:
            self._sockets.add(sock)
        if self._aborted:
            _shut(sock)


def proxy_for(url: str) -> Optional[str]:
    """The proxy that the environment names for `url`; None for this machine itself."""
    proxies = urllib.request.getproxies()
    scheme = url.split(":", 1)[0].lower()
    proxy = proxies.get(scheme)
    host = host_of(url)
    if not proxy or host == "localhost" or host.startswith("127.") or host == "::1":
        return None
    if urllib.request.proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def tls_context() -> ssl.SSLContext:
    """Trusts the system's certificates, also where this Python does not know their place."""
    context = ssl.create_default_context()
    if not _has_default_certificates():
        for bundle in _CA_BUNDLES:
            with contextlib.suppress(OSError):
                context.load_verify_locations(bundle)
                break
    return context


def _has_default_certificates() -> bool:
    paths = ssl.get_default_verify_paths()
    if paths.cafile is not None:
        return True
    with contextlib.suppress(OSError):
        return paths.capath is not None and any(os.scandir(paths.capath))
    return False


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
