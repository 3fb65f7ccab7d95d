"""The inventory: which nodes there are, and how each is reached and used.

A node's settings are its own, else its groups' (the later group in the file wins), else the
defaults. ``labels``, ``engines`` and ``capabilities`` are joined key by key, all else is replaced;
``null`` takes a setting back.
"""

from __future__ import annotations

import ipaddress
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final

from gswarm_tui import home as homes
from gswarm_tui import patterns
from gswarm_tui.devices import Device, is_place, parse
from gswarm_tui.errors import DeviceError, InventoryError
from gswarm_tui.home import Home
from gswarm_tui.inventory_file import EngineEntry, InventoryFile, NodeEntry, Settings, SimulateEntry
from gswarm_tui.nearest import did_you_mean
from gswarm_tui.nodespec import DEFAULT_ROOT, Capabilities, EngineSpec, NodeSpec
from gswarm_tui.yamlerrors import validate
from gswarm_tui.yamlfile import Document, load_yaml

__all__ = ["Capabilities", "EngineSpec", "Inventory", "NodeSpec", "discover", "load", "read"]

VARIABLE = "GSWARM_INVENTORY"
FILE_NAME = "inventory.yaml"
EXAMPLE_HINT = "inventory.example.yaml shows what it can say"


@final
@dataclass(frozen=True, slots=True)
class Inventory:
    """The fleet.

    Args:
        nodes: every node by name, in the order of the file.
        groups: the names of each group's nodes.
        path: the file it was read from; None where there was none.
    """

    nodes: Mapping[str, NodeSpec]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    path: Path | None = None

    def select(self, wanted: str | Sequence[str] | None = None) -> list[NodeSpec]:
        """The nodes that patterns name (see `gswarm_tui.patterns`), in the inventory's order.

        Raises:
            DeviceError: a pattern names no node, or none is left.
        """
        candidates = patterns.Candidates(
            names=list(self.nodes),
            groups=self.groups,
            labels={name: node.labels for name, node in self.nodes.items()},
            hosts={name: node.host for name, node in self.nodes.items()},
        )
        return [self.nodes[name] for name in patterns.select(wanted, candidates)]

    def find(self, name_or_host: str) -> NodeSpec | None:
        """The node of that name, or the only one with that host; None where there is none."""
        if name_or_host in self.nodes:
            return self.nodes[name_or_host]
        found = self._of_host(name_or_host)
        return found[0] if len(found) == 1 else None

    def node(self, name_or_host: str) -> NodeSpec:
        """The node of that name, or the only one with that host.

        Raises:
            DeviceError: there is none, or several nodes have that host.
        """
        node = self.find(name_or_host)
        if node is not None:
            return node
        sharing = ", ".join(node.name for node in self._of_host(name_or_host))
        if sharing:
            raise DeviceError(
                f"several nodes have the host `{name_or_host}`: {sharing}", hint="name one of them"
            )
        if name_or_host in self.groups:
            members = ", ".join(self.groups[name_or_host])
            raise DeviceError(f"`{name_or_host}` is a group, not a node; its nodes are: {members}")
        suggestion = did_you_mean(name_or_host, self.nodes)
        hint = None if suggestion else f"the inventory is {self.path or 'this machine alone'}"
        raise DeviceError(f"no node is called `{name_or_host}`{suggestion}", hint=hint)

    def device(self, text: str, *, node: str | None = None) -> Device:
        """Read a device, with its node by the name that it has here.

        Args:
            node: the node where the text names none.

        Raises:
            DeviceError: it is no device, its node is not here, or the node has no such GPU.
        """
        default = None if node is None else self.node(node)
        bare = is_place(text)
        device = parse(text, node=default.name if default is not None and bare else None)
        if device.node is None:
            return device
        spec = self.node(device.node)
        if default is not None and spec is not default:
            message = f"`{text}` is on {spec.name}, and the node that was asked for is"
            raise DeviceError(f"{message} {default.name}")
        gpus = spec.capabilities.gpus
        if device.index is not None and gpus is not None and device.index not in gpus:
            has = ", ".join(f"gpu{index}" for index in gpus) or "none"
            raise DeviceError(
                f"{spec.name} has no {device.tier_name}; its GPUs are: {has}", where=spec.where
            )
        return Device(spec.name, device.tier, device.index)

    def _of_host(self, host: str) -> list[NodeSpec]:
        wanted = _host_key(host)
        return [node for node in self.nodes.values() if _host_key(node.host) == wanted]


def load(
    path: Path | None = None,
    *,
    home: Home | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Inventory:
    """Read the inventory: ``path`` (-i), else $GSWARM_INVENTORY, else ``inventory.yaml`` in the
    current folder, else the one in ``home``; with none of these, this machine is the only node.

    Args:
        home: `home.locate()` by default.
        environ: the process's own by default.
        folder: what counts as the current folder.

    Raises:
        InventoryError: a file that was named is not there, or the file is wrong; all that is wrong
            in it, with file, line and column.
    """
    home = home or homes.locate(environ=environ)
    found = discover(path, home=home, environ=environ, folder=folder)
    if found is None:
        default = home == homes.locate(environ={})
        root = DEFAULT_ROOT if default else str(home.root)
        node = NodeSpec(name="localhost", host="localhost", root=root, connection="local")
        return Inventory(nodes={"localhost": node})
    return read(found)


def discover(
    path: Path | None = None,
    *,
    home: Home,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Path | None:
    """The file that `load` would read; None where there is none.

    Raises:
        InventoryError: $GSWARM_INVENTORY names a file that is not there.
    """
    if path is not None:
        return path
    named = (os.environ if environ is None else environ).get(VARIABLE)
    if named:
        path = Path(os.path.expanduser(named))  # noqa: PTH111 - leaves ~unknown as it is
        if not path.exists():
            raise InventoryError("there is no such file", where=named, hint=f"${VARIABLE} names it")
        return path
    places = [Path(FILE_NAME) if folder is None else folder / FILE_NAME, home.inventory]
    return next((place for place in places if place.is_file()), None)


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
    return (_host_key(node.host), node.user, node.port, posixpath.normpath(node.root))


def _host_key(host: str) -> str:
    """The same text for every spelling of a host."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.casefold()
