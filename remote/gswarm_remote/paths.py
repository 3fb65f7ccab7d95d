"""Where things are on a node."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

from .errors import HelperError, Kind

MAX_SOCKET_PATH = 107
"""Bytes in a Unix socket's path on Linux, the final NUL not counted (``sun_path`` in unix(7))."""

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the tmpfs; private_folder checks ours in it


@dataclass(frozen=True)
class Paths:
    """A node root and what lies below it.

    Args:
        root: the node's root, absolute and resolved.
        models: the disk tier's folder.
        dram: the dram tier's folder in tmpfs; None where there is no tmpfs, or where another
            user has taken our name in it.
        run: a 0700 folder on a local filesystem with a short path: sockets and locks.
    """

    root: Path
    models: Path
    dram: Optional[Path]
    run: Path

    @property
    def identity(self) -> str:
        """Twelve hex digits that stand for the root in names outside it."""
        return identity_of(self.root)

    @property
    def host(self) -> Path:
        """State that belongs to this machine, where several share one root through NFS."""
        return self.root / "hosts" / socket.gethostname()

    @property
    def engines(self) -> Path:
        return self.host / "engines"

    @property
    def services(self) -> Path:
        return self.host / "services"

    @property
    def tasks(self) -> Path:
        return self.host / "tasks"

    @property
    def logs(self) -> Path:
        return self.host / "logs"

    @property
    def settings(self) -> Path:
        return self.host / "settings.json"

    @property
    def socket(self) -> Path:
        return self.socket_path(f"{self.identity}.sock")

    @property
    def lock(self) -> Path:
        return self.run / f"{self.identity}.lock"

    def socket_path(self, name: str) -> Path:
        """The path for a socket called `name`.

        Raises:
            HelperError: a Unix socket's path cannot be that long.
        """
        path = self.run / name
        if len(os.fsencode(path)) > MAX_SOCKET_PATH:
            raise HelperError(
                Kind.INVALID,
                f"the socket path is {len(os.fsencode(path))} bytes long, the system's limit is"
                f" {MAX_SOCKET_PATH}",
                where=str(path),
                hint="set GSWARM_RUN_DIR on the node to a short path on a local disk",
            )
        return path


def locate(root: str, *, models: Optional[str] = None) -> Paths:
    """Find and make the folders of the node whose root is `root`.

    Raises:
        HelperError: a folder cannot be made, or is not this user's alone.
    """
    resolved = Path(root).expanduser().resolve()
    _make(resolved)
    paths = Paths(
        root=resolved,
        models=Path(models).expanduser() if models else resolved / "models",
        dram=_dram_folder(resolved),
        run=run_folder(),
    )
    for folder in (paths.engines, paths.services, paths.tasks, paths.logs):
        _make(folder)
    return paths


def identity_of(root: Path) -> str:
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:12]


def run_folder() -> Path:
    """The folder of this user's sockets: the same one in every kind of session.

    ``/run/user/UID`` is used only where the user lingers: logind removes it, with a running
    helper's socket in it, when the user's last session ends. The environment is not asked where it
    is, because cron and ssh would give two answers, and so two helpers for one root.

    Raises:
        HelperError: it cannot be made, or somebody else made it first.
    """
    chosen = os.environ.get("GSWARM_RUN_DIR")
    if chosen:
        return private_folder(Path(chosen))
    runtime = Path(f"/run/user/{os.getuid()}")
    if lingers() and runtime.is_dir() and os.access(runtime, os.W_OK):
        return private_folder(runtime / "gswarm")
    temporary = Path("/tmp")  # noqa: S108 - private_folder checks the owner and the mode
    if not os.access(temporary, os.W_OK):
        temporary = Path(os.environ.get("TMPDIR", "/var/tmp"))  # noqa: S108
    return private_folder(temporary / f"gswarm-{os.getuid()}")


def run_folders() -> List[Path]:
    """Every folder that `run_folder` may have chosen for a helper that runs; only those of ours."""
    chosen = os.environ.get("GSWARM_RUN_DIR")
    if chosen:
        return [Path(chosen)]
    bases = (f"/run/user/{os.getuid()}/gswarm", f"/tmp/gswarm-{os.getuid()}")  # noqa: S108
    return [Path(base) for base in bases if _is_ours(Path(base))]


def private_folder(path: Path) -> Path:
    """Make `path` 0700, or check that it is ours alone.

    Raises:
        HelperError: it cannot be made, is a link, or belongs to another user.
    """
    _make(path)
    if not _is_ours(path):
        raise HelperError(
            Kind.PERMISSION,
            "this is not a folder of this user's, though its name says so",
            where=str(path),
            hint="see who made it with ls -ld, and have it removed",
        )
    if stat.S_IMODE(path.lstat().st_mode) & 0o077:
        path.chmod(0o700)
    return path


def _is_ours(path: Path) -> bool:
    """Whether `path` is a folder, no link, that belongs to this user."""
    try:
        info = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid()


def resolve_below(base: Path, relative: str) -> Path:
    """`relative` below `base`; for every path that comes from outside.

    Raises:
        HelperError: it is absolute, climbs out, holds a NUL, or leaves through a link.
    """
    refused = HelperError(Kind.INVALID, f"the path {relative!r:.200} leads out of its folder")
    parts = relative.split("/")
    if not relative or "\0" in relative or "\\" in relative:
        raise refused
    if any(part in ("", ".", "..") for part in parts):
        raise refused
    path = base.joinpath(*parts)
    resolved_base = base.resolve()
    if resolved_base != path.resolve() and resolved_base not in path.resolve().parents:
        raise refused
    return path


def lingers() -> Optional[bool]:
    """Whether logind keeps this user's things after the last session; None without logind.

    Source: loginctl enable-linger leaves a file named after the user in /var/lib/systemd/linger.
    """
    if platform.system() != "Linux" or not Path("/run/systemd/system").is_dir():
        return None
    try:
        return (Path("/var/lib/systemd/linger") / getpass.getuser()).exists()
    except (OSError, KeyError):
        return None


def _dram_folder(root: Path) -> Optional[Path]:
    chosen = os.environ.get("GSWARM_DRAM_DIR")
    base = Path(chosen) if chosen else _SHARED_MEMORY
    ours = base / f"gswarm-{os.getuid()}"
    if not base.is_dir() or (os.path.lexists(ours) and not _is_ours(ours)):
        return None
    return ours / identity_of(root)


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HelperError(
            Kind.PERMISSION,
            f"the folder cannot be made: {error.strerror}",
            where=str(path),
            hint="set 'root:' of the node in the inventory to a folder that you may write",
        ) from error
