"""A talk with a service."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from gswarm_tui.errors import GswarmError
from gswarm_tui.tui.talking import Said, Talker
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.dialog import told
from gswarm_tui.tui.widgets.keys import Keys
from gswarm_tui.tui.widgets.line_input import LineInput
from gswarm_tui.tui.widgets.markup import content
from gswarm_tui.watch.snapshot import Service

_KEY = "/key "
_ASSISTANT = "assistant"


class ChatLine(LineInput):
    """What one says next."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Send")]


class ChatScreen(ModalScreen[None]):
    """What was said, and a line to say more. Nothing of it is kept.

    Args:
        service: whom one talks with.
        talker: who asks it.
    """

    DEFAULT_CSS = """
    ChatScreen { align: center middle; }
    ChatScreen > Vertical {
        width: 90%; height: 90%; border: round $primary; background: $panel; padding: 0 1;
    }
    ChatScreen VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    ChatScreen Static { height: auto; }
    ChatScreen Input { border: none; height: 1; padding: 0 1; background: $surface; }
    ChatScreen Input:focus { border: none; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        # Before those of the line, which has nothing to scroll.
        Binding("pageup", "scroll(-1)", "Up", priority=True),
        Binding("pagedown", "scroll(1)", "Down", priority=True),
        Binding("escape", "leave", "Leave"),
    ]

    def __init__(self, service: Service, talker: Talker) -> None:
        super().__init__()
        self._service, self._talker = service, talker
        self._talk: list[Said] = []
        self._key_env: str | None = None
        self._waiting = False
        self._trouble = ""

    def compose(self) -> ComposeResult:
        with Vertical():
            title = f"{self._service.model} on {self._service.node}"
            yield Static(content([Piece(title, Tone.TITLE)]), markup=False)
            with VerticalScroll(can_focus=False):
                yield Static("", id="talk", markup=False)
            yield ChatLine(hint="say something")
        yield Keys()

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_scroll(self, by: int) -> None:
        box = self.query_one(VerticalScroll)
        box.scroll_relative(y=by * max(1, box.size.height - 1), animate=False)

    @on(Input.Submitted)
    def _say(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if not text or self._waiting:
            return
        event.input.value = ""
        if text.startswith(_KEY):
            self._key_env = text.removeprefix(_KEY).strip() or None
            self._draw()
            return
        self._talk.append(Said("user", text))
        self._waiting, self._trouble = True, ""
        self._draw()
        self.run_worker(self._ask(), name="chat")

    async def _ask(self) -> None:
        try:
            answer = await self._talker.say(self._service, self._talk, self._key_env)
        except GswarmError as error:
            self._trouble = told(error)
            self._talk.pop()  # it was not answered, and is not part of what comes next
        else:
            self._talk.append(Said(_ASSISTANT, answer))
        self._waiting = False
        self._draw()

    def _draw(self) -> None:
        found: list[Piece] = []
        if self._key_env:
            found.append(Piece(f"the key is in ${self._key_env}\n", Tone.DIM))
        for said in self._talk:
            who = self._service.model if said.role == _ASSISTANT else "you"
            found.append(Piece(f"\n{who}  ", Tone.GOOD if said.role == _ASSISTANT else Tone.BUSY))
            found.append(Piece(f"{said.text}\n"))
        if self._waiting:
            found.append(Piece("\n… waiting for the answer", Tone.DIM))
        if self._trouble:
            found.append(Piece(f"\n✗ {self._trouble}", Tone.BAD))
        self.query_one("#talk", Static).update(content(found))
        self.query_one(VerticalScroll).scroll_end(animate=False)
