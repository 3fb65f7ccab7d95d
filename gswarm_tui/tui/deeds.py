"""From a key to a job: what is asked, shown, confirmed and carried out, and what is said of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, final

from gswarm_tui.errors import GswarmError
from gswarm_tui.tui.acting import READ_ONLY, Actor, Deed, Proposal
from gswarm_tui.tui.widgets.prompt import Prompt
from gswarm_tui.watch.snapshot import Event, FleetSnapshot

if TYPE_CHECKING:
    from gswarm_tui.tui.app import GswarmApp
    from gswarm_tui.tui.widgets.dialog import Form, NoticeScreen

_KEPT: Final = 200


@final
class Deeds:
    """What a user changes from here.

    Args:
        actor: who does it; None where nobody can.
        clock: seconds since the epoch.
    """

    def __init__(
        self, app: GswarmApp, actor: Actor | None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._app, self._actor, self._clock = app, actor, clock
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._unread: deque[NoticeScreen] = deque()

    @property
    def refusal(self) -> str | None:
        """Why nothing can be changed from here; None where it can."""
        if self._app.read_only:
            return READ_ONLY
        return "nothing can be changed from here" if self._actor is None else None

    @property
    def last_command(self) -> str | None:
        """The command line that equals what was done last."""
        return next((each.command for each in reversed(self._events) if each.command), None)

    def ask(self, form: Form) -> None:
        """Ask for what is needed, then as `begin`; from the plan one comes back to the form."""
        from gswarm_tui.tui.widgets.dialog import FormScreen

        if not self._refused(form.title):
            self._app.push_screen(FormScreen(form), self._answered)

    def begin(self, make: Callable[[], Deed] | Deed, form: Form | None = None) -> None:
        """Show what a deed would come to; do it when that is confirmed.

        Args:
            form: where one comes back to from there.
        """
        from gswarm_tui.tui.widgets.dialog import PlanScreen, told

        try:
            deed = make if isinstance(make, Deed) else make()
        except GswarmError as error:
            self.tell("that cannot be done", told(error))
            return
        if not self._refused(deed.title) and self._actor is not None:
            self._app.push_screen(PlanScreen(deed, self._actor, form), self._confirmed)

    def tell(self, title: str, text: str, *, is_error: bool = True) -> None:
        """Say something that stays until it was read; where something is typed, after that."""
        from gswarm_tui.tui.widgets.dialog import NoticeScreen

        self._unread.append(NoticeScreen(title, text, is_error=is_error))
        self.show_unread()

    def show_unread(self) -> None:
        """Show the next notice, unless somebody is in the midst of something."""
        if self._unread and self._app.views and self._app.screen is self._app.views[-1]:
            if self._app.screen.query_one(Prompt).has_class("-open"):
                return
            self._app.push_screen(self._unread.popleft(), lambda _: self.show_unread())

    def with_events(self, snapshot: FleetSnapshot) -> FleetSnapshot:
        """The same picture with what was done here among the events."""
        if not self._events:
            return snapshot
        events = sorted((*snapshot.events, *self._events), key=lambda event: event.time)
        return replace(snapshot, events=tuple(events))

    def note(self, level: str, about: str, text: str, command: str | None = None) -> None:
        """Add to the events."""
        self._events.append(Event(self._clock(), level, about, text, command or None))

    def _refused(self, title: str) -> bool:
        if self.refusal is not None:
            self.tell(title, self.refusal)
        return self.refusal is not None

    def _answered(self, answer: object) -> None:
        from gswarm_tui.tui.widgets.dialog import Answer

        if isinstance(answer, Answer):
            self.begin(answer.deed, answer.form)

    def _confirmed(self, found: object) -> None:
        from gswarm_tui.tui.widgets.dialog import Form

        if isinstance(found, Proposal):
            self._app.run_worker(self._carry_out(found), group="deeds")
        elif isinstance(found, Form):
            self.ask(found)

    async def _carry_out(self, proposal: Proposal) -> None:
        from gswarm_tui.tui.widgets.dialog import told

        deed = proposal.deed
        assert self._actor is not None
        try:
            done = await self._actor.carry_out(proposal)
        except GswarmError as error:
            self.note("error", deed.about, f"{deed.title}: {error}", proposal.command)
            self.tell(f"{deed.title} failed", told(error))
            return
        said = done.said if done.job is None else f"job {done.job}"
        self.note("info", deed.about, f"{deed.title}: {said}", proposal.command)
        self._app.notify(f"{deed.title}: {said}", markup=False)
        if (
            deed.file is not None
            and done.job is not None
            and self._app.views[-1].subject == deed.file
        ):
            self._app.back_to("jobs")
            self._app.open_view("job", str(done.job))
