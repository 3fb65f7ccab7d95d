"""Requests to a service, as its users make them: the proof that it serves."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Dict, Optional

from .. import http, ports
from ..engines.base import Ready
from ..engines.readiness import probe
from ..errors import HelperError, Kind
from .service import Service

_LISTENS_S = 15.0  # for a forwarder to listen, an interpreter's start on a busy machine
_FIRST_S = 120.0  # for the first request through it
_POLL_S = 0.05


async def until_answered(service: Service, ready: Ready, key: Optional[str]) -> None:
    """Ask through the forwarder what the engine was asked when it became ready.

    Raises:
        HelperError: the forwarder has ended, or the answer is an error.
    """
    give_up_at = time.monotonic() + _LISTENS_S
    while True:
        try:
            answer = await ask(service, "GET", "/v1/models", key)
            break
        except HelperError as error:
            if not service.alive() or time.monotonic() > give_up_at:
                raise HelperError(
                    Kind.ENGINE_FAILED, f"its forwarder does not answer: {error.message}"
                ) from None
        await asyncio.sleep(_POLL_S)
    if answer.status == 200:
        answer = await _first_request(service, ready, key)
    if answer.status != 200:
        raise HelperError(
            Kind.ENGINE_FAILED,
            f"a request through its forwarder was answered with {answer.status}:"
            f" {' '.join(answer.text.split())[:300]}",
        )


async def ask(
    service: Service,
    method: str,
    path: str,
    key: Optional[str],
    content: Optional[Dict[str, Any]] = None,
    *,
    timeout_s: float = 5.0,
) -> http.Response:
    """One request to a service, with its key if it has one.

    Raises:
        HelperError: there is no answer.
    """
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    body = b""
    if content is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(content).encode()
    url = f"http://{ports.reachable(service.address)}:{service.port}{path}"
    return await http.request(method, url, headers=headers, body=body, timeout_s=timeout_s)


async def _first_request(service: Service, ready: Ready, key: Optional[str]) -> http.Response:
    if ready.ask == "health":
        return await ask(service, "GET", "/health", key)
    path, body = probe(ready.ask, service.names[0])
    return await ask(service, "POST", path, key, body, timeout_s=_FIRST_S)
