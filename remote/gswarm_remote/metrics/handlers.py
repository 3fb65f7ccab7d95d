"""``metrics.watch`` and ``metrics.describe``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Dict

from .. import machine
from ..rpc import Call, Handler
from .watching import Wish

if TYPE_CHECKING:
    from ..node import Node

_DESCRIBE_S = 10.0


def handlers(node: Node) -> Dict[str, Handler]:
    async def watch(call: Call, params: Dict[str, Any]) -> Any:
        """Tell a frame a tick until cancelled; a slow controller is told the newest only."""
        with node.metrics.watch(Wish.of(params)) as watched:
            while True:
                await call.tell({"frame": await watched.frame()})

    async def describe(call: Call, params: Dict[str, Any]) -> Any:
        """What the node and its GPUs are; see docs/metrics.md."""
        if not node.metrics.static["version"]:
            with node.metrics.watch(Wish()) as watched:
                first = asyncio.ensure_future(watched.frame())
                # Where the driver does not answer there is no version, and no GPU.
                await asyncio.wait([first], timeout=_DESCRIBE_S)
                first.cancel()
        return {**node.metrics.static, "system": machine.os_name()}

    return {"metrics.watch": watch, "metrics.describe": describe}
