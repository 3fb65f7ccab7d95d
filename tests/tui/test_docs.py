"""The pages of the user guide have every key."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.binding import Binding

from gswarm_tui.tui.screens.fleet import FleetView
from gswarm_tui.tui.screens.gpu import GpuView
from gswarm_tui.tui.screens.inventory import InventoryView
from gswarm_tui.tui.screens.job import JobView
from gswarm_tui.tui.screens.jobs import JobsView
from gswarm_tui.tui.screens.log import LogView
from gswarm_tui.tui.screens.model import ModelView
from gswarm_tui.tui.screens.models import ModelsView
from gswarm_tui.tui.screens.node import NodeView
from gswarm_tui.tui.screens.playbook import PlaybookView
from gswarm_tui.tui.screens.playbooks import PlaybooksView
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.views import VIEWS
from gswarm_tui.tui.widgets.line_table import LineTable

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [(FleetView, "fleet"), (NodeView, "node"), (GpuView, "gpu")]
PAGES += [(ModelsView, "models"), (ModelView, "models")]
PAGES += [(JobsView, "jobs"), (JobView, "job"), (LogView, "log")]
PAGES += [(PlaybooksView, "playbooks"), (PlaybookView, "playbooks"), (InventoryView, "inventory")]


def written(key: str) -> str:
    """A key as documents have it."""
    names = {"question_mark": "?", "slash": "/", "colon": ":", "escape": "Esc", "left": "←"}
    names |= {"tab": "Tab"}
    names |= {"left_square_bracket": "[", "right_square_bracket": "]"}
    names |= {"enter": "Enter", "backspace": "Backspace", "down": "↓", "up": "↑"}
    names |= {"pagedown": "PgDn", "pageup": "PgUp"}
    if key in names:
        return names[key]
    if key.startswith("ctrl+"):
        return f"Ctrl-{key[5:].capitalize()}"
    return key


def keys_of(owner: type) -> set[str]:
    bindings = [b for b in vars(owner).get("BINDINGS", []) if isinstance(b, Binding)]
    return {written(key) for binding in bindings for key in binding.key.split(",")}


@pytest.mark.parametrize(("view", "page"), PAGES, ids=lambda value: str(value))
def test_a_page_has_the_keys_of_its_screen(view: type[View], page: str) -> None:
    text = (DOCS / "tui" / f"{page}.md").read_text()
    own = [owner for owner in view.__mro__ if issubclass(owner, View) and owner is not View]
    keys = set().union(*(keys_of(owner) for owner in own))
    assert keys
    assert {key for key in keys if f"`{key}`" not in text} == set()


def test_the_common_keys_are_there() -> None:
    text = (DOCS / "tui.md").read_text()
    assert {key for key in keys_of(View) if f"`{key}`" not in text} == set()
    assert all(f"`{key}`" in text for key in ("Space", "Ctrl-Space", "Tab"))
    assert LineTable.BINDINGS


@pytest.mark.parametrize("word", [word for word in VIEWS if word != "model"])
def test_every_screen_has_a_page_with_a_picture(word: str) -> None:
    text = (DOCS / "tui" / f"{word}.md").read_text()
    assert f"]({word}.svg)" in text
    assert (DOCS / "tui" / f"{word}.svg").exists()


def test_the_index_leads_to_every_page() -> None:
    text = (DOCS / "tui.md").read_text()
    pages = [file.name for file in (DOCS / "tui").glob("*.md")]
    assert [name for name in pages if f"(tui/{name})" not in text] == []
