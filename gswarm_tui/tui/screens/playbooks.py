"""The files of a folder, to choose the playbook that is run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget

from gswarm_tui import wording
from gswarm_tui.errors import GswarmError
from gswarm_tui.tui.playbook_files import Entry, entries
from gswarm_tui.tui.screens.playbook import PlaybookView
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.watch.snapshot import FleetSnapshot


class PlaybooksView(View):
    """Folders and YAML files; Enter goes in, or asks for the variables of a playbook."""

    WORD = "playbooks"
    TITLE = "Playbooks"
    SUMMARY = "Choose a playbook to run: folders and YAML files, from the current folder on."
    ENTER = "the folder or the playbook"
    AUTO_FOCUS = "LineTable"

    DEFAULT_CSS = """
    PlaybooksView #folder { padding: 0 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u,backspace", "up", "Folder above"),
        Binding("o", "sort", "Sort"),
        Binding("ctrl+r", "read", "Read again", show=False),
    ]

    COLUMNS: ClassVar = (
        Column[Entry]("name", lambda e: _name(e), 20, share=1, order=lambda e: e.name.casefold()),
        Column[Entry](
            "size",
            lambda e: "" if e.size_bytes is None else wording.size(e.size_bytes),
            10,
            right=True,
            order=lambda e: e.size_bytes,
        ),
        Column[Entry]("changed", lambda e: _moment(e.changed_at), 16, order=lambda e: e.changed_at),
    )

    def __init__(self, subject: str | None = None) -> None:
        super().__init__()
        wanted = os.path.expanduser(subject or ".")  # noqa: PTH111 - fails on the home of nobody
        self.folder = _resolved(wanted)
        self._entries: list[Entry] = []
        self._problem = ""

    def body(self) -> Iterable[Widget]:
        yield Lines(id="folder")
        empty = "no YAML file is here"
        yield LineTable(self.COLUMNS, lambda entry: entry.path, empty=empty, marks=False)

    def on_mount(self) -> None:
        self.action_read()

    def show(self, snapshot: FleetSnapshot) -> None:
        said: list[Cell] = [Piece(str(self.folder), Tone.TITLE)]
        if self._problem:
            said.append(Piece(f"✖ {self._problem}", Tone.BAD))
        elif self._entries and all(entry.size_bytes is None for entry in self._entries):
            said.append("no playbook is here: `gswarm example --output examples` writes some")
        self.query_one("#folder", Lines).show(said)
        self.query_one(LineTable).show(self.fitting(self._entries, lambda each: (each.name,)))

    def action_read(self) -> None:
        """List the folder, also when that takes long."""
        self.run_worker(self._read(self.folder), group="folder", exclusive=True)

    async def _read(self, folder: Path) -> None:
        file = folder
        # As it was typed after `:`; unlike `Path.is_file`, this fails on none.
        if await asyncio.to_thread(os.path.isfile, file):
            self.folder = folder = file.parent
            self.app.push_screen(PlaybookView(str(file)))
        try:
            found, problem = await asyncio.to_thread(entries, folder), ""
        except GswarmError as error:
            found, problem = [Entry(folder.parent, "..", None, None)], error.message
        self._entries, self._problem = found, problem
        self.redraw()

    def action_up(self) -> None:
        self._go_into(self.folder.parent)

    @on(LineTable.Chosen)
    def _chosen(self, event: LineTable.Chosen) -> None:
        entry: Entry = event.row
        if entry.size_bytes is None:
            self._go_into(entry.path)
        else:
            self.app.push_screen(PlaybookView(str(entry.path)))

    def _go_into(self, folder: Path) -> None:
        self.folder, self.filter, self._entries = folder, "", []
        self.action_read()
        self.redraw()


def _resolved(path: str) -> Path:
    """The path without links; what is wrong with it is found where it is read."""
    try:
        return Path(os.path.realpath(path))
    except OSError:  # a link that may not be read; the folder that one began in is gone
        return Path(path)


def _name(entry: Entry) -> Piece:
    return Piece(entry.name, Tone.BUSY if entry.size_bytes is None else Tone.PLAIN)


def _moment(time: float | None) -> Piece:
    if time is None:
        return Piece("")
    return Piece(datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M"), Tone.DIM)
