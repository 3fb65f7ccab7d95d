"""What a controller asks for when it wants a model loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..devices import DRAM, gpu_index
from ..errors import HelperError, Kind
from ..models.checks import check_name, check_revision
from . import catalogue
from .replica import MOVE, SERVE, Replica, fingerprint

DEFAULT_TIMEOUT_S = 600.0

_FORWARDER_KEYS = ("framework", "timeout")  # of config; no engine is started with them


@dataclass(frozen=True)
class Order:
    """A model, where it is to be, and how.

    Args:
        revision: None for the one that runs, or else the newest.
        devices: in order; ``("dram",)`` or GPUs.
        engine: None for the one that runs, or else the node's usual one.
        env: for the engine's environment only: never kept.
        started_by: `MOVE` or `SERVE`.
        timeout_s: seconds for becoming ready.
    """

    model: str
    revision: Optional[str]
    devices: Tuple[str, ...]
    engine: Optional[str]
    config: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    started_by: str = MOVE
    timeout_s: float = DEFAULT_TIMEOUT_S

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Order:
        """Check what came over the wire.

        Raises:
            HelperError: with what is wrong.
        """
        revision = params.get("revision")
        config = _map(params, "config")
        return cls(
            model=check_name(params.get("model")),
            revision=None if revision is None else check_revision(revision),
            devices=check_devices(params.get("devices")),
            engine=catalogue.chosen_name(params.get("engine"), config),
            config=config,
            env=check_environment(_map(params, "env"), "env"),
            started_by=SERVE if params.get("started_by") == SERVE else MOVE,
            timeout_s=check_seconds(params.get("timeout_s", DEFAULT_TIMEOUT_S), "timeout_s"),
        )

    @property
    def key(self) -> Tuple[Any, ...]:
        """Equal for orders that are the same work."""
        return (
            self.model,
            self.revision,
            self.devices,
            fingerprint(self.engine or "", self.config),
        )

    def fits(self, replica: Replica) -> bool:
        """Whether a replica on these devices is what is ordered; what is left open fits any."""
        if self.revision not in (None, replica.revision):
            return False
        if self.engine not in (None, replica.engine):
            return False
        if not any(key not in _FORWARDER_KEYS for key in self.config):
            return True
        return fingerprint(replica.engine, self.config) == replica.fingerprint


def check_devices(devices: Any) -> Tuple[str, ...]:
    """Devices in order, of one kind.

    Raises:
        HelperError: there is none, one is unknown or named twice, or they are mixed.
    """
    if not isinstance(devices, (list, tuple)) or not devices:
        raise HelperError(Kind.INVALID, "no device is named", hint="use gpu0, or dram for the CPU")
    names: List[str] = [str(device) for device in devices]
    for name in names:
        if name != DRAM and gpu_index(name) is None:
            raise HelperError(
                Kind.INVALID,
                f"nothing can be served from {name!r:.40}",
                hint="an engine runs on GPUs (gpu0), or on the CPU with the model in dram",
            )
    if len(set(names)) != len(names):
        raise HelperError(Kind.INVALID, f"a device is named twice: {', '.join(names)}")
    if DRAM in names and len(names) > 1:
        raise HelperError(Kind.INVALID, f"one engine cannot be on {' and '.join(names)}")
    return tuple(sorted(names, key=lambda name: (len(name), name)))


def check_environment(env: Mapping[str, Any], what: str) -> Dict[str, str]:
    """Variables for a child.

    Raises:
        HelperError: a name or a value cannot be in an environment.
    """
    for name, value in env.items():
        text = str(value)
        if not isinstance(name, str) or not name or "=" in name or "\0" in name + text:
            raise HelperError(
                Kind.INVALID, f"{what} has a variable that cannot be set: {name!r:.60}"
            )
    return {name: str(value) for name, value in env.items()}


def check_seconds(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e7:
        raise HelperError(Kind.INVALID, f"{what} is a number of seconds, not {value!r:.40}")
    return float(value)


def _map(params: Mapping[str, Any], key: str) -> Dict[str, Any]:
    value = params.get(key) or {}
    if not isinstance(value, dict):
        raise HelperError(Kind.INVALID, f"{key} has to be a map, not {value!r:.60}")
    return value
