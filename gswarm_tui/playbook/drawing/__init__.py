"""A plan as a picture: lines in a terminal, SVG, or text for Mermaid and Graphviz.

Implied edges are left out: where c needs a and b, and b needs a, there is no line from a to c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gswarm_tui.playbook.drawing import lanes, languages, svg
from gswarm_tui.playbook.drawing.steps import FOLD, Step, steps_of

__all__ = ["FOLD", "FORMATS", "Step", "lanes", "steps_of"]

FORMATS: Final[Mapping[str, Callable[[str, list[Step]], str]]] = {
    "svg": svg.draw,
    "mermaid": languages.mermaid,
    "dot": languages.dot,
}
"""Draws steps, under a title, as a document of that format; `lanes.draw` is for terminals."""
