"""What the node's services do, as far as their engines and forwarders tell.

vLLM tells at ``/metrics`` of its own endpoint, which no forwarder lets anybody reach. Of another
engine there is what its forwarder counts (`services.traffic`). Rates are differences.
Source of the names: vLLM 0.33, ``vllm/v1/metrics/loggers.py``.
"""

from __future__ import annotations

import asyncio
import math
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
        "requests_per_s",
        "running",
        "waiting",
        "kv_cache_percent",
        "prompt_tokens_per_s",
        "generation_tokens_per_s",
        "time_to_first_token_s",
    )
)


class _Sums:
    """What was told in the last seconds, ``(time, sums by our name)``, the newest last."""

    def __init__(self) -> None:
        self._told: Deque[Tuple[float, Mapping[str, float]]] = deque()

    def add(self, now: float, sums: Mapping[str, float]) -> None:
        while self._told and now - self._told[0][0] > _WINDOW_S:
            self._told.popleft()
        self._told.append((now, sums))

    def clear(self) -> None:
        self._told.clear()

    @property
    def newest(self) -> Optional[Mapping[str, float]]:
        return self._told[-1][1] if self._told else None

    @property
    def seconds(self) -> float:
        return self._told[-1][0] - self._told[0][0] if self._told else 0.0

    def passed(self, name: str) -> Optional[float]:
        """How much more one sum is than at first; None where that is not known."""
        if self.seconds <= 0:
            return None
        (_, before), (_, newest) = self._told[0], self._told[-1]
        # less than before: who counts was started again
        if name not in newest or name not in before or newest[name] < before[name]:
            return None
        return newest[name] - before[name]

    def rate(self, name: str) -> Optional[float]:
        """The same, for each second."""
        passed = self.passed(name)
        return None if passed is None else passed / self.seconds

    def mean(self, total: str, count: str) -> Optional[float]:
        """What each of the new ones of `count` added to `total`; None where there was none."""
        passed, counted = self.passed(total), self.passed(count)
        return passed / counted if passed is not None and counted else None


@dataclass
class _Engine:
    """One replica, and when it is to be asked."""

    sums: _Sums
    ask_at: float = 0.0


class Serving:
    """Asks the engines behind a node's services, and reads what their forwarders count."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._engines: Dict[str, _Engine] = {}
        self._forwarders: Dict[str, _Sums] = {}

    async def rows(self) -> List[Values]:
        """One for each service; what is not told is None."""
        if not any(self._node.paths.services.glob("*.json")):
            return []
        services = self._node.services.list()
        ready = [service for service in services if service["state"] == "ready"]
        replicas = {service["replica"] for service in ready}
        for gone in set(self._engines) - replicas:
            del self._engines[gone]
        for gone in set(self._forwarders) - {service["id"] for service in ready}:
            del self._forwarders[gone]
        for service in ready:
            self._look(service["id"])
        await asyncio.gather(*(self._ask(replica) for replica in replicas))
        return [
            {
                "service": service["id"],
                "model": service["model"],
                "replica": service["replica"],
                "requests": service["requests"],
                **self._values(service["id"], service["replica"]),
            }
            for service in services
        ]

    def _look(self, service_id: str) -> None:
        sums = self._forwarders.setdefault(service_id, _Sums())
        sums.add(time.monotonic(), self._node.services.traffic(service_id).to_dict())

    async def _ask(self, replica_id: str) -> None:
        engine = self._engines.setdefault(replica_id, _Engine(_Sums()))
        replica = self._node.replicas.get(replica_id)
        now = time.monotonic()
        if replica is None or now < engine.ask_at:
            return
        found = await _scrape(replica.endpoint)
        if found is None:
            engine.sums.clear()
            engine.ask_at = now + _SILENT_S
            return
        engine.sums.add(now, found)

    def _values(self, service_id: str, replica_id: str) -> Values:
        """What the engine tells; of one that tells nothing, what the forwarder saw."""
        seen, engine = self._forwarders.get(service_id), self._engines.get(replica_id)
        values = dict(UNKNOWN)
        if engine is not None and engine.sums.newest is not None:
            values.update(_told(engine.sums))
        elif seen is not None:
            values.update(_seen(seen))
        if seen is not None:
            values["requests_per_s"] = seen.rate("requests")
        return values


def _told(sums: _Sums) -> Values:
    """What an engine says of itself."""
    newest = sums.newest or {}
    usage = newest.get("kv_cache")
    return {
        "running": _whole(newest.get("running")),
        "waiting": _whole(newest.get("waiting")),
        "kv_cache_percent": None if usage is None else 100 * usage,
        "prompt_tokens_per_s": sums.rate("prompt_tokens"),
        "generation_tokens_per_s": sums.rate("generation_tokens"),
        "time_to_first_token_s": sums.mean("first_token_s", "first_tokens"),
    }


def _seen(sums: _Sums) -> Values:
    """What a forwarder counted. No tokens while there are requests: their answers tell of none."""
    newest = sums.newest or {}
    idle = not newest.get("running") and not sums.passed("requests")
    first_us = sums.mean("first_event_us", "streams")
    return {
        "running": _whole(newest.get("running")),
        "prompt_tokens_per_s": sums.rate("prompt_tokens")
        if idle or sums.passed("usages")
        else None,
        "generation_tokens_per_s": sums.rate("tokens") if idle or sums.passed("tokens") else None,
        "time_to_first_token_s": None if first_us is None else first_us / 1e6,
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
        if not math.isfinite(value):
            continue
        sums[name] = sums.get(name, 0.0) + value
        counts[name] = counts.get(name, 0) + 1
    if "kv_cache" in sums:
        sums["kv_cache"] /= counts["kv_cache"]
    return sums


def _whole(value: Optional[float]) -> Optional[int]:
    return None if value is None else int(value)
