"""What of models is on a node, and what is published there."""

from __future__ import annotations

from gswarm_tui import wording
from gswarm_tui.tui.placing import tier_of
from gswarm_tui.tui.residency import IN_FLIGHT, PARTIAL, engine_of, phase_of, share, size_of
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.tui.widgets.service_table import count, speed, state_of, where
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Service


def copies_on(snapshot: FleetSnapshot, node: str) -> list[Copy]:
    """The copies on a node's devices."""
    return [
        copy
        for model in snapshot.models
        for copy in model.copies
        if copy.device.rpartition(":")[0] == node
    ]


class CopyTable(LineTable[Copy]):
    """A line for each copy of a model."""

    def __init__(self) -> None:
        super().__init__(
            (
                Column("model", lambda copy: copy.model, 16, 2, order=lambda copy: copy.model),
                Column("on", _tier, 6, order=_tier),
                Column("state", _state, 14, order=lambda copy: copy.state),
                Column("size", _size, 9, right=True, order=size_of),
                Column("hash", _checked, 11),
                Column("revision", lambda copy: copy.revision[:12], 12, least=80),
            ),
            lambda copy: (copy.model, copy.revision, copy.device),
            empty="no model is here",
            marks=False,
        )


class ServiceTable(LineTable[Service]):
    """A line for each service."""

    def __init__(self) -> None:
        super().__init__(
            (
                Column("service", lambda each: each.model, 16, 2, order=lambda each: each.model),
                Column("on", where, 8),
                Column("state", state_of, 10, order=lambda each: each.state),
                Column("port", lambda each: str(each.port or wording.NOTHING), 5, right=True),
                Column("tokens/s", speed, 8, right=True, order=_speed_of),
                Column("running", lambda each: count(each.running), 7, right=True),
                Column("waiting", lambda each: count(each.waiting), 7, right=True, least=80),
                Column("kv cache", _cache, 8, right=True, least=90),
            ),
            # As on the services' screen: it has no id before it is published.
            lambda each: (each.model, each.devices),
            empty="nothing is served here",
            marks=False,
        )


def _tier(copy: Copy) -> str:
    return tier_of(copy.device)


def _state(copy: Copy) -> Cell:
    if copy.verified is False:
        return Piece(f"✗ {copy.state}", Tone.BAD)
    if copy.state == "ready":
        return Piece(copy.state + engine_of(copy), Tone.GOOD)
    if copy.state in (IN_FLIGHT, PARTIAL):
        done, tone = share(copy), Tone.BUSY if copy.state == IN_FLIGHT else Tone.WARN
        return Piece(copy.state + ("" if done is None else f" {done:.0f} %"), tone)
    return Piece(phase_of(copy) if copy.is_loading else copy.state, Tone.BUSY)


def _size(copy: Copy) -> Cell:
    return wording.size(size_of(copy))


def _checked(copy: Copy) -> Cell:
    if copy.verified is None:
        return ""
    return Piece("✓ verified", Tone.GOOD) if copy.verified else Piece("✗ bad", Tone.BAD)


def _speed_of(each: Service) -> float | None:
    return each.generation_tokens_per_s


def _cache(each: Service) -> Cell:
    share = each.kv_cache_percent
    return wording.NOTHING if share is None else f"{share:.0f} %"
