"""Names and texts as a broken or hostile machine could send them."""

from __future__ import annotations

import zlib
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

NASTY: Final = (
    "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "[bold red on white]markup[/] [@click=app.quit]x[/] [/nonsense",
    "\u202egnp.exe\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "x" * 10_000,
    "line\nline\rline\ttab\x00\x08\x7f",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334 \U0001f469\u200d\U0001f680",
    "\u200b\u2066\u2069\ufeff\u2028\u2029\x9b31m",
    "$(reboot) `id` ; rm -rf / | ' \" \\ %s {0} {}",
)
_KEPT: Final = frozenset({"level"})
"""Not from a node."""
_DEVICES: Final = frozenset({"device", "devices", "target"})
_TIERS: Final = ("disk", "dram", "gpu")


def disfigure(value: _T) -> _T:
    """The same picture, or part of one, with every text spoilt: equal ones in the same way."""
    spoilt: _T = _spoil("", value)
    return spoilt


def _spoil(name: str, value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Enum):
        if name in _KEPT:
            return value
        return _device(value) if name in _DEVICES else text(value)
    if isinstance(value, tuple):
        return tuple([_spoil(name, item) for item in value])
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            field.name: _spoil(field.name, item)
            for field in fields(value)
            if isinstance(item := getattr(value, field.name), str | tuple)
        }
        return replace(value, **changed)
    return value


@lru_cache(maxsize=4096)
def text(value: str) -> str:
    """A text with something nasty in it; which, follows from the text."""
    return f"{value}{NASTY[zlib.crc32(value.encode()) % len(NASTY)]}"


def _device(value: str) -> str:
    node, colon, tier = value.rpartition(":")
    return f"{text(node)}:{tier}" if colon and tier.startswith(_TIERS) else text(value)
