"""Which model is where, as rows: a model each, with what every node has of it.

A mark is a shape and a tone, and the legend has the word for each: colour alone says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gswarm_tui import wording
from gswarm_tui.tui.placing import WHOLE, node_of, tier_of
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Model, Node, NodeState, Service

IN_FLIGHT: Final = "in flight"
PARTIAL: Final = "partial"

DISK_MARK: Final = Piece("■", Tone.PLAIN)
DRAM_MARK: Final = Piece("▣", Tone.BUSY)
GPU_MARK: Final = Piece("▲", Tone.BUSY)
SERVING_MARK: Final = Piece("●", Tone.GOOD)
PARTIAL_MARK: Final = Piece("◌", Tone.WARN)
FLIGHT_MARK: Final = Piece("◐", Tone.BUSY)
DAMAGED_MARK: Final = Piece("✗", Tone.BAD)

_STARTING: Final = "starting"
_PHASES: Final = {"load": "loading", "check": "checking", "publish": "publishing"}
"""What an engine does that is being started; before it is there, `_STARTING`."""

LEGEND: Final = (
    *(DISK_MARK, Piece(" disk  "), DRAM_MARK, Piece(" dram  "), GPU_MARK, Piece(" gpu  ")),
    *(SERVING_MARK, Piece(" serving  "), FLIGHT_MARK, Piece(" in flight, loading  ")),
    *(PARTIAL_MARK, Piece(" partial  "), DAMAGED_MARK, Piece(" damaged")),
)


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model, its services, those that are being started, and its copies by node."""

    model: Model
    services: tuple[Service, ...]
    starting: tuple[Service, ...]
    by_node: Mapping[str, tuple[Copy, ...]] = field(compare=False)

    @property
    def name(self) -> str:
        return self.model.name

    def served_on(self, node: str) -> bool:
        return any(service.node == node for service in self.services)

    def starts_on(self, node: str) -> bool:
        return any(service.node == node for service in self.starting)


def model_rows(snapshot: FleetSnapshot) -> list[ModelRow]:
    """A row for each model of a picture, by name."""
    services: dict[str, list[Service]] = {}
    starting: dict[str, list[Service]] = {}
    for service in (*snapshot.services, *snapshot.starting):
        kind = starting if service.state == _STARTING else services
        kind.setdefault(service.model, []).append(service)
    return [
        ModelRow(
            model,
            tuple(services.get(model.name, ())),
            tuple(starting.get(model.name, ())),
            _by_node(model),
        )
        for model in sorted(snapshot.models, key=lambda model: model.name)
    ]


def _by_node(model: Model) -> dict[str, tuple[Copy, ...]]:
    found: dict[str, list[Copy]] = {}
    for copy in model.copies:
        found.setdefault(node_of(copy.device), []).append(copy)
    return {node: tuple(copies) for node, copies in found.items()}


def share(copy: Copy) -> float | None:
    """How much of a copy is there, in per cent; None where that is not known."""
    if copy.done_bytes is None or not copy.size_bytes:
        return None
    return 100 * copy.done_bytes / copy.size_bytes


def marks(row: ModelRow, node: str) -> Cell:
    """What a node has of a model, in five columns: disk, dram, gpu, serving; or how far it is.

    Where an engine loads it, that stands for the GPU; a CPU computes where the files are.
    """
    copies = row.by_node.get(node, ())
    coming = next((copy for copy in copies if copy.state == IN_FLIGHT), None)
    if coming is not None:
        done = share(coming)
        return [FLIGHT_MARK, Piece("" if done is None else f"{done:3.0f}%", Tone.BUSY)]
    places: dict[str, Piece] = {}
    for copy in copies:
        tier = _kind(copy)
        if copy.is_loading:
            places["gpu"] = FLIGHT_MARK
        if tier == "gpu":
            places.setdefault(tier, GPU_MARK if copy.state == WHOLE else PARTIAL_MARK)
        elif copy.verified is False:
            places[tier] = DAMAGED_MARK
        elif copy.state != WHOLE:
            places[tier] = PARTIAL_MARK
        else:
            places[tier] = DRAM_MARK if tier == "dram" else DISK_MARK
    if row.served_on(node):
        places["serving"] = SERVING_MARK
    elif row.starts_on(node):
        places["serving"] = FLIGHT_MARK
    none = Piece("·", Tone.DIM)
    if not places:
        return none
    blank = Piece(" ")
    return [places.get(tier, blank) for tier in ("disk", "dram", "gpu", "serving")]


def _kind(copy: Copy) -> str:
    return tier_of(copy.device).rstrip("0123456789")


def count(row: ModelRow, kind: str) -> int:
    """How many whole copies are on devices of a kind: ``disk``, ``dram``, ``gpu``."""
    return sum(_kind(copy) == kind and copy.state == WHOLE for copy in row.model.copies)


def under_way(row: ModelRow) -> list[Copy]:
    """The copies that are not whole, and those that an engine loads."""
    return [
        copy for copy in row.model.copies if copy.state in (IN_FLIGHT, PARTIAL) or copy.is_loading
    ]


def hash_state(row: ModelRow) -> Cell:
    """Whether the files are those that they should be."""
    files = [copy for copy in row.model.copies if copy.verified is not None]
    bad = sum(copy.verified is False for copy in files)
    if not files:
        return Piece(wording.NOTHING, Tone.DIM)
    if bad:
        return Piece(f"✗ {bad} of {len(files)} bad", Tone.BAD)
    if len({copy.hash for copy in files if copy.hash}) > 1:
        return Piece("≠ they differ", Tone.WARN)
    return Piece("✓ all", Tone.GOOD)


def not_whole(row: ModelRow) -> Cell:
    """How many copies are damaged, and how many were begun and left: ``✗ 1 ◌ 2``."""
    bad = sum(copy.verified is False for copy in row.model.copies)
    partial = sum(copy.state == PARTIAL for copy in row.model.copies)
    found: list[Piece] = [DAMAGED_MARK, Piece(f" {bad} ", Tone.BAD)] if bad else []
    return [*found, *([PARTIAL_MARK, Piece(f" {partial}", Tone.WARN)] if partial else [])]


def coming(row: ModelRow) -> Cell:
    """What is under way: ``◐ 42 %``, ``◐ loading``, ``◐ 2 coming``."""
    said = _coming(row)
    return [FLIGHT_MARK, Piece(f" {said}")] if said else ""


def _coming(row: ModelRow) -> str:
    """What is in flight or loads: how far it is; of several, how many. An engine counts once."""
    flying = [copy for copy in row.model.copies if copy.state == IN_FLIGHT]
    loads = {(node_of(copy.device), copy.started_at) for copy in under_way(row) if copy.is_loading}
    count = len(flying) + len(loads)
    if count > 1:
        return f"{count} coming" if flying else f"{count} loading"
    if flying:
        done = share(flying[0])
        return wording.NOTHING if done is None else f"{done:.0f} %"
    return "loading" if loads else ""


def state_of(copy: Copy) -> Cell:
    """A copy's state by a shape, a word, and how much of it is there."""
    if copy.state in (IN_FLIGHT, PARTIAL):
        done, flies = share(copy), copy.state == IN_FLIGHT
        said = f" {copy.state}{'' if done is None else f' {done:.0f} %'}"
        return [FLIGHT_MARK, Piece(said)] if flies else [PARTIAL_MARK, Piece(said, Tone.WARN)]
    if copy.verified is False:
        return [DAMAGED_MARK, Piece(f" {copy.state}", Tone.BAD)]
    if copy.state == _STARTING:
        return [FLIGHT_MARK, Piece(f" {phase_of(copy)}", Tone.BUSY)]
    if copy.state != WHOLE:
        return Piece(f"… {copy.state}", Tone.BUSY)
    mark = {"dram": DRAM_MARK, "gpu": GPU_MARK}.get(_kind(copy), DISK_MARK)
    return [mark, Piece(f" {copy.state}{engine_of(copy)}", Tone.GOOD)]


def size_of(copy: Copy) -> int | None:
    """The bytes of a copy that are there."""
    if copy.state in (IN_FLIGHT, PARTIAL) and copy.done_bytes is not None:
        return copy.done_bytes
    return copy.size_bytes


def engine_of(copy: Copy) -> str:
    """What is said of the engine that computes on a copy where it lies, after the copy's state."""
    if copy.engine is None:
        return ""
    if copy.engine == _STARTING:
        return ", loading"
    return ", loaded" if copy.engine == "ready" else f", engine {copy.engine}"


def phase_of(copy: Copy) -> str:
    """What the engine does that is being started on a copy."""
    return _PHASES.get(copy.phase or "", _STARTING)


def loading_for(copy: Copy, now: float) -> str:
    """For how long an engine has been starting on a copy, `` for 40 s``; nothing if not known."""
    if not copy.is_loading or copy.started_at is None:
        return ""
    return f" for {wording.roughly(max(0.0, now - copy.started_at))}"


def details(row: ModelRow | None, nodes: Sequence[Node], lines: int, now: float) -> list[Cell]:
    """What is known of a model at a time, in so many lines."""
    if row is None:
        return []
    model = row.model
    kind = f"  {model.type}" if model.type else ""
    source = model.source or "no source"
    registered = "" if model.registered else "  not registered"
    found: list[Cell] = [
        [Piece(model.name, Tone.TITLE), Piece(f"{kind}  {source}{registered}", Tone.DIM)]
    ]
    # In the order of the inventory, as above them: gpu-10 is not before gpu-9.
    free = {node.name: node.host.disk_free_bytes for node in nodes}
    where = list(_where(row, free, now))
    room = lines - 1
    if len(where) > room:
        left = len(where) - room + 1
        where = [*where[: room - 1], Piece(f"  and on {left} more nodes: Enter shows", Tone.DIM)]
    return [*found, *(where or [Piece("  no node has it", Tone.DIM)])]


def _where(row: ModelRow, free: Mapping[str, int | None], now: float) -> Iterator[Cell]:
    """A line for each node that has a part of it; those first where something is under way."""
    moving = {node_of(copy.device) for copy in under_way(row)}
    places = {name: place for place, name in enumerate(free)}
    for node in sorted(row.by_node, key=lambda name: (name not in moving, places.get(name, 0))):
        line = [Piece(f"  {node}:  ", Tone.TITLE)]
        for copy in row.by_node[node]:
            line += [Piece(f"{tier_of(copy.device)} "), *_listed(state_of(copy))]
            line.append(Piece(f"{loading_for(copy, now)}   "))
        if row.served_on(node):
            urls = [each.endpoint or each.state for each in row.services if each.node == node]
            line += [SERVING_MARK, Piece(f" serving {', '.join(urls)}   ")]
        elif row.starts_on(node):
            line += [FLIGHT_MARK, Piece(" to be served   ")]
        line.append(Piece(f"disk {wording.size(free.get(node))} free", Tone.DIM))
        yield line


def _listed(cell: Cell) -> list[Piece]:
    return [cell] if isinstance(cell, Piece) else [each for each in cell if isinstance(each, Piece)]


def free_of(node: Node) -> Cell:
    """The free space of a node's models folder, in five columns."""
    if node.state is not NodeState.UP:
        return Piece("✗", Tone.BAD)
    free, total = node.host.disk_free_bytes, node.host.disk_total_bytes
    if free is None:
        return Piece(wording.NOTHING, Tone.DIM)
    full = total and free / total < 0.05
    return Piece(_short(free), Tone.WARN if full else Tone.DIM)


def _short(amount: float) -> str:
    """``1.2T``, ``340G``."""
    text = wording.size(amount)
    number, _, unit = text.partition(" ")
    return f"{number}{unit[:1]}"
