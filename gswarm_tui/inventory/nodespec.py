"""What is known of a node before it is connected to: `NodeSpec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

DEFAULT_ROOT = "~/.gswarm"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the inventory promises of a node; None where it says nothing.

    Args:
        gpus: the indices of its GPUs.
        disk: bytes that gswarm may use for models on disk.
        dram: bytes that gswarm may use for models in tmpfs.
    """

    gpus: tuple[int, ...] | None = None
    disk: int | None = None
    dram: int | None = None


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Where an engine is on a node: one of the two is given.

    Args:
        python: the interpreter that has it installed, a path or a command name.
        command: the command line that starts it, with ``{path} {port} {uds} {name}`` to fill in.
    """

    python: str | None = None
    command: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node, with everything resolved.

    Args:
        name: its name in the inventory.
        host: what to connect to: a name, an ssh alias or an IP address (IPv6 without brackets).
        user: the ssh user; None leaves it to ssh's configuration, as with the next three.
        port: the ssh port.
        identity: a private key on the controller, absolute.
        jump: the host to go through, as ssh's ProxyJump has it.
        python: the interpreter for the helper; None means that bootstrap finds one.
        root: the node's root; ``~`` is the ssh user's home on the node.
        models: the folder of the disk tier; None means ``models`` below the root.
        capabilities: what may be counted on.
        data_address: the address at which other nodes fetch from this one; None means the host.
        labels: a label without a value has "".
        engines: where each engine is.
        simulate: GPUs that are not there, as `gswarm_remote.metrics.simulation` takes them; None
            means the real ones.
        connection: ``local`` starts the helper on this machine, without ssh.
        groups: the groups that it is in, in the file's order.
        where: ``file:line:column`` where it is defined.
    """

    name: str
    host: str
    user: str | None = None
    port: int | None = None
    identity: Path | None = None
    jump: str | None = None
    python: str | None = None
    root: str = DEFAULT_ROOT
    models: str | None = None
    capabilities: Capabilities = Capabilities()
    data_address: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    engines: Mapping[str, EngineSpec] = field(default_factory=dict, hash=False)
    simulate: Mapping[str, Any] | None = field(default=None, hash=False)
    connection: Literal["ssh", "local"] = "ssh"
    groups: tuple[str, ...] = ()
    where: str | None = None

    def node_settings(self) -> dict[str, Any]:
        """What the helper has to know, as ``node.configure`` takes it."""
        return {
            "models": self.models,
            "disk_quota": self.capabilities.disk,
            "dram_quota": self.capabilities.dram,
            "engines": {
                name: {
                    "python": engine.python,
                    "command": None if engine.command is None else list(engine.command),
                }
                for name, engine in self.engines.items()
            },
            "simulate": dict(self.simulate or {}),
        }

    def ssh(self, *options: str) -> list[str]:
        """OpenSSH's command line for the node, with what the inventory says of the way."""
        words = ["ssh", *options]
        if self.port is not None:
            words += ["-p", str(self.port)]
        if self.jump is not None:
            words += ["-J", self.jump]
        if self.identity is not None:
            words += ["-i", str(self.identity)]
        return [*words, self.host if self.user is None else f"{self.user}@{self.host}"]
