"""A few GPUs, each as a card, in as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message

from gswarm_tui.tui.widgets.cells import Cell, pieces
from gswarm_tui.tui.widgets.gpu_card import BEFORE_S, HEIGHT, WIDTH, card
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.tui.widgets.place import Place
from gswarm_tui.watch.rings import History
from gswarm_tui.watch.series import gpu_key
from gswarm_tui.watch.snapshot import Concern, Gpu


class GpuCards(Lines, can_focus=True):
    """Cards with a cursor, which stays on its GPU."""

    DEFAULT_CSS = """
    GpuCards { height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1)", "Left", show=False),
        Binding("right,l", "move(1)", "Right", show=False),
        Binding("down,j", "move_line(1)", "Down", show=False),
        Binding("up,k", "move_line(-1)", "Up", show=False),
        Binding("home,g", "jump(0)", "First", show=False),
        Binding("end,G", "jump(-1)", "Last", show=False),
        Binding("enter", "choose", "Open"),
    ]

    @dataclass
    class Chosen(Message):
        """Enter, or a second click on a card."""

        cards: GpuCards
        gpu: Gpu

        @property
        def control(self) -> GpuCards:
            return self.cards

    def __init__(self) -> None:
        super().__init__()
        self._gpus: tuple[Gpu, ...] = ()
        self._concerns: Mapping[tuple[str, int | None], Concern] = {}
        self._history = History()
        self._now = 0.0
        self._cursor = 0
        self._cards: dict[int, list[Cell]] = {}
        """The cards that have been drawn, each under its place among the GPUs."""
        self.place = Place(from_top=True)
        self.instead = ""
        """What is shown where there is no GPU: which filter leaves none."""
        self._clicked: tuple[str, int] | None = None
        """The GPU to which a click moved the cursor; another one goes in."""

    @property
    def current(self) -> Gpu | None:
        """The GPU that the cursor is on."""
        return self._gpus[self._cursor] if self._gpus else None

    def show_gpus(
        self,
        gpus: Sequence[Gpu],
        concerns: Mapping[tuple[str, int | None], Concern],
        history: History,
        now: float,
    ) -> None:
        """Show these GPUs, as they are at `now`."""
        old = [(gpu.node, gpu.index) for gpu in self._gpus]
        self._gpus, self._concerns = tuple(gpus), concerns
        self._history, self._now = history, now
        places: dict[Hashable, int] = {(g.node, g.index): n for n, g in enumerate(gpus)}
        self._cursor = self.place.among(places, old, self._cursor)
        self._lay_out()

    @property
    def columns(self) -> int:
        """How many cards are in a line."""
        return max(1, self.size.width // WIDTH)

    def _lay_out(self) -> None:
        self._cards = {}
        count = -(-len(self._gpus) // self.columns) * HEIGHT or 1
        self.styles.max_height = count  # what is below comes right after the last card
        self._show_count(count)

    def _line(self, y: int) -> Cell:
        """A line of the cards, of which only those in sight are made."""
        if not self._gpus:
            return f"  {self.instead or 'no GPU fits'}"
        row, within = divmod(y, HEIGHT)
        start = row * self.columns
        places = range(start, min(start + self.columns, len(self._gpus)))
        return tuple(piece for place in places for piece in pieces(self._card(place)[within]))

    def _card(self, place: int) -> list[Cell]:
        made = self._cards.get(place)
        if made is None:
            gpu = self._gpus[place]
            key = gpu_key(gpu.node, gpu.index, "util_percent")
            before = self._history.seconds(key, BEFORE_S, self._now)
            concern = self._concerns.get((gpu.node, gpu.index))
            made = card(gpu, before, concern, chosen=place == self._cursor)
            self._cards[place] = made
        return made

    def on_resize(self) -> None:
        super().on_resize()
        self._lay_out()

    # Moving

    def action_move(self, by: int) -> None:
        self._go_to(self._cursor + by)

    def action_move_line(self, by: int) -> None:
        place = self._cursor + by * self.columns
        if 0 <= place < len(self._gpus):
            self._go_to(place)

    def action_jump(self, to: int) -> None:
        self._go_to(to if to >= 0 else len(self._gpus) - 1)

    def action_choose(self) -> None:
        if self.current is not None:
            self.place.choose()
            self.post_message(self.Chosen(self, self.current))

    def on_click(self, event: events.Click) -> None:
        row, column = (event.y + round(self.scroll_y)) // HEIGHT, event.x // WIDTH
        place = row * self.columns + column
        if column < self.columns and place < len(self._gpus):
            clicked = (self._gpus[place].node, self._gpus[place].index)
            again = self._clicked == clicked
            self._go_to(place)
            self._clicked = None if again else clicked
            if again:
                self.action_choose()

    def _go_to(self, place: int) -> None:
        self.place.choose()
        self._clicked = None
        old, self._cursor = self._cursor, max(0, min(place, len(self._gpus) - 1))
        for each in {old, self._cursor}:
            self._cards.pop(each, None)
        tops = [each // self.columns * HEIGHT for each in (old, self._cursor)]
        self._refresh_lines({top + line for top in tops for line in range(HEIGHT)})
        top = tops[1]
        self.scroll_to_region(Region(0, top, 1, HEIGHT), animate=False)
