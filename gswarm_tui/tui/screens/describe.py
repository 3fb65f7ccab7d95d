"""Everything that is known of one thing, as YAML."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

import yaml
from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.screen import ModalScreen

from gswarm_tui import wording
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.tui.widgets.keys import Keys
from gswarm_tui.tui.widgets.lines import Lines, wrapped
from gswarm_tui.watch.fields import HUNG, hangs
from gswarm_tui.watch.snapshot import Node

_TIMES: Final = ("time", "since", "idle_since")
_MOST: Final = 32
"""So many things are described at once: that of thousands of nodes would take a minute to make, and
nobody reads it."""
_DUMPER: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""Four times as fast, where PyYAML was built with it."""


class DescribeScreen(ModalScreen[None]):
    """A box with the fields of parts of a `FleetSnapshot`; what is not known is left out."""

    DEFAULT_CSS = """
    DescribeScreen { align: center middle; }
    DescribeScreen VerticalScroll {
        width: 90%; height: 90%; border: round $primary; background: $panel; padding: 1 2;
    }
    DescribeScreen Lines { background: $panel; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,d,enter", "dismiss", "Close")]

    def __init__(self, title: str, *things: Any) -> None:
        super().__init__()
        self._heading, self._things = title, things

    def compose(self) -> ComposeResult:
        said = "---\n".join(map(as_yaml, self._things[:_MOST]))
        left = len(self._things) - _MOST
        if left > 0:
            said += f"---\n# {left} more are not described: mark fewer, or filter them\n"
        with VerticalScroll(can_focus=True):
            yield _Text(self._heading, said.split("\n"))
        yield Keys()


class _Text(Lines):
    """A heading and lines below it, each in as many parts as its width needs."""

    def __init__(self, heading: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._heading, self._text = heading, lines
        self._width = 0
        """What it was laid out for."""

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        if width != self._width:
            self._width = width
            heading = (Piece(part, Tone.TITLE) for part in wrapped(self._heading, max(1, width)))
            self._lines = (*heading, "", *self._parts(max(1, width)))
            self._count = len(self._lines)
            self._strips = {}
        return self._count

    def _parts(self, width: int) -> Iterator[Cell]:
        for line in self._text:
            room = cell_len(line)
            if room <= width:
                yield line
            else:  # half of it where characters take two columns
                yield from wrapped(line, width if room == len(line) else max(1, width // 2))


def as_yaml(thing: Any) -> str:
    """A dataclass as YAML, in the order of its fields."""
    plain = _plain(thing)
    # libyaml escapes what needs more than 16 bits, and fails with half of a surrogate pair.
    quick = json.dumps(plain, ensure_ascii=False).isascii()
    dumper = _DUMPER if quick else yaml.SafeDumper
    return str(yaml.dump(plain, Dumper=dumper, sort_keys=False, allow_unicode=True, width=100))


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
