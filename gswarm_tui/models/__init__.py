"""Models: what they are called, where they are, and every verb on them (`Models`)."""

from __future__ import annotations

from gswarm_tui.models.models import Models

__all__ = ["Models"]
