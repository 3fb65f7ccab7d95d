"""The published models: where they answer, and how busy they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from gswarm_tui import wording
from gswarm_tui.tui import placing
from gswarm_tui.tui.screens.chat import ChatScreen
from gswarm_tui.tui.screens.service_log import ServiceLogScreen
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.tui.widgets.service_table import ServicesTable, state_of
from gswarm_tui.watch.snapshot import FleetSnapshot, Service


class ServicesView(View):
    """Every service of every node."""

    WORD = "services"
    TITLE = "Services"
    SUMMARY = "What is published or being loaded: endpoint, state, speed, latency, queue."
    ENTER = "all that is known of it"
    AUTO_FOCUS = "ServicesTable"
    CHANGES = frozenset({"chat", "stop"})

    DEFAULT_CSS = """
    ServicesView #details { margin: 1 1 0 1; height: 4; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "chat", "Chat"),
        Binding("l", "logs", "Logs"),
        Binding("X", "stop", "Stop"),
        Binding("y", "copy", "Copy endpoint"),
        Binding("o", "sort", "Sort"),
        Binding("d", "describe", "Describe"),
    ]

    def body(self) -> Iterable[Widget]:
        yield ServicesTable()
        yield Lines(id="details")

    @property
    def table(self) -> ServicesTable:
        return self.query_one(ServicesTable)

    def show(self, snapshot: FleetSnapshot) -> None:
        self.table.show(self.fitting((*snapshot.starting, *snapshot.services), _texts))
        self._show_details()

    @on(LineTable.Moved)
    def _show_details(self) -> None:
        now = self.gswarm.snapshot.time
        self.query_one("#details", Lines).show(_details(self.table.current, now))

    @on(LineTable.Chosen)
    def _chosen(self) -> None:
        self.action_describe()

    # Keys

    def action_chat(self) -> None:
        """Say something to it."""
        service, talker = self.table.current, self.gswarm.talker
        if service is None:
            return
        if talker is None or service.port is None:
            why = _loads(service) if _is_early(service) else "there is no port to ask"
            why = why if talker else "no node can be asked from here"
            self.gswarm.deeds.tell(f"chat with {service.model}", why)
        else:
            self.app.push_screen(ChatScreen(service, talker))

    def action_logs(self) -> None:
        """What its engine has written."""
        service, talker = self.table.current, self.gswarm.talker
        if service is None:
            return
        if talker is None:
            self.gswarm.deeds.tell(f"log of {service.model}", "no node can be asked from here")
        else:
            self.app.push_screen(ServiceLogScreen(service, talker))

    def action_stop(self) -> None:
        """End those that are marked."""
        services = self.table.marked
        early = next(filter(_is_early, services), None)
        if early is not None:
            what = "what loads it" if early.job is None else f"job {early.job}, which loads it"
            self.gswarm.deeds.tell(f"stop {early.model}", f"it is not there yet: cancel {what}")
        elif services:
            self.gswarm.deeds.begin(lambda: placing.stop(services))

    def action_copy(self) -> None:
        """Copy what answers from here: the URL, else the tunnel that makes one."""
        service = self.table.current
        way = None if service is None else service.url or service.tunnel
        if way is None:
            self.gswarm.action_copy_command()
        else:
            self.app.copy_to_clipboard(way)
            self.notify(f"copied: {way}", markup=False)

    def action_describe(self) -> None:
        """Everything that is known of the marked ones, or of that under the cursor."""
        self.describe({f"{each.model} on {each.node}": each for each in self.table.marked})


def _is_early(service: Service) -> bool:
    """Whether it is being loaded, and not published yet."""
    return service.state == "starting" and service.port is None


def _loads(service: Service) -> str:
    job = "" if service.job is None else f" by job {service.job}"
    return f"it is being loaded{job}; nobody can ask it yet"


def _texts(service: Service) -> Iterable[str | None]:
    """What the filter looks at."""
    words = (service.model, service.node, service.engine, service.state, service.url)
    return (*words, *service.devices)


def _details(service: Service | None, now: float) -> list[Cell]:
    """The service under the cursor, and the way to it from here."""
    if service is None:
        return []
    since = "" if service.started_at is None else _since(now - service.started_at)
    where = ", ".join(service.devices)
    return [
        [
            Piece(service.model, Tone.TITLE),
            Piece(f"  {service.engine} on {where}{since}", Tone.DIM),
        ],
        Piece(f"  ✗ {service.error}", Tone.BAD) if service.error else _queue(service),
        *_way(service),
    ]


def _way(service: Service) -> list[Cell]:
    """How it is reached from where the user sits."""
    if service.port is None:
        return []
    place = f"{service.address}:{service.port}"
    if service.url:
        return [f"  endpoint {service.url}, listens at {place} on {service.node}"]
    if service.tunnel is None:
        return [f"  listens at {place} on {service.node}"]
    return [
        f"  listens at {place} on {service.node} only; from here through (y copies it):",
        f"  {service.tunnel}",
    ]


def _since(seconds: float) -> str:
    return f"  for {wording.roughly(max(0.0, seconds))}"


def _queue(service: Service) -> Cell:
    state = state_of(service)
    word = [state] if isinstance(state, Piece) else []
    if _is_early(service):
        return [Piece("  "), *word, Piece(f"  {_loads(service)}")]
    if service.running is None and service.waiting is None:
        return [Piece("  "), *word, Piece("  its engine does not tell its load", Tone.DIM)]
    answered = wording.number_of(service.running or 0, "request")
    said = f"  answers {answered} now; {service.waiting or 0} wait"
    return [Piece("  "), *word, Piece(said)]
