"""Models: their names, where they are, and every verb on them (`Models`).

`Models` is imported on first use: the screens only need the types of what nodes answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gswarm_tui.models.models import Models as Models

__all__ = ["Models"]


def __getattr__(name: str) -> Any:
    if name != "Models":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gswarm_tui.models.models import Models

    return Models
