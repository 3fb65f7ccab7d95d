"""Everything that is known of one thing, as YAML."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any, ClassVar, Final

import yaml
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from gswarm_tui import wording
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.keys import Keys
from gswarm_tui.tui.widgets.markup import content
from gswarm_tui.watch.fields import HUNG, hangs
from gswarm_tui.watch.snapshot import Node

_TIMES: Final = ("time", "since", "idle_since")


class DescribeScreen(ModalScreen[None]):
    """A box with the fields of parts of a `FleetSnapshot`; what is not known is left out."""

    DEFAULT_CSS = """
    DescribeScreen { align: center middle; }
    DescribeScreen VerticalScroll {
        width: 90%; height: 90%; border: round $primary; background: $panel; padding: 1 2;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,d,enter", "dismiss", "Close")]

    def __init__(self, title: str, *things: Any) -> None:
        super().__init__()
        self._heading, self._things = title, things

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            said = "---\n".join(map(as_yaml, self._things))
            text = [Piece(f"{self._heading}\n\n", Tone.TITLE), Piece(said)]
            yield Static(content(text), markup=False)
        yield Keys()


def as_yaml(thing: Any) -> str:
    """A dataclass as YAML, in the order of its fields."""
    return yaml.safe_dump(_plain(thing), sort_keys=False, allow_unicode=True, width=100)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        named = {field.name: _named(field.name, getattr(value, field.name)) for field in fields}
        if isinstance(value, Node) and hangs(value):
            named["state"] = HUNG
        return {name: item for name, item in named.items() if item not in (None, [], {})}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _named(name: str, value: Any) -> Any:
    """The value of a field: times and amounts as one reads them, and as they are."""
    if name == "labels":
        return dict(value)
    if name == "xid":
        return [[code, _time(time)] for code, time in value]
    if not isinstance(value, int | float) or isinstance(value, bool):
        return _plain(value)
    if name in _TIMES or name.endswith("_at"):
        return _time(value)
    if name.endswith("_bytes"):
        return f"{wording.size(value)} ({value})"
    if name.endswith("_bytes_per_s"):
        return f"{wording.size(value)}/s ({value:.0f})"
    if name.endswith("_s") and not name.endswith("_per_s") and value >= 60:
        return f"{wording.duration(value)} ({value:.0f})"
    return value


def _time(seconds: float) -> Any:
    try:
        local = datetime.fromtimestamp(seconds).astimezone()
    except (ValueError, OverflowError, OSError):  # no year has it: its node is wrong
        return seconds
    return f"{local:%Y-%m-%d %H:%M:%S} ({seconds:.3f})"
