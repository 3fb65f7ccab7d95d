"""Whether a model's name is one, before anything is done with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gswarm_tui.cli.context import Session
from gswarm_tui.devices import Device
from gswarm_tui.errors import SourceNameError


async def check(session: Session, name: str, nodes: Sequence[str] = ()) -> None:
    """Ask whether there is a model of that name: the registry, then `nodes`, then every node.

    Raises:
        SourceNameError: neither the registry nor a node that answers knows it.
    """
    for scope in ([], nodes):
        try:
            await session.models.view(name, scope)
        except SourceNameError:
            continue
        return
    await session.models.view(name)


def nodes_of(devices: Iterable[Device]) -> list[str]:
    """The nodes of `devices`, each once."""
    return list(dict.fromkeys(device.node for device in devices if device.node is not None))
