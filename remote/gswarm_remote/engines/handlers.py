"""What a controller may ask about the engines of a node."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Dict

from ..errors import HelperError, Kind
from ..operations import Report, in_thread
from .order import Order

if TYPE_CHECKING:
    from ..node import Node
    from ..rpc import Call, Handler

_LOG_LINES = 100
_MOST_LOG_LINES = 10_000


def handlers(node: Node) -> Dict[str, Handler]:
    """The methods of this module by name."""
    methods = _Methods(node)
    return {
        "engine.start": methods.start,
        "engine.stop": methods.stop,
        "engine.log": methods.log,
    }


class _Methods:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def start(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        order = Order.from_params(params)

        async def work(report: Report, cancelled: threading.Event) -> Dict[str, Any]:
            replica, already = await self._node.replicas.start(order, report)
            return {**replica.to_wire(), "already": already}

        result: Dict[str, Any] = await self._node.operations.run(
            call,
            kind="load",
            key=(*order.key, order.started_by),
            work=work,
            model=order.model,
            tier=",".join(order.devices),
        )
        return result

    async def stop(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        return {"stopped": await self._node.replicas.stop(_id(params))}

    async def log(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        lines = params.get("lines", _LOG_LINES)
        if not isinstance(lines, int) or not 0 < lines <= _MOST_LOG_LINES:
            raise HelperError(Kind.INVALID, f"lines is a number up to {_MOST_LOG_LINES}")
        return {"text": await in_thread(self._node.replicas.log_tail, _id(params), lines)}


def _id(params: Dict[str, Any]) -> str:
    replica_id = params.get("id")
    if not isinstance(replica_id, str) or not replica_id:
        raise HelperError(Kind.INVALID, "an engine's id is missing")
    return replica_id
