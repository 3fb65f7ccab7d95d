"""A command of the user's: any server that can be told where the model is and where to listen."""

from __future__ import annotations

import string
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Mapping, Tuple

from ..errors import HelperError, Kind
from . import template
from .base import (
    Endpoint,
    Launch,
    Ready,
    Wanted,
    check_keys,
    extra_arguments,
    readiness_of,
    typed,
)

_KEYS = ("command", "paths", "port", "served_name")
_PATH_LETTERS = frozenset(string.ascii_letters + string.digits + "/_-.")


class Command:
    """``config.command``, or ``engines.command.command`` of the inventory; see `template`."""

    name = "command"

    def launch(self, wanted: Wanted) -> Launch:
        config = wanted.config
        check_keys(self.name, config, _KEYS)
        words = [*_words(config, wanted.settings), *extra_arguments(config)]
        endpoint = _endpoint(wanted, words)
        argv = template.fill(words, replace(wanted, port=endpoint.port or 0), where="config")
        return Launch(
            argv=(_program(argv[0]), *argv[1:]),
            endpoint=endpoint,
            served_name=typed(config, "served_name", "str") or wanted.model,
            ready=_ready(wanted),
            paths=_paths(config),
        )


def _words(config: Mapping[str, Any], settings: Mapping[str, Any]) -> List[str]:
    command = config.get("command") or settings.get("command")
    if not command:
        raise _wrong(
            "the engine command needs a command",
            "give it in the action as config: {command: 'my-server --port {port} {path}'}, or as"
            " --config command='my-server --port {port} {path}'",
        )
    return template.words_of(command, where="config")


def _program(word: str) -> str:
    return str(Path(word).expanduser()) if word.startswith("~") else word


def _ready(wanted: Wanted) -> Ready:
    """Nothing is known of such a server: without ``health`` any answer of HTTP will do."""
    ready = readiness_of(wanted, "health")
    return replace(ready, any_answer="health" not in wanted.config)


def _endpoint(wanted: Wanted, words: List[str]) -> Endpoint:
    used = template.used(words, where="config")
    fixed = typed(wanted.config, "port", "int")
    ways = [way for way in ("port", "uds") if way in used] or ([] if fixed is None else ["port"])
    if len(ways) != 1:
        raise _wrong(
            "the command says both {port} and {uds}" if ways else "the command has no {port}",
            "it has to be told where to listen: on 127.0.0.1 at {port}, or on the Unix socket"
            " {uds}; a server with a port of its own is described with config.port",
        )
    if ways == ["uds"]:
        return Endpoint(uds=wanted.uds)
    return Endpoint(port=wanted.port if fixed is None else fixed)


def _paths(config: Mapping[str, Any]) -> Tuple[str, ...]:
    """``paths``: what else a forwarder lets through."""
    given = typed(config, "paths", "json") or []
    paths = given if isinstance(given, list) else [given]
    for path in paths:
        plain = isinstance(path, str) and path.startswith("/") and set(path) <= _PATH_LETTERS
        if not plain or "//" in path or ".." in path:
            raise _wrong(
                f"config.paths has {path!r:.60}", "each is a plain path, such as /v1/classify"
            )
    return tuple(paths)


def _wrong(message: str, hint: str) -> HelperError:
    return HelperError(Kind.INVALID, message, where="config", hint=hint)
