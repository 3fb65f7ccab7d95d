"""What an earlier helper left: its records, held against the processes that there are."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Iterator

from .. import process, records
from .replica import FAILED, STALE, Replica

log = logging.getLogger("gswarm.engines")


def found(folder: Path) -> Iterator[Replica]:
    """Every replica that has a record, as it is now; what cannot be told for certain is stale.

    A bad record is logged and passed over: it must not keep the others from being adopted.
    """
    for path, content in records.read_all(folder):
        try:
            replica = _as_it_is(Replica.from_record(content))
            replica.to_wire()  # whatever is in it can be shown, or it is none
        except Exception as error:  # the content is anybody's
            log.warning("%s is passed over, it is no record of a replica: %r", path, error)
            continue
        yield replica


def _as_it_is(replica: Replica) -> Replica:
    """The replica with its process, and failed or stale where that is not what was noted."""
    leader = replica.process or process.find_marked(replica.id)
    replica = replace(replica, process=leader)
    if leader is None:
        return replace(replica, state=FAILED, reason="the helper ended before it was started")
    if leader.boot_id != process.boot_id():
        return replace(replica, state=FAILED, reason="the node has been restarted since")
    if leader.alive():
        return replica
    if leader.reused():
        reason = f"pid {leader.pid} is another process now; nothing was ended"
        return replace(replica, state=STALE, reason=reason)
    if replica.state == FAILED:
        return replica
    return replace(replica, state=FAILED, reason=f"it {process.exit_reason(leader) or 'ended'}")
