"""The application: it owns the newest picture of the fleet, and where one is.

Its source gives it a picture a tick; that is one assignment, and the screen on top draws it.
Nothing here waits for a node.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on
from textual.actions import ActionParseResult
from textual.app import App, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.reactive import reactive

from gswarm_tui.config import Mistakes, TuiConfig, refuse
from gswarm_tui.nearest import did_you_mean
from gswarm_tui.tui import keymap, theme
from gswarm_tui.tui.deeds import Deeds
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.turns import Turns
from gswarm_tui.tui.views import HOME, SUBJECTS, VIEWS
from gswarm_tui.tui.widgets.header import Header
from gswarm_tui.watch.snapshot import Event, FleetSnapshot

if TYPE_CHECKING:
    from gswarm_tui.inventory import Inventory
    from gswarm_tui.tui.acting import Actor
    from gswarm_tui.tui.shell import Shell
    from gswarm_tui.tui.talking import Talker
    from gswarm_tui.watch.source import Source

_QUIT = ("quit", "q")
_THEME = "theme"
_OF_A_FOLDER = "playbooks"
_OTHERS_S: Final = 2.0
"""After so long the other screens are imported; by then most nodes have answered."""

_NOTICES: Final = """
ToastRack { dock: top; margin: 1 0 0 0; max-height: 2; overflow: hidden; }
Toast { width: auto; max-width: 100%; max-height: 2; margin: 0; padding: 0 1; }
.-low ToastRack, .-low Toast { max-height: 1; }
.-low #details, .-low #legend { display: none; }
"""
"""A notice is over the trail: below are the keys of a box, and what the marks of a table mean.
Where there are few lines what stands around a table has none."""

_SIGNS: Final = {"warning": "⚠ ", "error": "✗ "}
"""Before a notice, by how bad it is: a colour alone would not tell."""


class GswarmApp(App[None]):
    """gswarm on a terminal.

    Args:
        source: where the pictures come from; it is asked once the first screen is there.
        first: what that screen shows; nothing by default.
        read_only: nothing can be changed from here.
        shell: how a shell is opened on a node; None where that cannot be.
        no_shell: why it cannot.
        actor: who does what is asked for here; None where nobody can.
        talker: who asks services; None where nobody can.
        inventory: what the fleet is said to be; None where that is not known.
        config: the theme and the keys that the user wants.
    """

    TITLE = "gswarm"
    ENABLE_COMMAND_PALETTE = False
    CSS = theme.CSS + _NOTICES
    VERTICAL_BREAKPOINTS = [(0, "-low"), (12, "-high")]  # noqa: RUF012 - Textual's
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("q", "quit", "Quit", show=False),
        Binding("ctrl+z", "suspend_process", "Back to the shell, until fg", show=False),
    ]

    # No repaint: the screen on top has those parts drawn that are different.
    snapshot: reactive[FleetSnapshot] = reactive(
        FleetSnapshot(0.0), always_update=True, repaint=False
    )

    def __init__(
        self,
        source: Source,
        *,
        first: FleetSnapshot | None = None,
        read_only: bool = False,
        shell: Shell | None = None,
        no_shell: str = "a browser has no terminal that a shell could have",
        actor: Actor | None = None,
        talker: Talker | None = None,
        inventory: Inventory | None = None,
        config: TuiConfig | None = None,
    ) -> None:
        super().__init__()
        self.animation_level = "none"  # a key is answered at once, also over a slow line
        self.keys = {} if config is None else config.keys
        if config is not None:
            refuse(*wrong_keys(config))
        keymap.apply(self.keys, self, (type(self),))
        for each in theme.ALL.values():
            self.register_theme(each)
        self.theme = (config.theme if config is not None else None) or theme.DEFAULT
        self.source = source
        if first is not None:
            self.set_reactive(GswarmApp.snapshot, first)
        self.read_only = read_only
        self.shell, self.no_shell = shell, no_shell
        self.talker = talker
        self.inventory = inventory
        self.deeds = Deeds(self, actor)
        self._read_until: float | None = None
        """Up to when what happened was read; None before the first picture."""
        self.unread_errors = 0
        self.turns = Turns(self)

    def on_mount(self) -> None:
        home = VIEWS[HOME]()
        self.push_screen(home)
        home.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """What takes longer than the first screen comes after it."""
        if not gc.isenabled():  # `gswarm_tui.tui.main` would not have it look through the modules
            gc.freeze()
            gc.enable()
        self.run_worker(self.source.run(self._take), name="source", exit_on_error=True)
        self.set_timer(_OTHERS_S, lambda: self.run_worker(VIEWS.load_all, thread=True))

    def _take(self, snapshot: FleetSnapshot) -> None:
        if self._read_until is None:
            self._read_until = snapshot.time  # what was before is no news
        self.unread_errors = _errors_since(self._read_until, snapshot)
        self.snapshot = self.deeds.with_events(snapshot)
        self.deeds.show_unread()

    def watch_snapshot(self) -> None:
        if isinstance(self.screen_or_none, View):
            self.screen_or_none.draw()

    async def on_event(self, event: events.Event) -> None:
        is_typed = isinstance(event, events.Key | events.Paste) and not event.is_forwarded
        if not (is_typed and self.turns.waits(event)):
            await super().on_event(event)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """What a key does, unless its screen holds it back."""
        view = default_namespace
        if isinstance(view, View) and isinstance(action, str) and view.holds_back(action):
            return True
        return await super().run_action(action, default_namespace, namespaces)

    @property
    def screen_or_none(self) -> object:
        """The screen on top, also before there is one."""
        return self.screen_stack[-1] if self.screen_stack else None

    def _fatal_error(self) -> None:
        """What went wrong is said by whoever runs this, not as a traceback on the screen."""
        self._close_messages_no_wait()

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [theme.NoColour()] if self.no_color else super().get_line_filters()

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Say something in passing; its sign says how bad it is."""
        said = f"{_SIGNS.get(severity, '')}{message}"
        super().notify(said, title=title, severity=severity, timeout=timeout, markup=markup)

    def on_notify(self) -> None:
        """What is said takes the place of what was said before."""
        self.clear_notifications()

    def action_suspend_process(self) -> None:
        """Give the terminal back to the shell until that says `fg`; without one nothing happens.

        Textual's own stops the process with SIGSTOP, also where there is no shell to go on from.
        """
        try:
            with self.suspend():
                before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
                os.killpg(0, signal.SIGTSTP)
                signal.signal(signal.SIGTSTP, before)
        except SuspendNotSupported:
            self.notify("there is no shell to go back to from here", severity="warning")

    # Where one is

    @property
    def views(self) -> list[View]:
        """The screens on the way here, the first one first."""
        return [screen for screen in self.screen_stack if isinstance(screen, View)]

    def trail(self) -> tuple[str, ...]:
        return tuple(view.crumb for view in self.views)

    def refocus(self) -> None:
        """Have the details of the job that the screens on the way here are about, in pictures."""
        jobs = [view.job_in_focus for view in reversed(self.views)]
        self.source.focus(next((job for job in jobs if job is not None), None))

    def open_view(self, word: str, subject: str | None = None) -> None:
        """Go into a screen from the one on top."""
        self.push_screen(VIEWS[word](subject))

    def go_to(self, word: str, subject: str | None = None) -> None:
        """Go to a screen from anywhere: the way back leads home."""
        while len(self.views) > 1:
            self.pop_screen()
        if word != HOME:
            self.open_view(word, subject)

    def back_to(self, word: str) -> None:
        """Go back to a screen on the way here; to a new one where there is none."""
        if all(word != view.WORD for view in self.views):
            self.go_to(word)
        while word != self.views[-1].WORD:
            self.pop_screen()

    def go_back(self) -> None:
        if len(self.views) > 1:
            self.pop_screen()

    @on(Header.Crumb)
    def _back_to(self, event: Header.Crumb) -> None:
        """Go back to a part of the trail."""
        while len(self.views) > event.place + 1:
            self.pop_screen()

    def read_errors(self) -> None:
        """What happened so far was read."""
        self._read_until, self.unread_errors = self.snapshot.time, 0

    def action_help(self) -> None:
        """The keys that count on the screen on top."""
        from gswarm_tui.tui.screens.help import HelpScreen

        if self.views and self.screen is self.views[-1]:
            view = self.views[-1]
            keys = view.active_bindings.values()
            title = view.TITLE or view.WORD
            words = [
                f"{word} {SUBJECTS[word].written}" if word in SUBJECTS else word for word in VIEWS
            ]
            words += [f"{_THEME} {'|'.join(theme.ALL)}", "q"]
            self.push_screen(HelpScreen(title, view.SUMMARY, keys, words, view.ENTER))

    def action_copy_command(self) -> None:
        """Copy the command line of the event under the cursor, else that of what was done last."""
        row = getattr(self.focused, "current", None)
        of_event = row.command if isinstance(row, Event) else None
        command = of_event or self.deeds.last_command
        if command is None:
            self.notify("there is no command yet: nothing was done from here", markup=False)
        else:
            self.copy_to_clipboard(command)
            self.notify(f"copied: {command}", markup=False)

    # Commands

    def obey(self, command: str) -> str | None:
        """Do what was typed after ``:``; why it cannot be done, None where it was."""
        word, _, rest = command.partition(" ")
        subject = rest.strip() or None
        if not word:
            return None
        if word in _QUIT:
            self.exit()
        elif word == _THEME:
            return self._dress(subject)
        elif word not in VIEWS:
            near = did_you_mean(word, VIEWS) or f"; there are {', '.join(VIEWS)}"
            return f"there is no `{word}`{near}"
        elif word in SUBJECTS and subject not in self.words_after(word):
            return SUBJECTS[word].why_not(subject, self.words_after(word))
        elif word not in (*SUBJECTS, _OF_A_FOLDER) and subject is not None:
            return f"`{word}` is all of them: nothing can follow it; / filters"
        else:
            self.go_to(word, subject)
        return None

    def _dress(self, name: str | None) -> str | None:
        """Take another theme, for as long as this runs; why not, where there is none."""
        if name not in theme.ALL:
            said = f"there is no theme `{name}`" if name else "write which theme"
            return f"{said}: {', '.join(theme.ALL)}"
        self.theme = str(name)
        return None

    def words_after(self, before: str) -> Sequence[str]:
        """What can follow in a command: screens, and the names of what they are about."""
        if not before:
            return [*VIEWS, _THEME, *_QUIT]
        if before == _THEME:
            return list(theme.ALL)
        subjects = SUBJECTS.get(before)
        return [] if subjects is None else subjects.names(self.snapshot)


def _errors_since(time: float, snapshot: FleetSnapshot) -> int:
    """How many errors there were after that; events are in the order of time."""
    late = takewhile(lambda event: event.time > time, reversed(snapshot.events))
    return sum(event.level == "error" for event in late)


def wrong_keys(config: TuiConfig) -> tuple[Mistakes, str | None]:
    """What is wrong with the keys that the user wants, and a hint."""
    if not config.keys:
        return [], None
    from gswarm_tui.tui.screens.playbook import PlaybookView

    screens: list[type[View]] = [*VIEWS.values(), PlaybookView]
    places: keymap.Places = {
        each.TITLE or each.WORD: (each, *each.KEYED, GswarmApp) for each in screens
    }
    return keymap.mistakes(config, places)
