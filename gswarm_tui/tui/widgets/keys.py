"""The line with the keys of the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, Final, final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import ActiveBinding
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

_FIRST: Final = "choose"
"""The way in is what a new user looks for."""

_LAST: Final = ("sort", "command", "filter", "clear_filter", "back")
"""These are the same on all screens: what only one has comes before them."""

_HELP: Final = "app.help"
"""It has all keys, so that its own one is seen where there is no room for others."""

_MORE: Final = "…"
"""Where keys are left out."""


@dataclass(frozen=True, slots=True)
class _Key:
    """A key that counts."""

    key: str
    shown: str
    does: str
    is_enabled: bool
    action: str

    @property
    def width(self) -> int:
        return cell_len(f" {self.shown} {self.does} ")


@final
class Keys(Widget, can_focus=False):
    """One line, drawn anew when other keys count; a click on a key presses it.

    Args:
        fills: which of the keys that are not shown by themselves have the room that is left.

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

    def __init__(
        self,
        fills: Callable[[ActiveBinding], bool] = lambda _: False,
        omits: Callable[[ActiveBinding], bool] = lambda _: False,
    ) -> None:
        super().__init__()
        self._fills, self._omits = fills, omits
        self._keys: tuple[_Key, ...] = ()
        self._help: tuple[_Key, ...] = ()
        self._first = 0
        """Which key is seen first: the wheel changes it where there is no room for all."""
        self._pointed: _Key | None = None

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look_again)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def look_again(self) -> None:
        """Another screen is over this one, or not any more: below a box, no key counts."""
        self._look()

    def _look_again(self, screen: Screen[object]) -> None:
        """Show the keys that count once the screen is as it will be."""
        if self.app.app_focus:
            self.call_after_refresh(self._look)

    def _look(self) -> None:
        if not self.is_attached:
            return
        is_below_a_box = self.app.screen is not self.screen and self.app.screen.is_modal
        firsts: dict[str, ActiveBinding] = {}
        known = () if is_below_a_box else tuple(self.screen.active_bindings.values())
        known = tuple(active for active in known if not self._omits(active))
        for active in known:
            if active.binding.show:
                firsts.setdefault(active.binding.action, active)
        shown = tuple(firsts)
        for active in known:
            if not active.binding.show and self._fills(active):
                firsts.setdefault(active.binding.action, active)
        every = tuple(self._key(active) for active in firsts.values())
        mine = (key for key in every if key.action != _HELP)
        keys = tuple(sorted(mine, key=lambda key: (key.action not in shown, _order(key))))
        help_ = tuple(key for key in every if key.action == _HELP)
        if (keys, help_) != (self._keys, self._help):
            self._keys, self._help, self._first, self._pointed = keys, help_, 0, None
            self.refresh()

    def _key(self, active: ActiveBinding) -> _Key:
        binding = active.binding
        shown = self.app.get_key_display(binding)
        return _Key(binding.key, shown, binding.description, active.enabled, binding.action)

    def _seen(self) -> list[_Key | None]:
        """The keys that there is room for, none of them cut; None where some are left out."""
        if not self._first and _width((*self._keys, *self._help)) <= self.size.width:
            return [*self._keys, *self._help]
        keys = self._keys[self._first :]
        room = self.size.width - _width((*self._help, None, *((None,) if self._first else ())))
        ends = accumulate(key.width for key in keys)
        some = [key for key, end in zip(keys, ends, strict=True) if end <= room]
        before = [None] if self._first else []
        after = [None] if len(some) < len(keys) else []
        return [*before, *some, *after, *self._help]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        drawn = Strip([part for key in self._seen() for part in self._drawn(key)]).crop(0, width)
        return drawn.extend_cell_length(width, Style(bgcolor=self.rich_style.bgcolor))

    def _drawn(self, key: _Key | None) -> list[Segment]:
        if key is None:
            return [Segment(_MORE, self.get_component_rich_style("keys--does"))]
        pointed = key is self._pointed
        style = self.get_component_rich_style("keys--pointed" if pointed else "keys--key")
        does = style if pointed else self.get_component_rich_style("keys--does")
        dim = Style(dim=not key.is_enabled or None)
        return [Segment(f" {key.shown} ", style + dim), Segment(f"{key.does} ", does + dim)]

    # The mouse

    def _at(self, x: int) -> _Key | None:
        """The key at a column."""
        seen = self._seen()
        ends = accumulate(_width((key,)) for key in seen)
        return next((key for key, end in zip(seen, ends, strict=True) if x < end), None)

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
        if None in self._seen()[1:]:
            self._begin_at(self._first + 1)

    def on_mouse_scroll_up(self) -> None:
        self._begin_at(max(0, self._first - 1))

    def _begin_at(self, first: int) -> None:
        if first != self._first:
            self._first = first
            self.refresh()


def _order(key: _Key) -> int:
    if key.action == _FIRST:
        return -1
    return _LAST.index(key.action) + 1 if key.action in _LAST else 0


def _width(keys: Iterable[_Key | None]) -> int:
    return sum(cell_len(_MORE) if key is None else key.width for key in keys)
