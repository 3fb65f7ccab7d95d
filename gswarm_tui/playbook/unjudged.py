"""What stands in a plan for an action that nothing is known of without an inventory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar

from gswarm_tui.errors import GswarmError
from gswarm_tui.playbook.actions.base import Action, Use
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged(Action):
    """An action with ``${nodes.PATTERN}`` in it, or that refers to one, in a plan that only checks
    shapes.
    """

    result: ClassVar = NoneType

    def summary(self) -> str:
        return "depends on which nodes there are"

    def uses(self) -> Iterable[Use]:
        return ()

    async def run(self, models: Models, *, progress: ProgressCallback) -> Any:
        raise GswarmError(f"`{self.action_id}` was planned without an inventory")

    def settle(self, result: Any, outcome: Outcome) -> None:
        """Nothing: it never runs."""
