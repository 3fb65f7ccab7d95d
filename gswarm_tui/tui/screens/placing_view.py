"""What the screens of all models and of one share: the keys that place models."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType

from gswarm_tui.tui import model_forms, placing
from gswarm_tui.tui.screens.view import NOTHING_FITS, View
from gswarm_tui.tui.widgets.dialog import Form
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Model


class PlacingView(View):
    """A screen on which models are chosen, and perhaps a copy of one."""

    CHANGES = frozenset({"download", "copy", "move", "serve", "verify", "delete"})

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("D", "download", "Download"),
        Binding("C,R", "copy", "Copy"),
        Binding("M", "move", "Move"),
        Binding("S", "serve", "Serve"),
        Binding("V", "verify", "Verify"),
        Binding("X", "delete", "Delete"),
        Binding("d", "describe", "Describe", show=False),
    ]

    def models_chosen(self) -> list[Model]:
        """The marked ones, else that under the cursor."""
        raise NotImplementedError

    def copies_chosen(self) -> list[Copy]:
        """The copies that are marked or under the cursor; none where copies are not chosen."""
        return []

    def action_download(self) -> None:
        """Bring it from where it comes from; where there is none, one that is named then."""
        if self.models_chosen():
            self._ask(model_forms.download)
        else:
            self.gswarm.deeds.ask(
                model_forms.download_new(self.subject or "", self.gswarm.snapshot)
            )

    def action_copy(self) -> None:
        """Replicate it: copy it to more nodes."""
        source = self._store()
        self._ask(lambda models, now: model_forms.copy(models, now, source))

    def action_move(self) -> None:
        """Move it, for example onto a GPU."""
        copies = self.copies_chosen()
        if len(copies) > 1:
            said = f"it is moved from one place at a time: {len(copies)} are marked"
            self.gswarm.deeds.tell("that cannot be moved", said)
            return
        place = copies[0].device if copies else ""
        self._ask(lambda models, now: model_forms.move(models, now, place))

    def action_serve(self) -> None:
        """Publish it at a port."""
        places = [copy.device for copy in self.copies_chosen()]
        on = ", ".join(place for place in places if not place.endswith(":disk"))
        self._ask(lambda models, now: model_forms.serve(models, now, on))

    def action_verify(self) -> None:
        """Read its copies again."""
        copies = self.copies_chosen()
        if copies:
            self.gswarm.deeds.begin(lambda: placing.verify(copies))
        else:
            self._ask(lambda models, _: model_forms.verify(models))

    def action_delete(self) -> None:
        """Remove copies of it."""
        copies = self.copies_chosen()
        if copies:
            now = self.gswarm.snapshot
            self.gswarm.deeds.begin(lambda: placing.delete(copies, now))
        else:
            self._ask(model_forms.delete)

    def _store(self) -> str:
        """The chosen copy's place, where files can be copied from it."""
        places = [copy.device for copy in self.copies_chosen()]
        return next((place for place in places if ":gpu" not in place), "")

    def _ask(self, form: Callable[[list[Model], FleetSnapshot], Form]) -> None:
        models = self.models_chosen()
        if models:
            self.gswarm.deeds.ask(form(models, self.gswarm.snapshot))
        else:
            self.say_there_is_none()

    def say_there_is_none(self) -> None:
        """A key was pressed that is for a model, and there is none for it."""
        if self.subject:
            said = f"no node that answers has {self.subject}: D downloads it"
        elif self.filter:
            said = NOTHING_FITS
        else:
            said = "D downloads the first one"
        self.gswarm.deeds.tell("there is no model here", said, is_error=False)
