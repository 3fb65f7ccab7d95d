"""What the user's ssh_config says of a host, as far as asyncssh leaves it to its caller.

asyncssh reads the same files when it connects, but it ignores ``StrictHostKeyChecking``, switches
checks off for ``UserKnownHostsFile none``, and opens a new connection to a jump host for every
target: those three are decided here.
"""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from asyncssh.config import ConfigParseError, SSHClientConfig, SSHConfig

from gswarm_tui.errors import UsageError

_USER_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_GLOBAL_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_ACCEPT_NEW = frozenset({"accept-new", "no", "off"})


class _Config(SSHClientConfig):
    _percent_expand = SSHClientConfig._percent_expand | {
        "UserKnownHostsFile",
        "GlobalKnownHostsFile",
    }
    _handlers: dict[str, Any] = {  # noqa: RUF012
        **SSHClientConfig._handlers,
        "stricthostkeychecking": ("StrictHostKeyChecking", SSHConfig._set_string),
        "hashknownhosts": ("HashKnownHosts", SSHConfig._set_bool),
    }


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What ssh_config says of one host.

    Args:
        files: the ssh_config files that were read, for asyncssh to read as well.
        host, user, port: after ``HostName``, ``User`` and ``Port``.
        key_alias: ``HostKeyAlias``, or None.
        jump: ``ProxyJump``, or None.
        user_known_hosts: the user's files; a new key goes to the first.
        accept_new: whether a host without any known key may be trusted at the first connection.
        hash_names: whether names in known_hosts are hashed.
        connect_timeout, keepalive: seconds, where the files say something.
        own_ciphers: the files choose the ciphers.
    """

    files: tuple[Path, ...]
    host: str
    user: str
    port: int
    key_alias: str | None
    jump: str | None
    user_known_hosts: tuple[Path, ...]
    global_known_hosts: tuple[Path, ...]
    accept_new: bool
    hash_names: bool
    connect_timeout: float | None
    keepalive: float | None
    own_ciphers: bool

    @property
    def key_name(self) -> str:
        """The name under which its key is in known_hosts."""
        if self.key_alias:
            return self.key_alias
        host = self.host.lower()
        return host if self.port == 22 else f"[{host}]:{self.port}"

    @property
    def fallback_key_name(self) -> str | None:
        """The name that is asked for next: a key known for the host is good for its other ports."""
        return None if self.key_alias or self.port == 22 else self.host.lower()

    @property
    def target(self) -> str:
        """The arguments of ``ssh`` that lead there."""
        jump = f"-J {self.jump} " if self.jump else ""
        port = f"-p {self.port} " if self.port != 22 else ""
        return f"{jump}{port}{self.user}@{self.host}"


def default_files() -> tuple[Path, ...]:
    """The files OpenSSH would read, in its order: the first value of a setting wins."""
    files = (Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config"))
    return tuple(path for path in files if path.is_file() and os.access(path, os.R_OK))


def read(
    host: str, *, user: str | None, port: int | None, known_hosts: Path | None = None
) -> HostSettings:
    """Read what the user's and the system's files say of `host`.

    Args:
        user, port: win over the files.
        known_hosts: a file beside those that ssh_config names; they are asked first.

    Raises:
        UsageError: a file is malformed.
    """
    paths = default_files()
    local_user = getpass.getuser()
    asked = (local_user, user or (), host, port or ())
    try:
        config = _Config.load(None, list(paths), False, False, False, *asked)
        if config.has_match_final():
            config = _Config.load(config, list(paths), True, False, True, *asked)
    except ConfigParseError as error:
        raise UsageError(f"the ssh configuration cannot be read: {error}") from None

    def text(option: str) -> str | None:
        return cast("str | None", config.get(option))

    def number(option: str) -> float | None:
        return cast("float | None", config.get(option))

    real_host = text("Hostname") or host
    checking = (text("StrictHostKeyChecking") or "ask").lower()
    return HostSettings(
        files=paths,
        host=real_host,
        user=text("User") or local_user,
        port=int(number("Port") or 22),
        key_alias=text("HostKeyAlias"),
        jump=text("ProxyJump"),
        user_known_hosts=_paths(config.get("UserKnownHostsFile", _USER_FILES))
        + ((known_hosts,) if known_hosts else ()),
        global_known_hosts=_paths(config.get("GlobalKnownHostsFile", _GLOBAL_FILES)),
        accept_new=checking in _ACCEPT_NEW,
        hash_names=bool(config.get("HashKnownHosts", False)),
        connect_timeout=number("ConnectTimeout"),
        keepalive=number("ServerAliveInterval"),
        own_ciphers=text("Ciphers") is not None,
    )


def _paths(names: object) -> tuple[Path, ...]:
    return tuple(Path(name).expanduser() for name in cast("list[str]", names))
