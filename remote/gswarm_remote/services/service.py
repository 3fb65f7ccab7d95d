"""A service, a forwarder in front of a replica, as it is kept in its record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from ..models.records import timestamp
from ..process import ProcessRecord

STARTING = "starting"
READY = "ready"
STOPPING = "stopping"
STALE = "stale"
"""Its forwarder or its engine is gone; `reason` says which."""


@dataclass(frozen=True)
class Service:
    """One published model. No key is kept: whether a key is right, the forwarder is asked.

    Args:
        id: of letters, digits and hyphens; the name of its folder, its log and its mark.
        names: what users may call the model; the first one is the model's own.
        replica: the id of the replica behind it.
        address, port: where it listens.
        guarded: whether a key is asked for.
        asked: how many requests gswarm itself made through it, to see whether it serves.
        process: None for the moment between the record and the process.
    """

    id: str
    model: str
    names: Tuple[str, ...]
    replica: str
    devices: Tuple[str, ...]
    engine: str
    address: str
    port: int
    guarded: bool
    started_at: float
    log: str
    state: str = STARTING
    asked: int = 0
    process: Optional[ProcessRecord] = None
    reason: Optional[str] = None

    def alive(self) -> bool:
        return self.process is not None and self.process.alive()

    def to_record(self) -> Dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Service:
        """Raises KeyError, TypeError or ValueError where it is no record of this version."""
        values = dict(record)
        for name in ("names", "devices"):
            values[name] = tuple(values[name])
        if values["process"] is not None:
            values["process"] = ProcessRecord.from_dict(values["process"])
        return cls(**values)

    def to_wire(self, *, passed_on: int) -> Dict[str, Any]:
        """As controllers see it.

        Args:
            passed_on: how many requests the engine got so far.
        """
        return {
            "id": self.id,
            "model": self.model,
            "names": list(self.names),
            "replica": self.replica,
            "devices": list(self.devices),
            "engine": self.engine,
            "address": self.address,
            "port": self.port,
            "guarded": self.guarded,
            "state": self.state,
            "reason": self.reason,
            "pid": None if self.process is None else self.process.pid,
            "requests": max(0, passed_on - self.asked),
            "started_at": timestamp(self.started_at),
            "log": self.log,
        }
