"""``copy``: put a model on more devices; the source stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gswarm_tui.models.results import CopyResult
from gswarm_tui.playbook.actions.base import ParseDevice, Use, copy_of, described, listed
from gswarm_tui.playbook.actions.carrying import Carrying, WrittenCarrying, carry, not_there
from gswarm_tui.playbook.check.finding import Draft, Finding
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Carrying):
    result: ClassVar = CopyResult

    def summary(self) -> str:
        return f"{self.model} from {self.source} to {listed(self.targets)}"

    def sentence(self) -> str:
        return f"copies {self.model} from {described([self.source])} to {described(self.targets)}"

    def uses(self) -> Iterable[Use]:
        yield copy_of(self.model, self.source, "reads", exclusive=False)
        yield from self.uses_of_targets()

    async def compare(self, expected: Expected) -> Finding:
        found = Draft()
        if carry(expected, found, self.model, self.source, self.targets) is None:
            found.fails(await not_there(expected, self.model, self.source))
        return found.finding()

    async def run(self, models: Models, *, progress: ProgressCallback) -> CopyResult:
        return await models.copy(self.model, self.source, self.targets, progress=progress)

    def settle(self, result: CopyResult, outcome: Outcome) -> None:
        outcome.placed(result)


class WrittenCopy(WrittenCarrying):
    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Copy:
        source, targets = self.route(parse)
        return Copy(
            action_id=self.action_id,
            late=late,
            model=self.model_name,
            source=source,
            targets=targets,
        )
