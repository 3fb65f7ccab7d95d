"""What a controller may ask about the services of a node, and about URLs as a node sees them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

from .. import http
from ..engines.order import check_devices, check_seconds
from ..errors import HelperError, Kind
from ..models.checks import check_name
from ..operations import Report
from .offer import Offer

if TYPE_CHECKING:
    from ..node import Node
    from ..rpc import Call, Handler

MAX_BODY = 65536
"""Bytes of an answer that `http.check` passes on."""

_DRAIN_S = 10.0
_CHECK_S = 30.0
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")


def handlers(node: Node) -> Dict[str, Handler]:
    """The methods of this module by name."""
    methods = _Methods(node)
    return {
        "service.start": methods.start,
        "service.stop": methods.stop,
        "http.check": check,
    }


class _Methods:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def start(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        offer = Offer.from_params(params)

        async def work(report: Report, cancelled: threading.Event) -> Dict[str, Any]:
            return await self._node.services.start(offer, report)

        result: Dict[str, Any] = await self._node.operations.run(
            call,
            kind="serve",
            key=offer.key,
            work=work,
            model=offer.order.model,
            tier=",".join(offer.order.devices),
        )
        return result

    async def stop(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        devices: Optional[Tuple[str, ...]] = None
        if params.get("devices") is not None:
            devices = tuple(d for given in params["devices"] for d in check_devices([given]))
        stopped = await self._node.services.stop(
            check_name(params.get("model")),
            devices,
            drain_s=_drain(params.get("drain_s", _DRAIN_S)),
        )
        return {"stopped": stopped}


async def check(call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
    """Ask a URL from this node; the time is until the end of the body."""
    method = str(params.get("method") or "GET").upper()
    if method not in _METHODS:
        raise HelperError(Kind.INVALID, f"{method!r:.20} is no method of HTTP")
    body = params.get("body") or ""
    began = time.perf_counter()
    answer = await http.request(
        method,
        str(params.get("url") or ""),
        headers=_headers(params),
        body=body if isinstance(body, bytes) else str(body).encode(),
        timeout_s=check_seconds(params.get("timeout_s", _CHECK_S), "timeout_s"),
        max_body=MAX_BODY,
    )
    latency_s = time.perf_counter() - began
    return {"status": answer.status, "latency_s": latency_s, "body": answer.text}


def _headers(params: Mapping[str, Any]) -> Dict[str, str]:
    headers = params.get("headers") or {}
    if not isinstance(headers, dict):
        raise HelperError(Kind.INVALID, "headers has to be a map")
    return {str(name): str(value) for name, value in headers.items()}


def _drain(value: Any) -> float:
    return 0.0 if value == 0 else check_seconds(value, "drain_s")
