"""The end of the log of a service's engine."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from gswarm_tui.errors import GswarmError
from gswarm_tui.tui.talking import Talker
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.dialog import told
from gswarm_tui.tui.widgets.keys import Keys
from gswarm_tui.tui.widgets.log_text import LogText
from gswarm_tui.tui.widgets.markup import content
from gswarm_tui.watch.snapshot import Service


class ServiceLogScreen(ModalScreen[None]):
    """A box with the log; ``r`` reads it again.

    Args:
        service: whose.
        talker: who reads it.
    """

    DEFAULT_CSS = """
    ServiceLogScreen { align: center middle; }
    ServiceLogScreen > Vertical {
        width: 96%; height: 94%; border: round $primary; background: $panel; padding: 0 1;
    }
    ServiceLogScreen Static { height: auto; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "read", "Read it again"),
        Binding("escape,q,l", "leave", "Close"),
    ]

    def __init__(self, service: Service, talker: Talker) -> None:
        super().__init__()
        self._service, self._talker = service, talker

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("", id="which", markup=False)
            yield LogText()
        yield Keys()

    def on_mount(self) -> None:
        self.query_one(LogText).focus()
        self.action_read()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_read(self) -> None:
        self._tell("reading …", Tone.DIM)
        self.run_worker(self._read(), group="log", exclusive=True)

    async def _read(self) -> None:
        try:
            text = await self._talker.log(self._service)
        except GswarmError as error:
            self._tell(f"✗ {told(error)}", Tone.BAD)
            return
        log = self.query_one(LogText)
        log.clear()
        log.add(text if text.endswith("\n") else f"{text}\n")
        self._tell("", Tone.DIM)

    def _tell(self, said: str, tone: Tone) -> None:
        title = f"the engine of {self._service.model} on {self._service.node}   "
        pieces = [Piece(title, Tone.TITLE), Piece(said, tone)]
        self.query_one("#which", Static).update(content(pieces))
