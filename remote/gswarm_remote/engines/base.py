"""What every engine is to gswarm: how it is started, and how one knows that it serves.

An engine is one file: it makes a `Launch` from a `Wanted`. It starts nothing; `replicas` does.
"""

from __future__ import annotations

import difflib
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Protocol, Sequence, Tuple

from ..devices import gpu_indices
from ..errors import HelperError, Kind

COMMON_KEYS = ("args", "env", "framework", "health", "ready", "timeout")
"""Keys of `config` that every engine understands."""

READY = ("completion", "chat", "embedding", "health")
"""What has to be answered before an engine counts as ready; see `readiness`."""

SERVING_PATHS = ("/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/v1/responses")
"""What a forwarder lets through for any engine (POST)."""


@dataclass(frozen=True)
class Endpoint:
    """Where an engine listens: a Unix socket, or a port on 127.0.0.1."""

    uds: Optional[str] = None
    port: Optional[int] = None

    def to_dict(self) -> Dict[str, Any]:
        return {"uds": self.uds} if self.uds is not None else {"port": self.port}

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}" if self.uds is None else f"http://engine{path}"


@dataclass(frozen=True)
class Ready:
    """What tells that an engine serves.

    Args:
        health: the path that answers 200 once it is up.
        any_answer: every answer below 500 will do: a command of the user's may have no such path.
        ask: one of `READY`; but for ``health`` a request of that sort has to be answered as well.
        given_up: what its log says when it stays up and never will be ready.
    """

    health: str = "/health"
    any_answer: bool = False
    ask: str = "completion"
    given_up: Optional[str] = None

    def healthy(self, status: int) -> bool:
        return status < 500 if self.any_answer else status == 200


@dataclass(frozen=True)
class Wanted:
    """What is to be served, where.

    Args:
        model: its name, as users know it.
        path: the folder with its files.
        devices: ``("gpu0", "gpu1")`` or ``("dram",)``.
        config: the playbook's ``config``.
        settings: what the inventory says about this engine: ``python`` or ``command``.
        uds, port: where it may listen; the engine takes the one that it can.
        type: the model's type in its metadata.
        cancelled: set when nobody waits for the launch any more.
    """

    model: str
    path: Path
    devices: Tuple[str, ...]
    config: Mapping[str, Any]
    settings: Mapping[str, Any]
    uds: str
    port: int
    type: Optional[str] = None
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    @property
    def gpus(self) -> Tuple[int, ...]:
        return tuple(gpu_indices(self.devices))


@dataclass(frozen=True)
class Launch:
    """How an engine is started and used.

    Args:
        argv: the program and its arguments.
        env: what it needs in its environment beside the usual.
        endpoint: where it will listen.
        served_name: what it calls the model itself.
        ready: what tells that it serves.
        paths: POST paths that it serves beside `SERVING_PATHS`.
        refused: keys of a request's body that would make it load something else.
    """

    argv: Tuple[str, ...]
    endpoint: Endpoint
    served_name: str
    ready: Ready
    env: Mapping[str, str] = field(default_factory=dict)
    paths: Tuple[str, ...] = ()
    refused: Tuple[str, ...] = ()


class Engine(Protocol):
    """A program that serves a model."""

    @property
    def name(self) -> str: ...

    def launch(self, wanted: Wanted) -> Launch:
        """Say how to start it. May look for its interpreter, so it blocks.

        Raises:
            HelperError: `config` or the inventory's settings are wrong, or it is not installed.
        """


# The config of a playbook, made into arguments

_KINDS: Dict[str, Tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "json": (dict, list, str),
}


def check_keys(engine: str, config: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse a key that the engine does not know.

    Raises:
        HelperError: naming it, and the nearest one that is known.
    """
    names = sorted({*known, *COMMON_KEYS})
    for key in config:
        if key not in names:
            raise HelperError(
                Kind.INVALID,
                f"the engine {engine} has no config key {key!r:.60}{did_you_mean(key, names)}",
                where="config",
                hint=f"known: {', '.join(names)}; anything else goes verbatim into args: [...]",
            )


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """The end of a sentence: ``; did you mean 'mlx'?``, or nothing."""
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def typed(config: Mapping[str, Any], key: str, kind: str) -> Any:
    """The value of a key, checked; None where it is not given.

    Raises:
        HelperError: it is of another type.
    """
    value = config.get(key)
    if value is None:
        return None
    wrong_bool = isinstance(value, bool) and kind != "bool"
    if wrong_bool or not isinstance(value, _KINDS[kind]):
        raise HelperError(
            Kind.INVALID,
            f"config.{key} has to be of type {kind}, not {value!r:.60}",
            where="config",
        )
    return value


def flags(config: Mapping[str, Any], options: Mapping[str, str]) -> List[str]:
    """Command-line flags for the keys in `config`; ``max_model_len`` becomes ``--max-model-len``.

    Args:
        options: the kind of value for each key. A bool becomes ``--key`` or ``--no-key``, which is
            argparse's BooleanOptionalAction; json is passed as JSON.
    """
    words: List[str] = []
    for key, kind in options.items():
        value = typed(config, key, kind)
        if value is None:
            continue
        flag = key.replace("_", "-")
        if kind == "bool":
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif kind == "json" and not isinstance(value, str):
            words += [f"--{flag}", json.dumps(value)]
        else:
            words += [f"--{flag}", str(value)]
    return words


def switches(config: Mapping[str, Any], keys: Sequence[str]) -> List[str]:
    """Flags without a ``--no-`` form, for those of `keys` that are true in `config`."""
    return [f"--{key.replace('_', '-')}" for key in keys if typed(config, key, "bool")]


def extra_arguments(config: Mapping[str, Any], reserved: Sequence[str] = ()) -> List[str]:
    """``args`` of the config.

    Args:
        reserved: flags that gswarm itself sets.

    Raises:
        HelperError: it is no list of words, or has a reserved flag.
    """
    words = config.get("args") or []
    simple = (str, int, float)
    if not isinstance(words, (list, tuple)) or not all(isinstance(w, simple) for w in words):
        raise HelperError(Kind.INVALID, "config.args has to be a list of words", where="config")
    for word in map(str, words):
        if word.partition("=")[0] in reserved:
            raise HelperError(
                Kind.INVALID,
                f"config.args must not have {word.partition('=')[0]}: gswarm sets it itself",
                where="config",
                hint="an API key is given to serve as api_key_env",
            )
    return [str(word) for word in words]


def readiness_of(wanted: Wanted, default: str) -> Ready:
    """``ready`` and ``health`` of the config.

    Args:
        default: what has to be answered where the config does not say.

    Raises:
        HelperError: either is malformed.
    """
    usual = "embedding" if wanted.type == "embedding" and default == "completion" else default
    ask = typed(wanted.config, "ready", "str") or usual
    path = typed(wanted.config, "health", "str")
    if ask not in READY:
        raise HelperError(
            Kind.INVALID,
            f"config.ready is {ask!r:.40}",
            where="config",
            hint=f"it is one of {', '.join(READY)}",
        )
    if path is not None and not path.startswith("/"):
        raise HelperError(
            Kind.INVALID, f"config.health {path!r:.60} has to begin with /", where="config"
        )
    return Ready(health=path or "/health", ask=ask)
