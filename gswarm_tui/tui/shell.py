"""A shell on a node, in the terminal that the screens are in."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from gswarm_tui.inventory.nodespec import NodeSpec

Shell = Callable[[str], Sequence[str] | None]
"""The command that opens a shell on a node of that name; None where there is no such node."""


def command(spec: NodeSpec) -> list[str]:
    """What opens a shell on a node: ssh as the inventory has it; here, the user's own shell."""
    if spec.connection == "local":
        return [os.environ.get("SHELL") or "/bin/sh"]
    return spec.ssh()
