"""When an engine and an order want the same devices."""

from __future__ import annotations

from typing import Iterable, Sequence, Tuple

from ..devices import DRAM
from ..errors import HelperError, Kind
from .order import Order
from .replica import STALE, Replica


def collide(replica: Replica, devices: Tuple[str, ...]) -> bool:
    """Whether it holds a GPU of `devices`; dram is for many."""
    shared = set(replica.devices) & set(devices) - {DRAM}
    return bool(shared) and replica.holds_devices


def usable(current: Replica, order: Order) -> Replica:
    """The replica on the devices that an order names, if it is what is ordered.

    Raises:
        HelperError: it is something else, or does not answer.
    """
    where = joined(current.devices)
    if current.state == STALE:
        raise HelperError(
            Kind.IN_USE,
            f"{current.engine} of {current.model} is on {where} and does not answer:"
            f" {current.reason}",
            where=current.log,
            hint=f"end it first: gswarm model delete {current.model} --device {current.devices[0]}",
        )
    if not order.fits(current):
        raise HelperError(
            Kind.IN_USE,
            f"{current.model} {current.revision} is on {where} already, with {current.engine} and"
            " another revision or config",
            where=where,
            hint=f"end it first: gswarm model delete {current.model} --device {current.devices[0]}",
        )
    return current


def taken(other: Replica, order: Order) -> HelperError:
    """That another model is on a device."""
    shared = joined([device for device in other.devices if device in order.devices])
    return HelperError(
        Kind.IN_USE,
        f"{shared} is held by {other.model} ({other.engine}, {other.id})",
        where=shared,
        hint=f"free it first: gswarm model delete {other.model} --device {other.devices[0]}",
    )


def unkillable(replica: Replica, left: Sequence[int]) -> HelperError:
    """That processes of an engine, by pid, outlast SIGKILL."""
    pids = joined([str(pid) for pid in left])
    return HelperError(
        Kind.ENGINE_FAILED,
        f"{replica.engine} of {replica.model}: the processes {pids} do not end even when killed",
        hint="the GPU's driver may hang; look with nvidia-smi and dmesg on the node",
    )


def joined(words: Iterable[str]) -> str:
    return " and ".join(words)
