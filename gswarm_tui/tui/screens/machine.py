"""What the screens of a node and of a GPU share: plots, processes, a shell."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events
from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType

from gswarm_tui.errors import UsageError
from gswarm_tui.tui import signalling
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.dialog import told
from gswarm_tui.tui.widgets.header import Header
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.tui.widgets.plot import ONE_DAY, TEN_MINUTES, Span
from gswarm_tui.tui.widgets.process_table import ProcessRow, ProcessTable


class MachineView(View):
    """A screen about one machine, or a part of it.

    `machine` is the name of the node.
    """

    FILTERS = False
    CHANGES = frozenset({"shell", "signal"})
    AUTO_FOCUS = ""
    FIRST: ClassVar[type[LineTable[Any]]]
    """The table that has the focus at first."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (150, "-wide")]  # noqa: RUF012 - Textual's

    DEFAULT_CSS = """
    MachineView #page {
        background: $surface; height: 1fr; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
    }
    MachineView #facts, MachineView #topology { margin: 0 1; }
    MachineView Plots { margin: 1 1 0 1; }
    MachineView LineTable { height: auto; margin: 1 0 0 0; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "span", "Time span"),
        Binding("s", "shell", "Shell"),
        Binding("x", "signal", "Signal"),
        Binding("d", "describe", "Describe"),
        Binding("ctrl+d", "scroll_page(1)", "Scroll down", show=False),
        Binding("ctrl+u", "scroll_page(-1)", "Scroll up", show=False),
    ]

    def __init__(self, subject: str | None = None) -> None:
        super().__init__(subject)
        self.span: Span = TEN_MINUTES

    @property
    def machine(self) -> str:
        """The name of the node."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.set_focus(self.query_one(self.FIRST), scroll_visible=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "shell":
            return self.has_shell()
        return super().check_action(action, parameters)

    def blank(self, facts: Lines, why: str) -> None:
        """There is nothing to show; say why."""
        for table in self.query(LineTable):
            fill(table, ())
        for lines in self.query(Lines):
            if not isinstance(lines, Header):
                lines.show([])
        facts.show([Piece(why, Tone.BAD)])

    def action_span(self) -> None:
        """Plots of the last ten minutes, or of the last day."""
        self.span = ONE_DAY if self.span is TEN_MINUTES else TEN_MINUTES
        self.redraw()

    def action_scroll_page(self, by: int) -> None:
        """Show another part of what does not fit on the screen."""
        page = self.query_one("#page")
        page.scroll_relative(y=by * max(1, page.size.height - 2), animate=False)

    def describe_process(self, row: ProcessRow) -> None:
        """Everything that is known of a process on a GPU."""
        self.describe({f"process {row.process.pid} on {self.machine}:gpu{row.gpu}": row.process})

    def to_signal(self) -> tuple[list[ProcessRow], str]:
        """The marked processes, or the one that the cursor is on; and what is said of none."""
        table = self.query_one(ProcessTable)
        return table.marked, table.empty

    def action_signal(self) -> None:
        """Ask which signal they are sent."""
        rows, nothing = self.to_signal()
        processes = [row.process for row in rows]
        if not processes:
            self.gswarm.deeds.tell("there is nothing to signal", nothing)
            return
        try:
            form = signalling.ask(self.machine, processes)
        except UsageError as error:
            self.gswarm.deeds.tell("that cannot be signalled", told(error))
        else:
            self.gswarm.deeds.ask(form)

    def action_shell(self) -> None:
        """Leave the screen to a shell on the node until that ends."""
        leave_to_shell(self, self.machine)

    def on_resize(self, event: events.Resize) -> None:
        self.redraw()


_SSH_FAILED = 255
_LINES = 14
"""A table of a page is no higher; it scrolls in itself."""


def leave_to_shell(view: View, node: str) -> None:
    """Leave the screen to a shell on a node until that ends."""
    shell, tell, title = view.gswarm.shell, view.gswarm.deeds.tell, f"a shell on {node}"
    argv = None if shell is None else shell(node)
    if argv is None:
        tell(title, f"{node} is not in the inventory")
        return
    try:
        with view.app.suspend():
            status = subprocess.run(argv, check=False).returncode
    except SuspendNotSupported:
        tell(title, "this terminal cannot be left to a shell")
    except OSError as error:
        tell(title, f"{argv[0]} could not be started: {error.strerror}")
    else:
        if status == _SSH_FAILED and argv[0] == "ssh":
            tell(title, f"ssh could not reach {node}")


def fill(table: LineTable[Any], rows: Sequence[Any]) -> None:
    """Show rows in a table that is as high as they need, up to a limit."""
    table.styles.height = 1 + max(1, min(len(rows), _LINES))
    table.show(rows)
