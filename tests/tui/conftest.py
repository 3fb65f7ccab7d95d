"""What tests of the screens share: a time zone, and pictures of screens to compare with."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

from .idle import at_rest
from .stage import Stage

SNAPSHOTS = Path(__file__).parent / "__snapshots__"
_PARSED: dict[tuple[Any, ...], list[RuleSet]] = {}
_PARSE = Stylesheet._parse_rules
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times on the screen are those of one place."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pilot waits for what there is to do, not for a quiet moment of the machine."""
    monkeypatch.setattr("textual.app.wait_for_idle", at_rest)
    monkeypatch.setattr("textual.pilot.wait_for_idle", at_rest)


@pytest.fixture(autouse=True)
def _parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each application reads the same style sheets, and nothing changes what it has read."""
    monkeypatch.setattr(Stylesheet, "_parse_rules", _rules)


@pytest.fixture
def same_as_before() -> Callable[[Stage, str], None]:
    """Compare the screen with the file of that name in `__snapshots__`.

    ``GSWARM_SNAPSHOTS=write`` writes the files anew: look at what git says has changed. They are
    text, the characters first and then a letter for the style of each column, so that a difference
    can be read; which colours these are is the theme's business. pytest-textual-snapshot's SVG
    cannot be had: it demands a pytest before 9.
    """

    def compare(stage: Stage, name: str) -> None:
        file = SNAPSHOTS / f"{name}.txt"
        seen = drawing(stage)
        if os.environ.get("GSWARM_SNAPSHOTS") == "write":
            file.parent.mkdir(exist_ok=True)
            file.write_text(seen)
        assert seen == (file.read_text() if file.exists() else "")

    return compare


def _rules(sheet: Stylesheet, css: str, read_from: Any, *given: Any, **named: Any) -> list[RuleSet]:
    key = (css, read_from, *given, *named.items(), *sheet._variables.items())
    if key not in _PARSED:
        _PARSED[key] = _PARSE(sheet, css, read_from, *given, **named)
    return _PARSED[key]


def drawing(stage: Stage) -> str:
    """The screen as text: its characters, and which of them have the same style."""
    strips = stage.strips()
    styles = [
        [str(segment.style or "") for segment in strip for _ in segment.text] for strip in strips
    ]
    seen = Counter(style for line in styles for style in line)
    names = dict(zip((style for style, _ in seen.most_common()), LETTERS, strict=False))
    masks = ["".join(names.get(style, "?") for style in line).rstrip("a") for line in styles]
    texts = [strip.text.rstrip() for strip in strips]
    return "\n".join([*texts, "-" * 20, *(_runs(mask) for mask in masks), ""])


def _runs(mask: str) -> str:
    """``a12b3`` for twelve of one style and three of another."""
    return " ".join(f"{letter}{len(list(run))}" for letter, run in groupby(mask))
