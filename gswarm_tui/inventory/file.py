"""What may stand in an inventory file: one pydantic model for each kind of mapping in it.

Unknown keys are refused everywhere. What the file means (whose setting wins, which nodes there are)
is decided in `gswarm_tui.inventory.reading`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from gswarm_remote.devices import gpu_index
from gswarm_remote.metrics.simulation import MODELS, MOST_GPUS, MOST_PROCESSES
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from gswarm_tui.devices import MAX_GPU_INDEX, is_ipv6, is_node_name
from gswarm_tui.inventory.patterns import ALL, expand
from gswarm_tui.sizes import parse_size

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_ENGINE = re.compile(r"[a-z][a-z0-9_-]*")
_COMMAND_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


def _nothing_is_empty(value: Any) -> Any:
    """``defaults:`` with nothing after it is an empty mapping."""
    return {} if value is None else value


def _name(text: str) -> str:
    if "[" in text:
        raise ValueError(f"`{text}` has a range; ranges belong in the `hosts` of a group")
    if not is_node_name(text):
        raise ValueError(
            f"`{text}` cannot be a name: it is made of letters, digits, `.`, `_` and `-`,"
            " and begins with a letter or digit"
        )
    if text == ALL:
        raise ValueError(f"`{ALL}` cannot be a name: it means every node")
    return text


def _hosts(texts: list[str]) -> list[str]:
    return [_name(name) for text in texts for name in expand(text)]


def _one_is_a_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _host(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if is_node_name(bare) or is_ipv6(bare):
        return bare
    if "@" in text:
        raise ValueError(f"`{text}` has a user in it: write the user as `user:`")
    if re.fullmatch(r"[^:]+:[0-9]+|\[.*\]:[0-9]+", text):
        raise ValueError(f"`{text}` has a port in it: write the port as `port:`")
    raise ValueError(f"`{text}` is no host name, ssh alias or IP address")


def _word(what: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not text or text.startswith("-") or re.search(r"[\s\x00-\x1f]", text):
            raise ValueError(f"`{text}` cannot be {what}")
        return text

    return check


def _node_path(text: str) -> str:
    if not re.fullmatch(r"~|(/|~/)[^\x00-\x1f]*", text):
        raise ValueError(f"expected a path on the node that begins with / or ~/, found {text!r}")
    return text


def _interpreter(text: str) -> str:
    """A path on the node, or the name of a command that is on its PATH."""
    return text if _COMMAND_NAME.fullmatch(text) else _node_path(text)


def _argv(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ValueError(f"this is not a command line: {str(error).lower()}") from None


def _size(value: Any) -> int:
    if not isinstance(value, str | int):
        raise ValueError("expected an amount of bytes such as 500GB or 1.5TiB")
    return parse_size(value)


def _gpus(value: Any) -> tuple[int, ...]:
    """GPU indices from ``[gpu0, gpu1]``, ``[0, 1]`` or a count."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_GPU_INDEX + 1:
        return tuple(range(value))
    if not isinstance(value, list):
        raise ValueError("expected a list such as [gpu0, gpu1], or how many GPUs there are")
    indices = [_gpu_index(item) for item in value]
    if len(set(indices)) != len(indices):
        raise ValueError("a GPU is here twice")
    return tuple(sorted(indices))


def _gpu_index(item: Any) -> int:
    index = gpu_index(f"gpu{item}" if isinstance(item, int) else str(item))
    if index is None:
        raise ValueError(f"expected gpu0 to gpu{MAX_GPU_INDEX}, found {item!r}")
    return index


def _labels(value: Any) -> Any:
    """Labels as a mapping; those of a list have the value ""."""
    if not isinstance(value, list):
        return value
    if not all(isinstance(label, str) for label in value):
        raise ValueError("expected a list of words, or a mapping such as {rack: r1}")
    return dict.fromkeys(value, "")


def _label_key(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError(f"`{text}` cannot be a label: letters, digits, `.`, `_`, `/` and `-`")
    return text


def _label_value(value: Any) -> Any:
    """``rack: 7`` is as good as ``rack: "7"``."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _simulated_model(text: str) -> str:
    if text not in MODELS:
        raise ValueError(f"`{text}` cannot be simulated; known are {', '.join(sorted(MODELS))}")
    return text


def _engine_name(text: str) -> str:
    if not _ENGINE.fullmatch(text):
        raise ValueError(f"`{text}` cannot be the name of an engine, such as vllm or mlx")
    return text


Name = Annotated[str, AfterValidator(_name)]
Host = Annotated[str, AfterValidator(_host)]
NodePath = Annotated[str, AfterValidator(_node_path)]
Interpreter = Annotated[str, AfterValidator(_interpreter)]
Size = Annotated[int, BeforeValidator(_size)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Index = Annotated[int, Field(strict=True, ge=0, le=MAX_GPU_INDEX)]
Seconds = Annotated[float, Field(ge=0)]
LabelValue = Annotated[str, BeforeValidator(_label_value)]
Labels = Annotated[
    dict[Annotated[str, AfterValidator(_label_key)], LabelValue], BeforeValidator(_labels)
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StorageEntry(_Strict):
    """How many bytes gswarm may use on a tier."""

    disk: Size | None = None
    dram: Size | None = None


class CapabilitiesEntry(_Strict):
    """What the node has, as far as gswarm may count on it."""

    gpus: Annotated[tuple[int, ...], BeforeValidator(_gpus)] | None = None
    storage: Annotated[StorageEntry, BeforeValidator(_nothing_is_empty)] = StorageEntry()


class EngineEntry(_Strict):
    """Where an engine is: the Python that has it installed, or the command that starts it."""

    python: Interpreter | None = None
    command: Annotated[list[str], Field(min_length=1), BeforeValidator(_argv)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.python is None) == (self.command is None):
            raise ValueError("expected either `python` or `command` for an engine")
        return self


class FaultEntry(_Strict):
    """Something that goes wrong on a simulated GPU."""

    gpu: Index
    kind: Literal["lost", "xid", "throttle", "ecc", "hang"]
    after_s: Seconds | None = None
    for_s: Seconds | None = None
    code: Annotated[int, Field(strict=True, ge=1, le=999)] | None = None


class SimulateEntry(_Strict):
    """GPUs that are not there; see `gswarm_remote.metrics.simulation`."""

    gpus: Annotated[int, Field(strict=True, ge=1, le=MOST_GPUS)]
    model: Annotated[str, AfterValidator(_simulated_model)] | None = None
    pattern: Literal["busy", "idle", "train", "serve", "mixed"] | None = None
    processes: Annotated[int, Field(strict=True, ge=0, le=MOST_PROCESSES)] | None = None
    seed: Annotated[int, Field(strict=True, ge=0)] | None = None
    faults: tuple[FaultEntry, ...] = ()

    @model_validator(mode="after")
    def _faults_of_its_gpus(self) -> Self:
        for fault in self.faults:
            if fault.gpu >= self.gpus:
                raise ValueError(f"a fault is on gpu{fault.gpu}, and there are {self.gpus} GPUs")
        return self


class Settings(_Strict):
    """What can be said for one node, for a group, and for all nodes as a default."""

    user: Annotated[str, AfterValidator(_word("a user"))] | None = None
    port: Port | None = None
    identity: Annotated[str, Field(min_length=1)] | None = None
    jump: Annotated[str, AfterValidator(_word("a jump host"))] | None = None
    python: Interpreter | None = None
    root: NodePath | None = None
    models: NodePath | None = None
    capabilities: CapabilitiesEntry | None = None
    labels: Labels | None = None
    engines: dict[Annotated[str, AfterValidator(_engine_name)], EngineEntry] | None = None
    simulate: SimulateEntry | None = None
    connection: Literal["ssh", "local"] | None = None


class GroupEntry(Settings):
    hosts: Annotated[list[str], AfterValidator(_hosts), BeforeValidator(_one_is_a_list)]

    @model_validator(mode="before")
    @classmethod
    def _hosts_alone(cls, written: object) -> object:
        """A list is short for a group without settings."""
        return {"hosts": written} if isinstance(written, list) else written


class NodeEntry(Settings):
    host: Host | None = None
    address: Host | None = None
    data_address: Host | None = None

    @model_validator(mode="after")
    def _one_host(self) -> Self:
        if self.host is not None and self.address is not None:
            raise ValueError("`host` and `address` are two words for the same: keep one")
        return self


class NamedNodeEntry(NodeEntry):
    """A node of the list form."""

    name: Name


def _shape(value: Any) -> str:
    return "<list>" if isinstance(value, list) else "<mapping>"


def _bare_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


NodeMapping = dict[Name, Annotated[NodeEntry, BeforeValidator(_nothing_is_empty)]]
NodeList = list[Annotated[NamedNodeEntry, BeforeValidator(_bare_name)]]


class InventoryFile(_Strict):
    """The whole file."""

    defaults: Annotated[Settings, BeforeValidator(_nothing_is_empty)] = Settings()
    groups: Annotated[dict[Name, GroupEntry], BeforeValidator(_nothing_is_empty)] = {}
    nodes: Annotated[
        Annotated[NodeMapping, Tag("<mapping>")] | Annotated[NodeList, Tag("<list>")],
        Discriminator(_shape),
        BeforeValidator(_nothing_is_empty),
    ] = {}
