"""The action types: one file each, and this table of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

from gswarm_tui.playbook.actions.base import Action, Written
from gswarm_tui.playbook.actions.command import Command, WrittenCommand
from gswarm_tui.playbook.actions.copy import Copy, WrittenCopy
from gswarm_tui.playbook.actions.delete import Delete, WrittenDelete
from gswarm_tui.playbook.actions.download import Download, WrittenDownload
from gswarm_tui.playbook.actions.health_check import HealthCheck, WrittenHealthCheck
from gswarm_tui.playbook.actions.move import Move, WrittenMove
from gswarm_tui.playbook.actions.noop import Noop, WrittenNoop
from gswarm_tui.playbook.actions.serve import Serve, WrittenServe
from gswarm_tui.playbook.actions.stop_serve import StopServe, WrittenStopServe
from gswarm_tui.playbook.actions.verify import Verify, WrittenVerify

__all__ = ["TYPES", "Action", "ActionType", "Written"]


@dataclass(frozen=True, slots=True)
class ActionType:
    """How an action type is written, and the dataclass that it returns."""

    written: type[Written]
    result: type[Any]

    def fields(self) -> Mapping[str, Any]:
        """The names that ``${action_id.…}`` can read, with their types."""
        return get_type_hints(self.result)


TYPES: Final[Mapping[str, ActionType]] = {
    "download": ActionType(WrittenDownload, Download.result),
    "copy": ActionType(WrittenCopy, Copy.result),
    "move": ActionType(WrittenMove, Move.result),
    "serve": ActionType(WrittenServe, Serve.result),
    "stop_serve": ActionType(WrittenStopServe, StopServe.result),
    "delete": ActionType(WrittenDelete, Delete.result),
    "verify": ActionType(WrittenVerify, Verify.result),
    "health_check": ActionType(WrittenHealthCheck, HealthCheck.result),
    "command": ActionType(WrittenCommand, Command.result),
    "noop": ActionType(WrittenNoop, Noop.result),
}
"""The action types by the word for them in a playbook."""
