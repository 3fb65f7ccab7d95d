"""What a controller may ask about commands."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from ..errors import HelperError, Kind
from ..operations import in_thread
from .record import Command

if TYPE_CHECKING:
    from ..node import Node
    from ..rpc import Call, Handler

_MOST_BYTES = 128 * 1024  # of arguments, and as much of environment; execve(2) takes more


def handlers(node: Node) -> Dict[str, Handler]:
    """The methods of this module by name."""
    methods = _Methods(node)
    return {"command.run": methods.run, "command.look": methods.look}


class _Methods:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def run(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        if call.entry is None:
            raise HelperError(Kind.INVALID, "a command is run for a task, and none is named")
        argv = _argv(params.get("argv"))
        env = _env(params.get("env"))
        cwd, creates = _places(params)
        known = self._node.commands.knows(call.entry.digest)  # then that it is there is its doing
        if params.get("creates") is not None and not known and await _is_there(creates):
            return {"status": 0, "output": "", "truncated": False, "skipped": True, "seconds": 0.0}
        folder = await in_thread(_stat, cwd)
        if folder is None or not stat.S_ISDIR(folder.st_mode):
            raise HelperError(Kind.NOT_FOUND, "there is no such folder", where=str(cwd))
        if not os.access(cwd, os.X_OK):
            raise HelperError(
                Kind.PERMISSION, "this user may not enter that folder", where=str(cwd)
            )
        command = Command(
            id=call.entry.digest,
            task=call.entry.task,
            argv=argv,
            cwd=str(cwd),
            started_at=time.time(),
            timeout_s=_timeout(params.get("timeout_s")),
        )
        return await self._node.commands.run(call, command, env)

    async def look(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        """Whether what a command creates is there; nothing is run."""
        _, creates = _places(params)
        return {"there": await _is_there(creates)}


async def _is_there(path: Path) -> bool:
    return await in_thread(_stat, path) is not None


def _stat(path: Path) -> Optional[os.stat_result]:
    """What is at a path; None where nothing is. What `Path.exists` raises differs by Python.

    Raises:
        HelperError: this user may not look, or there can be no such path.
    """
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        message = "this user may not look whether that is there"
        raise HelperError(Kind.PERMISSION, message, where=str(path)) from None
    except OSError as error:
        raise HelperError(Kind.INVALID, str(error.strerror or error), where=str(path)) from None


def _argv(data: object) -> Tuple[str, ...]:
    if not isinstance(data, list) or not data or not all(_is_text(word) for word in data):
        raise HelperError(Kind.INVALID, "argv is a list: the program and its arguments")
    if not data[0] or data[0].startswith("-"):
        raise HelperError(Kind.INVALID, f"{data[0]!r:.80} is not the name of a program")
    if sum(len(os.fsencode(word)) for word in data) > _MOST_BYTES:
        raise HelperError(Kind.INVALID, f"argv has more than {_MOST_BYTES} bytes")
    return tuple(data)


def _env(data: object) -> Dict[str, str]:
    given = {} if data is None else data
    if not isinstance(given, dict):
        raise HelperError(Kind.INVALID, "env is a map of names and texts")
    for name, value in given.items():  # the value may be secret: no error says it
        if not _is_text(name) or not name or "=" in name:
            raise HelperError(Kind.INVALID, f"{name!r:.80} is no name of a variable")
        if not _is_text(value):
            raise HelperError(Kind.INVALID, f"the value of {name} in env is not a text")
    if sum(len(name) + len(value) for name, value in given.items()) > _MOST_BYTES:
        raise HelperError(Kind.INVALID, f"env has more than {_MOST_BYTES} bytes")
    return given


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _places(params: Dict[str, Any]) -> Tuple[Path, Path]:
    """The folder that a command runs in, and what it creates; the folder where that is nothing."""
    cwd = _path(params.get("cwd"), Path.home(), "cwd")
    return cwd, _path(params.get("creates"), cwd, "creates")


def _path(data: object, base: Path, key: str) -> Path:
    """A path on this node, relative to `base`; ``~`` is a user's home."""
    if data is None:
        return base
    if not isinstance(data, str) or not data or "\0" in data:
        raise HelperError(Kind.INVALID, f"{key} is a path")
    try:
        return base / Path(data).expanduser()
    except RuntimeError as error:
        raise HelperError(Kind.INVALID, f"{key}: {error}", where=data) from None


def _timeout(data: object) -> Optional[float]:
    if data is None:
        return None
    if isinstance(data, bool) or not isinstance(data, (int, float)) or not data > 0:
        raise HelperError(Kind.INVALID, f"timeout_s is a number of seconds, not {data!r:.40}")
    return float(data)
