"""A shell on a node, in the terminal that the screens are in."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from gswarm_tui.nodespec import NodeSpec

Shell = Callable[[str], Sequence[str] | None]
"""The command that opens a shell on a node of that name; None where there is no such node."""


def command(spec: NodeSpec) -> list[str]:
    """What opens a shell on a node: ssh as the inventory has it; here, the user's own shell."""
    if spec.connection == "local":
        return [os.environ.get("SHELL") or "/bin/sh"]
    options: list[str] = []
    if spec.port is not None:
        options += ["-p", str(spec.port)]
    if spec.user is not None:
        options += ["-l", spec.user]
    if spec.identity is not None:
        options += ["-i", str(spec.identity)]
    if spec.jump is not None:
        options += ["-J", spec.jump]
    return ["ssh", *options, "--", spec.host]
