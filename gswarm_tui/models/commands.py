"""Running a program on a node, and looking whether what it would create is there."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from gswarm_remote.output import Trimmer

from gswarm_tui.fleet import TASK
from gswarm_tui.models.ground import Ground
from gswarm_tui.models.results import CommandResult
from gswarm_tui.progress import ProgressCallback, from_wire


async def command(
    ground: Ground,
    node: str,
    argv: Sequence[str],
    *,
    cwd: str | None,
    env: Mapping[str, str],
    creates: str | None,
    timeout_s: float | None,
    progress: ProgressCallback,
) -> CommandResult:
    """See `Models.command`."""
    name = ground.spec(node).name
    params = {
        "argv": list(argv),
        "cwd": cwd,
        "env": dict(env),
        "creates": creates,
        "timeout_s": timeout_s,
        # Outside a job it still has to be known by something, for when the connection is lost.
        "task": TASK.get() or f"direct/{secrets.token_hex(8)}",
    }
    trimmer = Trimmer()  # what was streamed before a reconnection comes again

    def listen(report: dict[str, Any]) -> None:
        new = trimmer.new(report)
        if new is not None:
            progress(from_wire(new))

    answer = await ground.node(name).call("command.run", params, progress=listen)
    return CommandResult(
        node=name,
        status=int(answer["status"]),
        output=str(answer["output"]),
        skipped=bool(answer["skipped"]),
        seconds=float(answer["seconds"]),
    )


async def is_there(ground: Ground, node: str, path: str, *, cwd: str | None) -> bool | None:
    """See `Models.is_there`."""
    name = ground.spec(node).name
    await ground.node(name).connect()
    if not ground.knows(name, "command.look"):
        return None
    return bool((await ground.call(name, "command.look", {"creates": path, "cwd": cwd}))["there"])
