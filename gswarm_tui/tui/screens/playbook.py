"""A playbook before it is run: its variables as a form, its secrets by name, what it would do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Label

from gswarm_tui.errors import GswarmError
from gswarm_tui.tui.acting import run_playbook
from gswarm_tui.tui.playbook_files import Asked, Asks, asks, explained, told
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.line_input import LineInput
from gswarm_tui.tui.widgets.lines import Lines, wrapped
from gswarm_tui.tui.widgets.markup import content
from gswarm_tui.watch.snapshot import FleetSnapshot

_LOOK_S: Final = 1.0
"""So often it is looked whether the file was changed."""


class VariableInput(LineInput):
    """The value of one variable; empty means its default."""

    def __init__(self, asked: Asked, value: str = "") -> None:
        hint = "needed" if asked.default is None else asked.default
        if asked.choices:
            hint = f"{hint}   ({', '.join(asked.choices)})"
        super().__init__(value, hint=hint, words=asked.choices)
        self.variable = asked.name
        self._is_list = asked.type == "list"

    def joined(self, lines: Sequence[str]) -> str:
        """Of a list each line is an item, unless they are one written list together."""
        if not self._is_list or lines[0].startswith("["):
            return super().joined(lines)
        items = ", ".join(line.removeprefix("- ").removesuffix(",") for line in lines)
        start, end = sorted(self.selection)
        is_all = not self.value[:start].strip() and not self.value[end:].strip()
        return f"[{items}]" if is_all else items


class PlaybookView(View):
    """A playbook of a file."""

    WORD = "playbook"
    TITLE = "Playbook"
    SUMMARY = "A playbook's variables and secrets, and what it would do; ctrl+r runs it."
    FILTERS = False
    AUTO_FOCUS = ""
    CHANGES = frozenset({"run"})

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012 - Textual's

    DEFAULT_CSS = """
    PlaybookView #both { height: 1fr; layout: vertical; }
    PlaybookView #form { height: auto; max-height: 50%; padding: 0 1; scrollbar-size-vertical: 1; }
    PlaybookView #form Horizontal { height: 1; }
    PlaybookView #form Label { width: 24; padding: 0 1 0 0; }
    PlaybookView #form Lines { padding: 0 0 0 24; }
    PlaybookView #form #secrets { padding: 1 0 0 0; }
    PlaybookView VariableInput {
        width: 1fr; border: none; height: 1; padding: 0 1; background: $panel;
    }
    PlaybookView VariableInput:focus { border: none; background: $primary-muted; }
    PlaybookView #explained { height: 1fr; padding: 0 1; border-top: solid $primary-muted; }
    PlaybookView.-wide #both { layout: horizontal; }
    PlaybookView.-wide #form { width: 50%; height: 100%; max-height: 100%; }
    PlaybookView.-wide #explained {
        height: 100%; border-top: none; border-left: solid $primary-muted;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "Run", priority=True),
        Binding("enter", "next", "Next variable", show=False),
        # Before those of the form, which would scroll itself.
        Binding("down", "app.focus_next", "Next variable", show=False, priority=True),
        Binding("up", "app.focus_previous", "Variable before", show=False, priority=True),
        Binding("pagedown", "scroll_page(1)", "Scroll down", show=False, priority=True),
        Binding("pageup", "scroll_page(-1)", "Scroll up", show=False, priority=True),
    ]

    def __init__(self, subject: str | None = None) -> None:
        super().__init__(subject)
        self.file = Path(subject or "")
        self._asks: Asks | None = None
        self._told: list[str] = ["it is being read"]
        self._is_wrong = False
        self._changed_at: float | None = None
        """When the file was changed that was read last."""
        self._is_looking = False
        self._is_explaining = False
        self._reading = asyncio.Lock()

    @property
    def crumb(self) -> str:
        return f"Playbook {self.file.name}"

    def body(self) -> Iterable[Widget]:
        with Container(id="both"):
            yield VerticalScroll(id="form", can_focus=False)
            yield Lines(id="explained")

    def on_mount(self) -> None:
        self.run_worker(self._read(), group="read")
        self.set_interval(_LOOK_S, self.look)

    def show(self, snapshot: FleetSnapshot) -> None:
        pane = self.query_one("#explained", Lines)
        tone = Tone.BAD if self._is_wrong else Tone.PLAIN
        head = "✖ it cannot be run:" if self._is_wrong else "what it would do:"
        width = max(20, (pane.size.width or self.size.width) - 3)
        lines: list[Cell] = [Piece(head, Tone.BAD if self._is_wrong else Tone.TITLE)]
        lines += [Piece(part, tone) for line in self._told for part in wrapped(line, width)]
        pane.show(lines)

    # Reading

    def look(self) -> None:
        """Read the file again if it was changed, one look at a time: it may take long."""
        if not self._is_looking:
            self._is_looking = True
            self.run_worker(self._look(), group="look")

    async def _look(self) -> None:
        try:
            if await asyncio.to_thread(_changed_at, self.file) != self._changed_at:
                await self._read()
        finally:
            self._is_looking = False

    async def _read(self) -> None:
        """Read the file, make its form where it asks for something else, and explain it."""
        async with self._reading:
            try:
                self._changed_at = await asyncio.to_thread(_changed_at, self.file)
                found = await asyncio.to_thread(asks, self.file)
            except GswarmError as error:
                self._say(told(error), is_wrong=True)
                return
            if found != self._asks:
                await self._ask(found)
                self._asks = found
            await self._explained(self.values)

    async def _ask(self, asked: Asks) -> None:
        """Make the form; what was given already is kept."""
        form, given, focused = self.query_one("#form"), self.values, self.focused
        await form.remove_children()
        for each in asked.variables:
            name = [Piece(each.name, Tone.TITLE), Piece(f" {each.type}", Tone.DIM)]
            label = Label(content(name), markup=False)
            await form.mount(Horizontal(label, VariableInput(each, given.get(each.name, ""))))
            if each.description:
                about = Lines()
                await form.mount(about)
                about.show([Piece(each.description, Tone.DIM)])
        lines = _secrets(asked) or ([] if asked.variables else [Piece("it asks for nothing")])
        secrets = Lines(id="secrets")
        await form.mount(secrets)
        secrets.show(lines)
        boxes = {box.variable: box for box in self.query(VariableInput)}
        before = focused.variable if isinstance(focused, VariableInput) else None
        box = boxes.get(before or "") or next(iter(boxes.values()), None)
        if box is not None:
            box.focus()

    @property
    def values(self) -> dict[str, str]:
        """The values that were given."""
        boxes = self.query(VariableInput)
        return {box.variable: box.value.strip() for box in boxes if box.value.strip()}

    @on(Input.Changed, "VariableInput")
    def _explain(self) -> None:
        """Explain it with these values, one thread at a time: a thread cannot be called off."""
        if not self._is_explaining:
            self._is_explaining = True
            self.run_worker(self._explain_newest(), group="explain")

    async def _explain_newest(self) -> None:
        values: dict[str, str] | None = None
        try:
            while values != self.values:
                async with self._reading:  # what it said before it changed is not said after that
                    values = self.values
                    await self._explained(values)
        finally:
            self._is_explaining = False

    async def _explained(self, values: dict[str, str]) -> None:
        inventory = self.gswarm.inventory
        if inventory is None:
            self._say(["there is no inventory to look at"], is_wrong=True)
            return
        try:
            said = await asyncio.to_thread(explained, self.file, values, inventory)
        except GswarmError as error:
            self._say(told(error), is_wrong=True)
        else:
            self._say(said, is_wrong=False)

    def _say(self, lines: Iterable[str], *, is_wrong: bool) -> None:
        self._told, self._is_wrong = list(lines), is_wrong
        self.redraw()

    # Keys

    def action_next(self) -> None:
        self.focus_next()

    @on(Input.Submitted, "VariableInput")
    def _submitted(self) -> None:
        self.focus_next()

    def action_scroll_page(self, by: int) -> None:
        """Show another part of what it would do."""
        pane = self.query_one("#explained", Lines)
        pane.scroll_relative(y=by * max(1, pane.size.height - 2), animate=False)

    def action_run(self) -> None:
        """Read it again, compare it with the fleet, and run it when that is confirmed."""
        self.run_worker(self._run(), group="read")

    async def _run(self) -> None:
        await self._read()
        if self._is_wrong:
            self.gswarm.deeds.tell(f"{self.file.name} cannot be run", "\n".join(self._told))
            return
        self.gswarm.deeds.begin(run_playbook(self.file, self.values))


def _changed_at(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None


def _secrets(asked: Asks) -> list[Cell]:
    """Which secrets there are; their values are shown nowhere."""
    lines: list[Cell] = [Piece("secrets", Tone.TITLE)] if asked.secrets else []
    for each in asked.secrets:
        state = Piece("✔ set", Tone.GOOD) if each.is_set else Piece("✖ not set", Tone.BAD)
        lines.append([Piece(f"{each.name}  "), state, Piece(f"  from {each.place}", Tone.DIM)])
    return lines
