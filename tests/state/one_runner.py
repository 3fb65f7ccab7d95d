"""A process that runs a playbook: ``one_runner.py DATABASE PLAYBOOK LOG SLOTS``.

What nodes do takes a few milliseconds; LOG gets a line when it begins, and one when it ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from gswarm_tui import playbook
from gswarm_tui.config import QueueConfig
from gswarm_tui.devices import Device
from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import Capabilities, NodeSpec
from gswarm_tui.jobs import Runner
from gswarm_tui.models import Models
from gswarm_tui.models.results import MoveResult
from gswarm_tui.state.database import Database

SPEC = NodeSpec("node1", "node1", root="/r", capabilities=Capabilities(gpus=(0, 1)))


class Log:
    """What is written by several processes, in the order in which it happened."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


class LoggedModels:
    """Moves that take a moment."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def missing_gpus(self, devices: object) -> dict[Device, str]:
        return {}

    async def take_leases(self, *_: object) -> None:
        """Nothing: only the queue in the database keeps these processes apart."""

    async def drop_leases(self, *_: object) -> None:
        pass

    async def move(
        self, name: str, source: Device, targets: Sequence[Device], **_: Any
    ) -> MoveResult:
        self._log.note("begin", targets[0], os.getpid(), name)
        await asyncio.sleep(0.005)
        self._log.note("end", targets[0], os.getpid(), name)
        devices = [str(target) for target in targets]
        return MoveResult(name, "r", "h", 1, devices[0], devices, None, False, 0.0, True)


def main(database: str, file: str, log: str, slots: str) -> int:
    plan = playbook.plan(playbook.load(Path(file)), Inventory(nodes={"node1": SPEC}))
    models = cast(Models, LoggedModels(Log(log)))
    config = QueueConfig(max_concurrent_tasks=int(slots))
    with Database(Path(database)) as opened:
        result = asyncio.run(Runner(plan, models, opened, config=config).run())
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
