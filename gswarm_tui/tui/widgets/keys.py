"""The line with the keys of the screen."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import ActiveBinding
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

_STEP = 8
"""So many columns the wheel moves the line where there are more keys than room."""


@dataclass(frozen=True, slots=True)
class _Key:
    """A key that counts."""

    key: str
    shown: str
    does: str
    is_enabled: bool

    @property
    def width(self) -> int:
        return cell_len(f" {self.shown} {self.does} ")


@final
class Keys(Widget, can_focus=False):
    """One line, drawn anew when other keys count; a click on a key presses it.

    Textual's own footer makes a widget for each key and styles it, each time that a key may have
    changed: 8 ms of CPU each time, half of the time that it takes to open a screen
    (Textual 8.2).
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keys--key", "keys--does", "keys--pointed"}
    DEFAULT_CSS = """
    Keys { dock: bottom; height: 1; color: $footer-foreground; background: $footer-background; }
    Keys .keys--key {
        color: $footer-key-foreground; background: $footer-key-background; text-style: bold;
    }
    Keys .keys--does {
        color: $footer-description-foreground; background: $footer-description-background;
    }
    Keys .keys--pointed {
        color: $footer-key-foreground; background: $block-hover-background;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[_Key, ...] = ()
        self._left = 0
        self._pointed: _Key | None = None

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look_again)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _look_again(self, screen: Screen[object]) -> None:
        """Show the keys that count once the screen is as it will be."""
        if self.app.app_focus:
            self.call_after_refresh(self._look)

    def _look(self) -> None:
        if not self.is_attached:
            return
        firsts: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show:
                firsts.setdefault(active.binding.action, active)
        keys = tuple(self._key(active) for active in firsts.values())
        if keys != self._keys:
            self._keys, self._left, self._pointed = keys, 0, None
            self.refresh()

    def _key(self, active: ActiveBinding) -> _Key:
        binding = active.binding
        shown = self.app.get_key_display(binding)
        return _Key(binding.key, shown, binding.description, active.enabled)

    def render_line(self, y: int) -> Strip:
        drawn = Strip([part for key in self._keys for part in self._drawn(key)])
        width = self.size.width
        shown = drawn.crop(self._left, self._left + width)
        return shown.extend_cell_length(width, Style(bgcolor=self.rich_style.bgcolor))

    def _drawn(self, key: _Key) -> list[Segment]:
        pointed = key is self._pointed
        style = self.get_component_rich_style("keys--pointed" if pointed else "keys--key")
        does = style if pointed else self.get_component_rich_style("keys--does")
        dim = Style(dim=not key.is_enabled or None)
        return [Segment(f" {key.shown} ", style + dim), Segment(f"{key.does} ", does + dim)]

    # The mouse

    def _at(self, x: int) -> _Key | None:
        """The key at a column."""
        ends = accumulate(key.width for key in self._keys)
        return next(
            (key for key, end in zip(self._keys, ends, strict=True) if self._left + x < end), None
        )

    def on_mouse_down(self, event: events.MouseDown) -> None:
        key = self._at(event.x)
        if key is not None and key.is_enabled:
            self.app.simulate_key(key.key)
        elif key is not None:
            self.app.bell()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._point_to(self._at(event.x))

    def on_leave(self) -> None:
        self._point_to(None)

    def _point_to(self, key: _Key | None) -> None:
        if key is not self._pointed:
            self._pointed = key
            self.refresh()

    def on_mouse_scroll_down(self) -> None:
        self._scroll_by(_STEP)

    def on_mouse_scroll_up(self) -> None:
        self._scroll_by(-_STEP)

    def _scroll_by(self, columns: int) -> None:
        """Move the line, as far as there are keys."""
        most = max(0, sum(key.width for key in self._keys) - self.size.width)
        left = min(max(0, self._left + columns), most)
        if left != self._left:
            self._left = left
            self.refresh()
