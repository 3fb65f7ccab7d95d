"""What an inventory file means: whose setting wins, and which nodes there are.

A node's settings are its own, else its groups' (the later group in the file wins), else the
defaults. ``labels``, ``engines`` and ``capabilities`` are joined key by key, all else is replaced;
``null`` takes a setting back.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from gswarm_tui.errors import InventoryError
from gswarm_tui.inventory.file import EngineEntry, InventoryFile, NodeEntry, Settings, SimulateEntry
from gswarm_tui.inventory.inventory import Inventory, host_key
from gswarm_tui.inventory.nodespec import DEFAULT_ROOT, Capabilities, EngineSpec, NodeSpec
from gswarm_tui.yamlerrors import validate
from gswarm_tui.yamlfile import Document, load_yaml

EXAMPLE_HINT = "inventory.example.yaml shows what it can say"


def read(path: Path) -> Inventory:
    """Read an inventory file.

    Raises:
        InventoryError: it cannot be read or is wrong.
    """
    document = load_yaml(path, error_class=InventoryError)
    if document.data is None:
        raise InventoryError("the inventory is empty", where=document.name, hint=EXAMPLE_HINT)
    return _Resolver(document, validate(document, InventoryFile, InventoryError), path).inventory()


class _Resolver:
    """From what the file says to what each node is."""

    def __init__(self, document: Document, file: InventoryFile, path: Path) -> None:
        self._document = document
        self._file = file
        self._path = path
        self._problems: list[tuple[str, str]] = []

    def inventory(self) -> Inventory:
        nodes: dict[str, NodeSpec] = {}
        for name, entry, where in self._entries():
            if name in nodes:
                self._problem(where, f"the node `{name}` is here twice ({nodes[name].where})")
            elif name in self._file.groups:
                self._problem(where, f"`{name}` is a node and a group: they cannot share a name")
            else:
                nodes[name] = self._node(name, entry, where)
        self._check_machines(nodes.values())
        if not nodes and not self._problems:
            self._problem(self._document.position(()), "the inventory names no node")
        self._raise_problems()
        groups = {name: tuple(dict.fromkeys(g.hosts)) for name, g in self._file.groups.items()}
        return Inventory(nodes=nodes, groups=groups, path=self._path)

    def _entries(self) -> Iterator[tuple[str, NodeEntry, str]]:
        """The nodes of ``nodes``, then those that are named by groups only."""
        seen: set[str] = set()
        for name, entry, where in self._own_entries():
            seen.add(name)
            yield name, entry, where
        for group, members in self._file.groups.items():
            where = self._document.position(("groups", group, "hosts"))
            for name in members.hosts:
                if name not in seen:
                    seen.add(name)
                    yield name, NodeEntry(), where

    def _own_entries(self) -> Iterator[tuple[str, NodeEntry, str]]:
        nodes = self._file.nodes
        if isinstance(nodes, dict):
            for name, entry in nodes.items():
                yield name, entry, self._document.key_position(("nodes", name))
        else:
            for index, named in enumerate(nodes):
                yield named.name, named, self._document.position(("nodes", index, "name"))

    def _node(self, name: str, entry: NodeEntry, where: str) -> NodeSpec:
        groups = tuple(group for group, e in self._file.groups.items() if name in e.hosts)
        layers = [self._file.defaults, *(self._file.groups[group] for group in groups), entry]
        connection: Literal["ssh", "local"] = _last(layers, "connection") or "ssh"
        ssh = layers if connection == "ssh" else []
        host = entry.host or entry.address or ("localhost" if connection == "local" else name)
        engines: dict[str, EngineEntry] = _joined(layers, "engines")
        return NodeSpec(
            name=name,
            host=host,
            user=_last(ssh, "user"),
            port=_last(ssh, "port"),
            identity=self._identity(_last(ssh, "identity")),
            jump=_last(ssh, "jump"),
            python=_last(layers, "python"),
            root=_last(layers, "root") or DEFAULT_ROOT,
            models=_last(layers, "models"),
            capabilities=_capabilities(layers),
            data_address=entry.data_address,
            labels=_joined(layers, "labels"),
            engines={engine: _engine(spec) for engine, spec in engines.items()},
            simulate=_simulated(_last(layers, "simulate")),
            connection=connection,
            groups=groups,
            where=where,
        )

    def _identity(self, written: str | None) -> Path | None:
        """An absolute path; a relative one is relative to the inventory's folder."""
        if written is None:
            return None
        return self._path.absolute().parent / os.path.expanduser(written)  # noqa: PTH111

    def _check_machines(self, nodes: Iterable[NodeSpec]) -> None:
        first: dict[tuple[object, ...], NodeSpec] = {}
        for node in nodes:
            same = first.setdefault(_machine(node), node)
            if same is not node:
                self._problem(
                    node.where or "",
                    f"`{node.name}` is the same host, user, port and root as `{same.name}`"
                    f" ({same.where}): give one of them another `root`",
                )

    def _problem(self, where: str, message: str) -> None:
        self._problems.append((where, message))

    def _raise_problems(self) -> None:
        if self._problems:
            (where, first), *rest = self._problems
            message = "\n".join([first, *(f"{place}: {text}" for place, text in rest)])
            raise InventoryError(message, where=where)


def _last(layers: Sequence[Settings], name: str) -> Any:
    """The setting of the last layer that has it; that may be None, which takes it back."""
    written = (getattr(layer, name) for layer in reversed(layers) if name in layer.model_fields_set)
    return next(written, None)


def _joined(layers: Sequence[Settings], name: str) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for layer in layers:
        if name in layer.model_fields_set:
            value = getattr(layer, name)
            joined = {} if value is None else {**joined, **value}
    return joined


def _capabilities(layers: Sequence[Settings]) -> Capabilities:
    joined: dict[str, Any] = {}
    for layer in layers:
        entry = layer.capabilities
        if entry is not None:
            joined |= {"gpus": entry.gpus} if "gpus" in entry.model_fields_set else {}
            storage = entry.storage
            joined |= {tier: getattr(storage, tier) for tier in storage.model_fields_set}
        elif "capabilities" in layer.model_fields_set:
            joined = {}
    return Capabilities(**joined)


def _engine(entry: EngineEntry) -> EngineSpec:
    command = None if entry.command is None else tuple(entry.command)
    return EngineSpec(python=entry.python, command=command)


def _simulated(entry: SimulateEntry | None) -> dict[str, Any] | None:
    return None if entry is None else entry.model_dump(mode="json", exclude_none=True)


def _machine(node: NodeSpec) -> tuple[object, ...]:
    """What two nodes must not share: one node is one root."""
    if node.connection == "local":
        root = os.path.expanduser(node.root)  # noqa: PTH111
        return ("local", posixpath.normpath(root))
    return (host_key(node.host), node.user, node.port, posixpath.normpath(node.root))
