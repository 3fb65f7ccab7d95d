"""``noop``: do nothing, and be done; for joining what others need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from gswarm_tui.playbook.actions.base import Action, ParseDevice, Use, Written
from gswarm_tui.playbook.actions.command import node_named, program_on, shortened
from gswarm_tui.playbook.check.finding import Finding, Verdict
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.outcome import Outcome


@dataclass(frozen=True, slots=True)
class NoopResult:
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noop(Action):
    """``node`` is not asked anything: it only counts as one of that node's tasks."""

    result: ClassVar = NoopResult

    message: str
    node: str | None

    def summary(self) -> str:
        return shortened(self.shown("message", self.message)) or "nothing"

    def sentence(self) -> str:
        message = shortened(self.shown("message", self.message))
        return f"does nothing, and says: {message}" if message else "does nothing"

    def uses(self) -> Iterable[Use]:
        if self.node is not None:
            yield program_on(self.node)

    def known(self) -> Mapping[str, Any]:
        return {} if "message" in self.late else {"message": self.message}

    async def compare(self, expected: Expected) -> Finding:
        return Finding(Verdict.WOULD_DO)

    async def run(self, models: Models, *, progress: ProgressCallback) -> NoopResult:
        return NoopResult(self.message)

    def settle(self, result: NoopResult, outcome: Outcome) -> None:
        pass


class WrittenNoop(Written):
    message: str = Field(default="", description="Shown, and returned.")
    node: str | None = Field(default=None, description="The node whose task it counts as.")

    decides: ClassVar = Written.decides | {"node"}

    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Noop:
        node = None if self.node is None else node_named(self.node, parse)
        return Noop(action_id=self.action_id, late=late, message=self.message, node=node)
