"""The Python API: what `gswarm_tui` offers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import gswarm_tui


@pytest.mark.parametrize("name", gswarm_tui.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(gswarm_tui, name) is not None


def test_the_list_is_sorted_and_agrees_with_what_type_checkers_see() -> None:
    assert gswarm_tui.__all__ == sorted(gswarm_tui.__all__)
    assert gswarm_tui.__file__ is not None
    tree = ast.parse(Path(gswarm_tui.__file__).read_text())
    seen = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert seen == set(gswarm_tui.__all__) - {"__version__"}
    assert set(gswarm_tui.__all__) <= set(dir(gswarm_tui))


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Flet'"):
        _ = gswarm_tui.Flet
