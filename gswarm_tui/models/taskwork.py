"""What `Models` does for a job's tasks: commands, leases on nodes, and what nodes know of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from gswarm_tui.models import commands, leases
from gswarm_tui.models.ground import Ground
from gswarm_tui.models.leases import Want, Who
from gswarm_tui.models.results import CommandResult
from gswarm_tui.progress import ProgressCallback, ignore


class TaskWork:
    """The part of `Models` that is about no model."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def command(
        self,
        node: str,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        creates: str | None = None,
        timeout_s: float | None = None,
        progress: ProgressCallback = ignore,
    ) -> CommandResult:
        """Run a program on a node; it goes on when the connection is lost, and ends with a cancel.

        Within a task (`gswarm_tui.fleet.TASK`) it runs once, however often it is asked for.

        Args:
            argv: the program and its arguments; no shell reads them.
            cwd: its folder on the node; None for the user's home.
            env: goes into its environment, and nowhere else.
            creates: a path on the node; where it is there, nothing is run.
            progress: `Progress.output` has what it writes as it writes it.

        Raises:
            RemoteError: it ended with another status than 0 (``failed``), or took longer than
                `timeout_s` (``timeout``).
        """
        return await commands.command(
            self._ground,
            node,
            argv,
            cwd=cwd,
            env=env or {},
            creates=creates,
            timeout_s=timeout_s,
            progress=progress,
        )

    async def is_there(self, node: str, path: str, *, cwd: str | None = None) -> bool | None:
        """Whether a path is on a node; None where the node's helper is too old to say.

        Args:
            cwd: the folder that it is relative to; None for the user's home.

        Raises:
            NodeError: the node cannot be reached, or its user may not look there.
        """
        return await commands.is_there(self._ground, node, path, cwd=cwd)

    async def take_leases(
        self,
        wants: Mapping[str, Sequence[Want]],
        who: Who,
        waiting: Callable[[str], None],
        lost: Callable[[str], None],
    ) -> None:
        """Take what a task needs of nodes, all or nothing, for the task in `gswarm_tui.fleet.TASK`.

        Nodes whose helper knows no leases are passed over.

        Args:
            waiting: is told in a sentence what is waited for, and who holds it.
            lost: is told, later, that somebody else has it by now: the node's helper or the
                connection to it was lost, and they were faster.

        Raises:
            NodeError: a node cannot be reached. Nothing is held then.
        """
        await leases.take(self._ground, wants, who, waiting, lost)

    async def drop_leases(self, nodes: Iterable[str]) -> None:
        """Let go of what the task in `gswarm_tui.fleet.TASK` holds on `nodes`.

        Raises:
            NodeError: one cannot be reached; it drops its leases by itself within half a minute.
        """
        await leases.drop(self._ground, nodes)

    async def task_cancel(self, node: str, prefix: str) -> int:
        """End what a node does for tasks whose key begins with `prefix`; how much of it ran."""
        return await leases.task_cancel(self._ground, node, prefix)
