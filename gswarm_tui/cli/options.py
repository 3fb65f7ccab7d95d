"""Options that several commands have, and what they mean together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from gswarm_tui.errors import UsageError

if TYPE_CHECKING:
    from gswarm_tui.devices import Device
    from gswarm_tui.inventory import Inventory

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")]
Node: TypeAlias = Annotated[
    str | None,
    typer.Option("--node", metavar="NODE", help="The node, or nodes by a pattern: 'node[1-4]'."),
]
Patterns: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="NODES", help="Which nodes: a100, 'node[1-4]', label=rack1, '!node3'."),
]
Devices: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="node1:gpu0, or gpu0 with --node; for several use commas, or repeat it.",
    ),
]
Targets: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--to", metavar="DEVICE", help="The target; for several use commas, or repeat it."
    ),
]
Config: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--config", metavar="KEY=VALUE", help="A setting of the engine; may be repeated."),
]
Engine: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="NAME", help="mlx, vllm or command; the node's own by default."
    ),
]
ApiKeyEnv: TypeAlias = Annotated[
    str | None,
    typer.Option("--api-key-env", metavar="VARIABLE", help="The variable that holds the key."),
]
Variables: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("-e", "--var", metavar="NAME=VALUE", help="A variable's value; may be repeated."),
]
Bandwidth: TypeAlias = Annotated[
    bool, typer.Option("--bandwidth", help="Measure PCIe traffic too.")
]
Nvlink: TypeAlias = Annotated[bool, typer.Option("--nvlink", help="Measure NVLink traffic too.")]


def group(help: str) -> typer.Typer:  # noqa: A002 - Typer's word
    """A command that has commands; without one it shows its help."""
    app = typer.Typer(help=help, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    app.callback()(_nothing)  # else one with a single command would be that command
    return app


def _nothing() -> None:
    pass


def limit(written: str) -> float:
    """The seconds of ``--timeout``.

    Raises:
        UsageError: it is no length of time above zero.
    """
    from gswarm_tui import durations

    try:
        return durations.parse_limit(written)
    except ValueError as error:
        raise UsageError(f"--timeout: {error}") from None


def node_names(inventory: Inventory, pattern: str | None, *, device: str = "gpu0") -> list[str]:
    """The nodes that ``--node`` names; with none named, the inventory's only one.

    Args:
        device: what is asked for there, for the hint.

    Raises:
        DeviceError: the pattern names no node.
        UsageError: none is named, and there are several.
    """
    if pattern is not None:
        return [node.name for node in inventory.select(pattern)]
    if len(inventory.nodes) == 1:
        return list(inventory.nodes)
    raise UsageError(
        f"which node? The inventory has {', '.join(inventory.nodes)}",
        hint=f"name it with --node, or in the device: {next(iter(inventory.nodes))}:{device}",
    )


def devices(inventory: Inventory, written: Sequence[str], pattern: str | None) -> list[Device]:
    """The devices that are meant: each that names no node is on every node of ``--node``.

    Raises:
        DeviceError: one is no device, is on no known node, or not on the nodes of ``--node``.
        UsageError: one names no node, and it is not clear which is meant.
    """
    found: list[Device] = []
    chosen = None if pattern is None else node_names(inventory, pattern)
    for text in (part.strip() for item in written for part in item.split(",")):
        if ":" not in text and text != "web":
            names = chosen or node_names(inventory, None, device=text)
            found += [inventory.device(text, node=name) for name in names]
            continue
        device = inventory.device(text)
        if chosen is not None and device.node is not None and device.node not in chosen:
            raise UsageError(f"{text} is on {device.node}, and --node asks for {pattern}")
        found.append(device)
    return list(dict.fromkeys(found))


def one_device(inventory: Inventory, written: str, pattern: str | None) -> Device:
    """The one device that is meant.

    Raises:
        DeviceError, UsageError: as `devices`, or there are several.
    """
    found = devices(inventory, [written], pattern)
    if len(found) > 1:
        raise UsageError(
            f"{written} is on several nodes: {', '.join(map(str, found))}", hint="name one of them"
        )
    return found[0]


def config(written: Sequence[str] | None) -> dict[str, Any]:
    """``KEY=VALUE`` items as a map; values are read as YAML, so that numbers are numbers.

    Raises:
        UsageError: an item has no ``=``, or its value is no YAML.
    """
    import yaml

    values: dict[str, Any] = {}
    for item in written or ():
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UsageError(
                f"--config {item} is not KEY=VALUE", hint="write it as --config max_model_len=4096"
            )
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"--config {item}: the value is no YAML", hint="quote it") from None
    return values
