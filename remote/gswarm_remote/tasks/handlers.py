"""What a controller may ask about tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List

from ..errors import HelperError, Kind

if TYPE_CHECKING:
    from ..node import Node
    from ..rpc import Call, Handler


def handlers(node: Node) -> Dict[str, Handler]:
    """The methods of this module by name."""
    methods = _Methods(node)
    return {"task.list": methods.list, "task.cancel": methods.cancel}


class _Methods:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def list(self, call: Call, params: Dict[str, Any]) -> List[Dict[str, str]]:
        prefix = _prefix(params)
        running = {
            (entry.task, entry.method)
            for entry in self._node.operations.entries()
            if entry.task.startswith(prefix)
        }
        done = [(kept.task, kept.method) for kept in await self._node.ledger.list(prefix)]
        return [
            {"task": task, "method": method, "state": state}
            for state, found in (("running", sorted(running)), ("done", done))
            for task, method in found
        ]

    async def cancel(self, call: Call, params: Dict[str, Any]) -> Dict[str, int]:
        prefix = _prefix(params)
        if not prefix:
            raise HelperError(Kind.INVALID, "it is not said which tasks are to be cancelled")
        cancelled = await self._node.operations.cancel_tasks(prefix)
        self._node.leases.drop_all(prefix)
        return {"cancelled": cancelled}


def _prefix(params: Dict[str, Any]) -> str:
    prefix = params.get("prefix", "")
    if not isinstance(prefix, str):
        raise HelperError(Kind.INVALID, "prefix is what the keys of tasks begin with")
    return prefix
