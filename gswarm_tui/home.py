"""The controller's data directory: `Home`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gswarm_tui.errors import StateError

HINT = "name a folder of yours with --data-dir or $GSWARM_HOME"


@dataclass(frozen=True, slots=True)
class Home:
    """The data directory of one controller.

    Nothing is made before it is asked for: ``logs``, ``locks``, ``cron``, ``inventories`` and
    ``cache`` make their folder, ``database`` and ``known_hosts`` the folder that they are in, all
    of them for the user only (0700). What is only ever read, ``config`` and ``inventory``, makes
    nothing.

    Args:
        root: an absolute path; ``~/.gswarm`` unless the user says otherwise, see `locate`.
        shared_cache: the user's cache folder for gswarm, the same for every data directory; a
            folder in the root where there is none.
    """

    root: Path
    shared_cache: Path | None = None

    @property
    def database(self) -> Path:
        """The SQLite file; its folder is there.

        Raises:
            StateError: the folder cannot be made or written to; so for all that are written.
        """
        return _writable_folder(self.root) / "gswarm.db"

    @property
    def known_hosts(self) -> Path:
        """Host keys that gswarm was told to trust, beside ssh's own; its folder is there."""
        return _writable_folder(self.root) / "known_hosts"

    @property
    def logs(self) -> Path:
        """The folder of logs; it is there."""
        return _writable_folder(self.root, "logs")

    @property
    def locks(self) -> Path:
        """The folder of kernel locks, held by the runs that are under way; it is there."""
        return _writable_folder(self.root, "locks")

    @property
    def cron(self) -> Path:
        """The folder that says how the runs of each cron job went; it is there."""
        return _writable_folder(self.root, "cron")

    @property
    def inventories(self) -> Path:
        """The folder of what came of reading inventories; it is there."""
        return _writable_folder(self.root, "inventories")

    @property
    def cache(self) -> Path:
        """The folder of what can be fetched or made again; it is there."""
        if self.shared_cache is not None:
            with suppress(StateError):  # a read-only HOME with the data directory elsewhere
                return _writable_folder(self.shared_cache)
        return _writable_folder(self.root, "cache")

    @property
    def config(self) -> Path:
        """The user's settings, where there are any."""
        return self.root / "config.yaml"

    @property
    def inventory(self) -> Path:
        """The inventory that is used where no other is named or lies in the current folder."""
        return self.root / "inventory.yaml"


def locate(data_dir: Path | None = None, *, environ: Mapping[str, str] | None = None) -> Home:
    """The home that is meant: ``data_dir`` (--data-dir), else $GSWARM_HOME, else ``~/.gswarm``.

    Its cache is ``$XDG_CACHE_HOME/gswarm``, else ``~/.cache/gswarm``.

    Raises:
        StateError: ``~`` cannot be resolved, because the user has no home directory.
    """
    environ = os.environ if environ is None else environ
    path = data_dir or Path(environ.get("GSWARM_HOME") or "~/.gswarm")
    try:
        return Home(path.expanduser().absolute(), _cache_of_user(environ))
    except RuntimeError:
        message = "there is no home directory for this user"
        raise StateError(message, where=str(path), hint=HINT) from None


def _cache_of_user(environ: Mapping[str, str]) -> Path | None:
    try:
        base = Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError:
        return None
    return base / "gswarm" if base.is_absolute() else None


def _writable_folder(root: Path, name: str = "") -> Path:
    folder = root
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if name:
            folder = root / name
            folder.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        raise StateError("is a file, not a folder", where=str(folder), hint=HINT) from None
    except OSError as error:
        message = f"the data directory cannot be made: {error.strerror}"
        raise StateError(message, where=str(folder), hint=HINT) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StateError("the data directory is not writable", where=str(folder), hint=HINT)
    return folder
