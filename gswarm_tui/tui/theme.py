"""The themes: dark, light, and one of the terminal's own sixteen colours.

Where there are 256 colours or fewer, the nearest one is taken, in which dark greys become the same
black: cursor and panels would be lost. So these terminals get ``ansi``, whose colours are the
terminal's own, and where the cursor is a reversed line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

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
LineTable:ansi .line-table--cursor { background: ansi_default; text-style: underline; }
LineTable:ansi:focus .line-table--cursor {
    background: ansi_default; color: ansi_default; text-style: reverse bold;
}
LogText:ansi .log-text--found { background: ansi_default; text-style: reverse bold; }
"""
"""What is different where there are the terminal's colours only: reversed instead of shaded."""


def suited(environ: Mapping[str, str]) -> str:
    """The theme for a terminal, where none is asked for: ``ansi`` below 16 million colours.

    ``COLORTERM`` does not come along with ssh: there, too.
    """
    true = environ.get("COLORTERM", "").casefold() in ("truecolor", "24bit")
    return _DARK.name if true else _ANSI.name
