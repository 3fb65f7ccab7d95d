"""Everything that is known of one thing, as YAML."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import yaml
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.markup import content


class DescribeScreen(ModalScreen[None]):
    """A box with the fields of parts of a `FleetSnapshot`; what is not known is left out."""

    DEFAULT_CSS = """
    DescribeScreen { align: center middle; }
    DescribeScreen VerticalScroll {
        width: 90%; height: 90%; border: round $primary; background: $panel; padding: 1 2;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,d,enter", "dismiss", "Close", show=False)
    ]

    def __init__(self, title: str, *things: Any) -> None:
        super().__init__()
        self._heading, self._things = title, things

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            said = "---\n".join(map(as_yaml, self._things))
            text = [Piece(f"{self._heading}\n\n", Tone.TITLE), Piece(said)]
            yield Static(content(text), markup=False)


def as_yaml(thing: Any) -> str:
    """A dataclass as YAML, in the order of its fields."""
    return yaml.safe_dump(_plain(thing), sort_keys=False, allow_unicode=True, width=100)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        named = {field.name: _plain(getattr(value, field.name)) for field in fields}
        return {name: item for name, item in named.items() if item not in (None, [], {})}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value
