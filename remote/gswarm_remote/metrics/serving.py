"""What the node's services do, as far as their engines and forwarders tell.

vLLM tells at ``/metrics`` of its own endpoint, which no forwarder lets anybody reach. Rates are
differences of its counters. Source of the names: vLLM 0.33, ``vllm/v1/metrics/loggers.py``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Deque, Dict, List, Mapping, Optional, Tuple

from ..errors import HelperError

if TYPE_CHECKING:
    from ..engines.base import Endpoint
    from ..node import Node

Values = Dict[str, Any]

_TIMEOUT_S = 0.8
_MAX_BODY = 2 * 1024 * 1024
_WINDOW_S = 10.0  # rates and times are those of so long
_SILENT_S = 60.0  # an engine that tells nothing is asked again after so long

_GAUGES = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:kv_cache_usage_perc": "kv_cache",
}
_COUNTERS = {
    "vllm:prompt_tokens_total": "prompt_tokens",
    "vllm:generation_tokens_total": "generation_tokens",
    "vllm:time_to_first_token_seconds_sum": "first_token_s",
    "vllm:time_to_first_token_seconds_count": "first_tokens",
}
NAMES = {**_GAUGES, **_COUNTERS}
UNKNOWN: Values = dict.fromkeys(
    (
        "running",
        "waiting",
        "kv_cache_percent",
        "prompt_tokens_per_s",
        "generation_tokens_per_s",
        "time_to_first_token_s",
    )
)


@dataclass
class _Engine:
    """What one replica has told lately, ``(time, sums by our name)``, the newest last."""

    told: Deque[Tuple[float, Mapping[str, float]]]
    ask_at: float = 0.0


class Serving:
    """Asks the engines behind a node's services."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._engines: Dict[str, _Engine] = {}

    async def rows(self) -> List[Values]:
        """One for each service; what is not told is None."""
        if not any(self._node.paths.services.glob("*.json")):
            return []
        services = self._node.services.list()
        replicas = {service["replica"] for service in services if service["state"] == "ready"}
        for gone in set(self._engines) - replicas:
            del self._engines[gone]
        await asyncio.gather(*(self._ask(replica) for replica in replicas))
        return [
            {
                "service": service["id"],
                "model": service["model"],
                "replica": service["replica"],
                "requests": service["requests"],
                **self._values(service["replica"]),
            }
            for service in services
        ]

    async def _ask(self, replica_id: str) -> None:
        engine = self._engines.setdefault(replica_id, _Engine(deque()))
        replica = self._node.replicas.get(replica_id)
        now = time.monotonic()
        if replica is None or now < engine.ask_at:
            return
        found = await _scrape(replica.endpoint)
        if found is None:
            engine.told.clear()
            engine.ask_at = now + _SILENT_S
            return
        while engine.told and now - engine.told[0][0] > _WINDOW_S:
            engine.told.popleft()
        engine.told.append((now, found))

    def _values(self, replica_id: str) -> Values:
        engine = self._engines.get(replica_id)
        if engine is None or not engine.told:
            return dict(UNKNOWN)
        (then, before), (now, newest) = engine.told[0], engine.told[-1]
        passed = {
            name: newest[name] - before[name]
            for name in _COUNTERS.values()
            # less than before: the engine was started again
            if name in newest and name in before and newest[name] >= before[name]
        }
        seconds, answered = now - then, passed.get("first_tokens")
        usage = newest.get("kv_cache")

        def rate(name: str) -> Optional[float]:
            return passed[name] / seconds if name in passed and seconds > 0 else None

        return {
            "running": _whole(newest.get("running")),
            "waiting": _whole(newest.get("waiting")),
            "kv_cache_percent": None if usage is None else 100 * usage,
            "prompt_tokens_per_s": rate("prompt_tokens"),
            "generation_tokens_per_s": rate("generation_tokens"),
            "time_to_first_token_s": (
                passed["first_token_s"] / answered
                if answered and "first_token_s" in passed
                else None
            ),
        }


async def _scrape(endpoint: Endpoint) -> Optional[Mapping[str, float]]:
    """What an engine tells, by our names; None where it tells nothing that is known."""
    from .. import http

    try:
        answer = await http.request(
            "GET",
            endpoint.url("/metrics"),
            uds=endpoint.uds,
            timeout_s=_TIMEOUT_S,
            max_body=_MAX_BODY,
        )
    except HelperError:
        return None
    return parse(answer.text) or None if answer.status == 200 else None


def parse(text: str) -> Dict[str, float]:
    """The sums of the metrics that we know, in Prometheus's text format.

    One engine process may have several ranks, each with its own label; caches are averaged.
    """
    sums: Dict[str, float] = {}
    counts: Dict[str, int] = {}
    for line in text.splitlines():
        name = NAMES.get(line.partition("{")[0].partition(" ")[0])
        if name is None:
            continue
        try:
            value = float(line.rpartition("}")[2].split()[0 if "}" in line else 1])
        except (ValueError, IndexError):
            continue
        sums[name] = sums.get(name, 0.0) + value
        counts[name] = counts.get(name, 0) + 1
    if "kv_cache" in sums:
        sums["kv_cache"] /= counts["kv_cache"]
    return sums


def _whole(value: Optional[float]) -> Optional[int]:
    return None if value is None else int(value)
