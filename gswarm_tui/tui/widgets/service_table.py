"""Services with their load, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gswarm_tui import wording
from gswarm_tui.tui.placing import tier_of
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, bar, level
from gswarm_tui.tui.widgets.column import as_wide_as
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.watch.snapshot import Service

_STATES = {
    "ready": Piece("● ready", Tone.GOOD),
    "starting": Piece("◐ starting", Tone.BUSY),
    "draining": Piece("◑ draining", Tone.WARN),
    "sleeping": Piece("z sleeping", Tone.DIM),
}


class ServicesTable(LineTable[Service]):
    """A line for each service of the fleet."""

    def __init__(self) -> None:
        super().__init__(
            _COLUMNS,
            # Not its id: it has none before it is published.
            lambda service: (service.node, service.model, service.devices),
            empty="nothing is served, and nothing is being loaded: S on the models' screen serves",
        )

    def show(self, rows: Sequence[Service]) -> None:
        """Show these, in columns that are no wider than what stands in them."""
        self.set_columns(as_wide_as(_COLUMNS, rows))
        super().show(rows)


def state_of(service: Service) -> Cell:
    """Its state by a shape and a word."""
    if service.error:
        return Piece(f"✗ {service.state}", Tone.BAD)
    return _STATES.get(service.state, Piece(f"… {service.state}", Tone.WARN))


def where(service: Service) -> str:
    """The devices of a service on its node: ``gpu0-3``, ``gpu0,2``, ``dram``."""
    names = [tier_of(device) for device in service.devices]
    numbers = [name.removeprefix("gpu") for name in names]
    if len(names) < 2 or not all(number.isdecimal() for number in numbers):
        return ",".join(names)
    first, last = int(numbers[0]), int(numbers[-1])
    whole = last - first + 1 == len(numbers)
    return f"gpu{first}-{last}" if whole else f"gpu{','.join(numbers)}"


def _endpoint(service: Service) -> Cell:
    return Piece(service.endpoint or wording.NOTHING, Tone.PLAIN if service.url else Tone.DIM)


def count(value: float | None) -> str:
    """A number that may be large: ``1,200``."""
    return wording.NOTHING if value is None else f"{value:,.0f}"


def speed(service: Service) -> Cell:
    """The tokens that it generates in a second."""
    return count(service.generation_tokens_per_s)


def _prompts(service: Service) -> Cell:
    return count(service.prompt_tokens_per_s)


def _requests(service: Service) -> Cell:
    return count(service.requests)


def _rate(service: Service) -> Cell:
    rate = service.requests_per_s
    return wording.NOTHING if rate is None else f"{rate:,.1f}"


def _first(service: Service) -> Cell:
    seconds = service.time_to_first_token_s
    if seconds is None:
        return wording.NOTHING
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _cache(service: Service) -> Cell:
    share = service.kv_cache_percent
    if share is None:
        return Piece(wording.NOTHING, Tone.DIM)
    return [Piece(f"{share:3.0f} % ", level(share)), bar(share, 5, level(share))]


def _running(service: Service) -> Cell:
    return count(service.running)


def _waiting(service: Service) -> Cell:
    return Piece(count(service.waiting), Tone.WARN if service.waiting else Tone.PLAIN)


_COLUMNS: Final[Sequence[Column[Service]]] = (
    Column("model", lambda s: s.model, 13, 2, order=lambda s: s.model),
    Column("node", lambda s: s.node, 8, order=lambda s: s.node),
    Column("on", where, 7),
    Column("state", state_of, 10, order=lambda s: s.state),
    Column("endpoint", _endpoint, 24, 2, least=114),
    Column("tok/s", speed, 7, right=True, order=lambda s: s.generation_tokens_per_s),
    Column("ttft", _first, 7, right=True, order=lambda s: s.time_to_first_token_s),
    Column("kv cache", _cache, 11, order=lambda s: s.kv_cache_percent, least=96),
    Column("run", _running, 4, right=True, order=lambda s: s.running),
    Column("wait", _waiting, 4, right=True, order=lambda s: s.waiting),
    Column("req/s", _rate, 7, right=True, order=lambda s: s.requests_per_s, least=124),
    Column("requests", _requests, 9, right=True, order=lambda s: s.requests, least=135),
    Column("engine", lambda s: s.engine, 7, least=144),
    Column("prompt tok/s", _prompts, 12, right=True, least=158),
)
