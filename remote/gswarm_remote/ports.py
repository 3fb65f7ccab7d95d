"""Ports of this machine: bound before anything is loaded; and who holds one that is taken."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import pwd
import socket
import sys
from pathlib import Path
from typing import Iterator, Optional, Tuple

from . import processtable
from .errors import HelperError, Kind

BACKLOG = 512
_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp, include/net/tcp_states.h
_LONGEST_COMMAND = 120


def check_address(address: str) -> str:
    """An IP address that can be bound.

    Raises:
        HelperError: it is none.
    """
    if address == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise HelperError(
            Kind.INVALID,
            f"{address!r:.80} is no IP address",
            where="address",
            hint="use 127.0.0.1, an address of the node, or 0.0.0.0 for all of them",
        ) from None


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def reachable(address: str) -> str:
    """The address at which this machine reaches what is bound to `address`, as URLs have it."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified:
        return "127.0.0.1" if parsed.version == 4 else "[::1]"
    return str(parsed) if parsed.version == 4 else f"[{parsed}]"


def bind(address: str, port: Optional[int]) -> socket.socket:
    """A socket that holds the port and does not listen yet: until then connections are refused.

    Args:
        port: None for one that is free.

    Raises:
        HelperError: `Kind.PORT_TAKEN`, naming the holder where it can be known; the address is
            not this machine's; a port below 1024.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A port with connections that have just ended is free; one that is listened on is not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((address, port or 0))
    except OSError as error:
        listener.close()
        raise _explained(error, address, port) from error
    return listener


def listen(listener: socket.socket) -> None:
    """Begin to accept; another process may have been faster with the same port.

    Raises:
        HelperError: as `bind`.
    """
    address, port = listener.getsockname()[:2]
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise _explained(error, address, port) from error


def holder(port: int) -> Optional[str]:
    """Who listens on a port, as ``command (pid 12)`` or ``a process of user``; None if unknown."""
    if sys.platform != "linux":
        return None
    for inode, uid in _listeners(port):
        pid = _pid_with_socket(inode)
        if pid is not None:
            command = " ".join(processtable.command_line(pid))[:_LONGEST_COMMAND]
            return f"{command or 'a process'} (pid {pid})"
        return f"a process of {_user(uid)}"
    return None


def _explained(error: OSError, address: str, port: Optional[int]) -> HelperError:
    where = f"{address}:{port or 0}"
    if error.errno == errno.EADDRINUSE:
        by = holder(port) if port else None
        return HelperError(
            Kind.PORT_TAKEN,
            f"port {port} is taken" + (f" by {by}" if by else ""),
            where=where,
            hint="name another port, or none to have one chosen",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return HelperError(
            Kind.PERMISSION,
            f"port {port} cannot be bound: {error.strerror}",
            where=where,
            hint="ports below 1024 are root's; name a higher one",
        )
    return HelperError(
        Kind.INVALID,
        f"the address cannot be bound: {error.strerror}",
        where=where,
        hint="use 127.0.0.1, an address of the node itself, or 0.0.0.0 for all of them",
    )


def _listeners(port: int) -> Iterator[Tuple[str, int]]:
    """Inode and uid of every listening TCP socket of a port. Source: proc_net_tcp in the kernel."""
    for name in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9], int(fields[7])


def _pid_with_socket(inode: str) -> Optional[int]:
    """Only processes of this user can be looked into; root sees all."""
    wanted = f"socket:[{inode}]"
    for pid in processtable.pids():
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if os.readlink(descriptor) == wanted:  # noqa: PTH115 - no path, a name
                        return pid
    return None


def _user(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"uid {uid}"
