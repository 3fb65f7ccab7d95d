"""Whether an engine serves: its health path answers, and so does a request for one token."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Callable, Dict, Optional, Tuple

from .. import http
from ..errors import HelperError, Kind
from .base import Endpoint, Ready

HEALTH_TIMEOUT_S = 5.0

_FIRST_POLL_S = 0.05
_SLOWEST_POLL_S = 0.5
_WATCH_S = 0.2  # how often the process is looked at while it makes its first token


async def healthy(endpoint: Endpoint, ready: Ready, *, timeout_s: float) -> bool:
    """Whether the health path answers as it should, now."""
    try:
        answer = await http.request(
            "GET", endpoint.url(ready.health), uds=endpoint.uds, timeout_s=timeout_s
        )
    except HelperError:
        return False
    return ready.healthy(answer.status)


async def wait_until_ready(
    endpoint: Endpoint,
    ready: Ready,
    *,
    model: str,
    deadline: float,
    check: Callable[[], None],
    asking: Callable[[], None] = lambda: None,
) -> None:
    """Return when the engine is healthy and has answered a request.

    Args:
        model: what the engine calls it.
        deadline: on the loop's clock.
        check: called all the time; raises when there is nothing to wait for any more.
        asking: called once it is healthy, before the first request.

    Raises:
        HelperError: the deadline has passed, or it is healthy and refuses the request.
    """
    loop = asyncio.get_running_loop()
    pause = _FIRST_POLL_S
    while True:
        check()
        left = deadline - loop.time()
        if left <= 0:
            raise HelperError(Kind.ENGINE_FAILED, "it was not healthy in time")
        if await healthy(endpoint, ready, timeout_s=min(left, HEALTH_TIMEOUT_S)):
            break
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _SLOWEST_POLL_S)
    check()  # what answers may be another process that took the port
    if ready.ask != "health":
        asking()
        await _ask(endpoint, ready, model, deadline, check)
    check()


def probe(ask: str, model: str) -> Tuple[str, Dict[str, Any]]:
    """The path and the body of the smallest request of a sort, one of `base.READY` but health."""
    if ask == "embedding":
        return "/v1/embeddings", {"model": model, "input": "Hello"}
    if ask == "chat":
        messages = [{"role": "user", "content": "Hello"}]
        return "/v1/chat/completions", {"model": model, "messages": messages, "max_tokens": 1}
    return "/v1/completions", {"model": model, "prompt": "Hello", "max_tokens": 1}


async def _ask(
    endpoint: Endpoint, ready: Ready, model: str, deadline: float, check: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        left = deadline - loop.time()
        if left <= 0:
            raise HelperError(Kind.ENGINE_FAILED, "it is healthy, but answered no request in time")
        answer = await _watched(_post(endpoint, ready, model, left), check)
        if answer is not None and answer.status == 200:
            return
        if answer is not None and answer.status != 503:
            raise HelperError(
                Kind.ENGINE_FAILED,
                f"it is healthy, but answers a {ready.ask} with {answer.status}:"
                f" {' '.join(answer.text.split())[:300]}",
                hint="where the model is for something else, set config.ready to completion, chat,"
                " embedding or health",
            )
        await asyncio.sleep(_SLOWEST_POLL_S)


async def _post(
    endpoint: Endpoint, ready: Ready, model: str, timeout_s: float
) -> Optional[http.Response]:
    path, body = probe(ready.ask, model)
    try:
        return await http.request(
            "POST",
            endpoint.url(path),
            uds=endpoint.uds,
            headers={"content-type": "application/json"},
            body=json.dumps(body).encode(),
            timeout_s=timeout_s,
        )
    except HelperError:
        return None


async def _watched(work: Any, check: Callable[[], None]) -> Optional[http.Response]:
    """Wait for an answer that may take minutes, and stop waiting when `check` raises."""
    task: asyncio.Future[Optional[http.Response]] = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=_WATCH_S)
            check()
        return task.result()
    finally:
        task.cancel()
