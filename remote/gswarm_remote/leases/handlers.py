"""What a controller may ask about leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from ..tasks.entry import check_task
from . import wants

if TYPE_CHECKING:
    from ..node import Node
    from ..rpc import Call, Handler


def handlers(node: Node) -> Dict[str, Handler]:
    """The methods of this module by name."""
    methods = _Methods(node)
    return {"lease.take": methods.take, "lease.drop": methods.drop}


class _Methods:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def take(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        task = check_task(params.get("task"))
        wanted = await wants.read(self._node, params.get("wants"))
        await self._node.leases.take(call, task, wanted, wants.read_who(params.get("who")))
        return {"lease": task}

    async def drop(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        return {"dropped": self._node.leases.drop(check_task(params.get("task")))}
