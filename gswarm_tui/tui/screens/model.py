"""One model: every copy of it, and its services."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from textual import on
from textual.widget import Widget

from gswarm_tui import wording
from gswarm_tui.tui import placing, residency
from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.tui.screens.placing_view import PlacingView
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Model


class ModelView(PlacingView):
    """Every copy of one model; the keys are for the copy under the cursor, or the marked ones."""

    WORD = "model"
    TITLE = "Model"
    SUMMARY = "Every copy of a model: where, which revision, how large, whether its hash is right."
    ENTER = "the node"
    AUTO_FOCUS = "#copies"

    DEFAULT_CSS = """
    ModelView #facts { margin: 0 1 1 1; }
    """

    def body(self) -> Iterable[Widget]:
        yield Lines(id="facts")
        yield copy_table()

    def show(self, snapshot: FleetSnapshot) -> None:
        model = self._model()
        if model is None:
            said = f"no node that answers has {self.subject}, nor is it registered"
            self.query_one("#facts", Lines).show([Piece(said, Tone.BAD)])
            self.query_one("#copies", LineTable).show([])
            return
        self.query_one("#facts", Lines).show(_facts(model, snapshot, self.size.height // 4))
        copies = self.fitting(model.copies, lambda each: (each.device, each.state, each.revision))
        self.query_one("#copies", LineTable).show(copies)

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        self.gswarm.open_view("node", placing.node_of(event.row.device))

    def _model(self) -> Model | None:
        models = self.gswarm.snapshot.models
        return next((model for model in models if model.name == self.subject), None)

    def models_chosen(self) -> list[Model]:
        model = self._model()
        return [] if model is None else [model]

    def copies_chosen(self) -> list[Copy]:
        return self.query_one("#copies", LineTable).marked

    def action_describe(self) -> None:
        """Everything that is known of it."""
        model = self._model()
        if model is not None:
            self.app.push_screen(DescribeScreen(model.name, model))
        else:
            self.say_there_is_none()


def copy_table() -> LineTable[Copy]:
    """A line for each copy."""
    return LineTable(
        (
            Column("device", lambda c: c.device, 14, 2, order=lambda c: c.device),
            Column("state", residency.state_of, 16, order=lambda c: c.state),
            Column("size", _size, 9, right=True, order=residency.size_of),
            Column("verified", _verified, 18, order=_read_last),
            Column("revision", lambda c: Piece(c.revision[:12], Tone.DIM), 12),
            Column("hash", lambda c: Piece((c.hash or "")[:19], Tone.DIM), 19, least=110),
            Column("waits for", lambda c: Piece(c.waiting or "", Tone.WARN), 10, 2, least=84),
        ),
        lambda copy: (copy.device, copy.revision),
        empty="no node has a copy: D downloads it",
        id="copies",
    )


def _size(copy: Copy) -> Cell:
    """What of it is there."""
    size = residency.size_of(copy)
    return Piece(wording.size(size), Tone.PLAIN if size else Tone.DIM)


def _read_last(copy: Copy) -> tuple[bool, float] | None:
    """The damaged ones first, then those that were not read for the longest time."""
    return None if copy.verified is None else (copy.verified, copy.verified_at or 0.0)


def _verified(copy: Copy) -> Cell:
    """Whether its files are right, and when they were read last."""
    if copy.verified is None:
        return Piece(wording.NOTHING, Tone.DIM)
    if copy.bad_files:
        return Piece(f"✗ {wording.number_of(copy.bad_files, 'bad file')}", Tone.BAD)
    if not copy.verified:
        return Piece("✗ by its owner", Tone.BAD)
    if copy.verified_at is None:
        return Piece("✓ verified", Tone.GOOD)
    day = datetime.fromtimestamp(copy.verified_at).astimezone()
    return Piece(f"✓ {day:%Y-%m-%d %H:%M}", Tone.GOOD)


def _facts(model: Model, snapshot: FleetSnapshot, lines: int) -> list[Cell]:
    """The model, what loads it and where it is served, in so many lines."""
    kind = f"  {model.type}" if model.type else ""
    source = model.source or "no source is known"
    registered = "" if model.registered else "   not registered"
    name: Cell = [
        Piece(model.name, Tone.TITLE),
        Piece(f"{kind}  {wording.size(model.size_bytes)}  from {source}{registered}"),
    ]
    found = _loads(model, snapshot)
    for service in snapshot.services:
        if service.model == model.name:
            where = ", ".join(placing.tier_of(device) for device in service.devices)
            at = service.endpoint or wording.NOTHING
            said = f" {service.state} at {at} on {service.node} {where}"
            starts = service.state == "starting"
            mark = residency.FLIGHT_MARK if starts else residency.SERVING_MARK
            found.append([mark, Piece(said)])
    room = max(1, lines - 1)
    if len(found) > room:
        left = len(found) - room + 1
        found = [*found[: room - 1], Piece(f"  and {left} more: :services has them", Tone.DIM)]
    return [name, *found]


def _loads(model: Model, snapshot: FleetSnapshot) -> list[Cell]:
    """A line for each engine that is being started: where, what it does, and for how long."""
    engines: dict[tuple[str, str, str], list[str]] = {}
    for copy in model.copies:
        if copy.is_loading:
            node, lasts = placing.node_of(copy.device), residency.loading_for(copy, snapshot.time)
            places = engines.setdefault((node, residency.phase_of(copy), lasts), [])
            places.append(placing.tier_of(copy.device))
    served = {service.node for service in snapshot.starting if service.model == model.name}
    return [
        [
            residency.FLIGHT_MARK,
            Piece(f" {phase} on {node} {', '.join(places)}{lasts}"),
            Piece(", to be served" if node in served else ""),
        ]
        for (node, phase, lasts), places in engines.items()
    ]
