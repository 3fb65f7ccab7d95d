"""A replica, a running engine, as it is kept in its record."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from ..models.records import timestamp
from ..process import ProcessRecord
from .base import Endpoint, Ready

STARTING = "starting"
READY = "ready"
STOPPING = "stopping"
FAILED = "failed"
"""It ended without being asked to; `reason` says how. It holds no device."""
STALE = "stale"
"""Its record and what is there do not agree; nothing is killed until somebody asks."""

MOVE, SERVE = "move", "serve"


@dataclass(frozen=True)
class Replica:
    """One engine with a model.

    Args:
        id: of letters, digits and hyphens; the name of its folder, its log and its mark.
        tier, path: the copy that it reads.
        config: what it was started with, without ``env``, whose values may be secret.
        fingerprint: of the whole config; see `fingerprint`.
        endpoint, served_name, ready, paths, refused: see `base.Launch`.
        started_by: `MOVE` or `SERVE`; whoever starts it last with `MOVE` keeps it.
        started_at: seconds since the epoch.
        timeout_s: seconds that it has for becoming ready.
        process: None for the moment between the record and the process.
        reason: why it failed or is stale.
    """

    id: str
    model: str
    revision: str
    tier: str
    path: str
    devices: Tuple[str, ...]
    engine: str
    config: Mapping[str, Any]
    fingerprint: str
    endpoint: Endpoint
    served_name: str
    ready: Ready
    paths: Tuple[str, ...]
    refused: Tuple[str, ...]
    started_by: str
    started_at: float
    timeout_s: float
    log: str
    state: str = STARTING
    process: Optional[ProcessRecord] = None
    reason: Optional[str] = None

    @property
    def holds_devices(self) -> bool:
        """Whether its devices are taken: not when it has ended."""
        return self.state != FAILED and not (self.state == STALE and not self.alive())

    def alive(self) -> bool:
        return self.process is not None and self.process.alive()

    def to_record(self) -> Dict[str, Any]:
        record = asdict(self)
        record["endpoint"] = self.endpoint.to_dict()
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Replica:
        """Raises KeyError, TypeError or ValueError where it is no record of this version."""
        values = dict(record)
        values["endpoint"] = Endpoint(**values["endpoint"])
        values["ready"] = Ready(**values["ready"])
        for name in ("devices", "paths", "refused"):
            values[name] = tuple(values[name])
        if values["process"] is not None:
            values["process"] = ProcessRecord.from_dict(values["process"])
        return cls(**values)

    def to_wire(self) -> Dict[str, Any]:
        """As controllers see it."""
        return {
            "id": self.id,
            "model": self.model,
            "revision": self.revision,
            "tier": self.tier,
            "devices": list(self.devices),
            "engine": self.engine,
            "state": self.state,
            "reason": self.reason,
            "pid": None if self.process is None else self.process.pid,
            "endpoint": self.endpoint.to_dict(),
            "started_at": timestamp(self.started_at),
            "started_by": self.started_by,
            "log": self.log,
        }


def fingerprint(engine: str, config: Mapping[str, Any]) -> str:
    """Equal for engines that are started alike; what only the forwarder reads does not count."""
    relevant = {k: v for k, v in config.items() if k not in ("framework", "timeout")}
    content = json.dumps([engine, relevant], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def without_secrets(config: Mapping[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in config.items() if key != "env"}
