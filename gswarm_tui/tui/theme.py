"""The themes: dark, light, and one of the terminal's own sixteen colours.

Where there are 256 colours or fewer, the nearest one is taken, in which dark greys become the same
black: cursor and panels would be lost. So these terminals get ``ansi``, whose colours are the
terminal's own, and where the cursor is a reversed line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, final

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import BUILTIN_THEMES, Theme

from gswarm_tui.config import THEMES

_DARK: Final = replace(BUILTIN_THEMES["textual-dark"], name="dark")
_LIGHT: Final = replace(BUILTIN_THEMES["textual-light"], name="light")
_ANSI: Final = Theme(
    name="ansi",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_magenta",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    dark=True,
    variables=BUILTIN_THEMES["ansi-dark"].variables,
)

ALL: Final[Mapping[str, Theme]] = {theme.name: theme for theme in (_DARK, _LIGHT, _ANSI)}
assert tuple(ALL) == THEMES

DEFAULT: Final = _DARK.name

CSS: Final = """
LineTable:ansi .line-table--cursor, LineTable:nocolor .line-table--cursor {
    background: ansi_default; text-style: underline;
}
LineTable:ansi:focus .line-table--cursor, LineTable:nocolor:focus .line-table--cursor {
    background: ansi_default; color: ansi_default; text-style: reverse bold;
}
LogText:ansi .log-text--found, LogText:nocolor .log-text--found {
    background: ansi_default; text-style: reverse bold;
}
OptionList:nocolor > .option-list--option-highlighted { text-style: bold underline; }
Input:nocolor > .input--cursor { text-style: reverse; }
Input:nocolor > .input--placeholder, Input:nocolor > .input--suggestion { text-style: dim; }
"""
"""What is different where there are the terminal's colours only, or none: reversed, not shaded."""


@final
class NoColour(LineFilter):
    """Leaves a line its characters and their weight, for ``NO_COLOR``.

    Textual's own turns colours into greys of 24 bits, of which a terminal of sixteen colours knows
    nothing, and ends at a part of a line that has no style (`textual.filter.Monochrome` of 8.2).
    """

    _PLAIN: Final = Style.parse("default on default")

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, self._PLAIN if style is None else style + self._PLAIN, control)
            for text, style, control in segments
        ]


def suited(environ: Mapping[str, str]) -> str:
    """The theme for a terminal, where none is asked for: ``ansi`` below 16 million colours.

    ``COLORTERM`` does not come along with ssh: there, too. So it is where none are wanted.
    """
    if environ.get("NO_COLOR") is not None:
        return _ANSI.name
    true = environ.get("COLORTERM", "").casefold() in ("truecolor", "24bit")
    return _DARK.name if true else _ANSI.name
