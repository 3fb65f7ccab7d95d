"""Whether a host key is the right one: strict, as OpenSSH is, and with words that say what to do.

A host of which nothing is known is trusted at first sight only where ssh_config says
``StrictHostKeyChecking accept-new`` (or ``no``, which means no more than that here); a host of
which something else is known never is.
"""

from __future__ import annotations

import base64
import fcntl
import functools
import hashlib
import hmac
import os
import secrets
import shlex
from pathlib import Path

import asyncssh
from asyncssh.known_hosts import SSHKnownHosts

from gswarm_tui.errors import HostKeyError

from .ssh_config import HostSettings

_Keys = list[asyncssh.SSHKey]


class Verifier(asyncssh.SSHClient):
    """Judges the key of one host during one connection.

    Args:
        node: the node's name, for errors.
        settings: the host's, from ssh_config.
    """

    def __init__(self, node: str, settings: HostSettings) -> None:
        self._node = node
        self._settings = settings
        self._presented: asyncssh.SSHKey | None = None
        self._new = False

    def trusted(self, host: str, addr: str, port: int | None) -> tuple[_Keys, _Keys, _Keys]:
        """The host's keys, certificate authorities and revoked keys; asyncssh's ``known_hosts``."""
        keys, authorities, revoked = self._look_up(self._settings.key_name)
        fallback = self._settings.fallback_key_name
        if fallback and not keys and not authorities:
            keys, authorities, more_revoked = self._look_up(fallback)
            revoked = revoked + more_revoked
        return keys, authorities, revoked

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Asked by asyncssh when `key` is not among the trusted ones."""
        self._presented = key
        self._new = self._settings.accept_new and not self._known_in()
        return self._new

    def remember(self) -> None:
        """Write down the key that was accepted at first sight, once the connection stands.

        Raises:
            HostKeyError: in the meantime another key was written down for this host.
        """
        if not self._new or self._presented is None or not self._settings.user_known_hosts:
            return
        path = self._settings.user_known_hosts[0]
        line = _line(self._settings.key_name, self._presented, hashed=self._settings.hash_names)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise HostKeyError(
                f"the new host key cannot be written to {path}: {error.strerror}",
                where=self._node,
                hint="make that file writable, or add the key to it yourself",
            ) from error
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            data = file.read()
            known = _parse(data).match(self._settings.key_name, "", None)[0]
            if self._presented in known:
                return
            if known:
                raise self.error("")
            file.write(line if not data or data.endswith(b"\n") else b"\n" + line)

    def error(self, reason: str) -> HostKeyError:
        """Why the key was refused; `reason` is asyncssh's own word for what is not a plain key."""
        if self._presented is None:
            return HostKeyError(
                f"the host key cannot be verified: {reason}",
                where=self._node,
                hint=f"look at it with: ssh -v {self._settings.target}",
            )
        shown = f"{self._presented.get_algorithm()} {self._presented.get_fingerprint()}"
        known_in = self._known_in()
        if known_in is None:
            return HostKeyError(
                f"the host key of {self._settings.key_name} is unknown: {shown}",
                where=self._node,
                hint="compare that with what the node itself shows"
                " (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub); if it is the same:"
                f" {self._add_command()}",
            )
        return HostKeyError(
            f"the host key of {self._settings.key_name} has changed: it is {shown}, another is in"
            f" {known_in}",
            where=self._node,
            hint="somebody may be in between; if the machine was set up anew: "
            f"ssh-keygen -R {shlex.quote(self._settings.key_name)} -f {shlex.quote(str(known_in))}"
            f" && {self._add_command()}",
        )

    def _add_command(self) -> str:
        settings = self._settings
        files = settings.user_known_hosts
        if settings.jump or not files:  # ssh-keyscan goes through no jump host
            return f"ssh {settings.target} true"
        port = f" -p {settings.port}" if settings.port != 22 else ""
        return f"ssh-keyscan{port} {shlex.quote(settings.host)} >> {shlex.quote(str(files[0]))}"

    def _known_in(self) -> Path | None:
        """The file that has a key or an authority for this very name."""
        for path in self._files():
            found = _load(path).match(self._settings.key_name, "", None)
            if found[0] or found[1]:
                return path
        return None

    def _look_up(self, name: str) -> tuple[_Keys, _Keys, _Keys]:
        keys: _Keys = []
        authorities: _Keys = []
        revoked: _Keys = []
        for path in self._files():
            found = _load(path).match(name, "", None)
            keys += found[0]
            authorities += found[1]
            revoked += found[2]
        return keys, authorities, revoked

    def _files(self) -> tuple[Path, ...]:
        return self._settings.user_known_hosts + self._settings.global_known_hosts


def _line(name: str, key: asyncssh.SSHKey, *, hashed: bool) -> bytes:
    """A line of known_hosts, as sshd(8) describes it under SSH_KNOWN_HOSTS FILE FORMAT."""
    if hashed:
        salt = secrets.token_bytes(20)
        digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
        name = "|".join(
            ["", "1", base64.b64encode(salt).decode(), base64.b64encode(digest).decode()]
        )
    algorithm, data = key.export_public_key("openssh").split()[:2]
    return b" ".join([name.encode(), algorithm, data]) + b"\n"


def _load(path: Path) -> SSHKnownHosts:
    try:
        info = path.stat()
    except OSError:
        return SSHKnownHosts()
    return _load_version(path, info.st_mtime_ns, info.st_size)


@functools.lru_cache(maxsize=16)
def _load_version(path: Path, mtime_ns: int, size: int) -> SSHKnownHosts:
    """The file as it was at that time: a fleet of nodes parses it once."""
    try:
        return _parse(path.read_bytes())
    except OSError:
        return SSHKnownHosts()


def _parse(data: bytes) -> SSHKnownHosts:
    known = SSHKnownHosts()
    for line in data.decode(errors="replace").splitlines():
        try:
            known.load(line)
        except ValueError:
            continue  # OpenSSH passes over what it does not understand, too
    return known
