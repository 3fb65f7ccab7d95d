"""``copy``: put a model on more devices; the source stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from gswarm_tui.devices import Device
from gswarm_tui.models.results import CopyResult
from gswarm_tui.playbook.actions.base import (
    Action,
    ParseDevice,
    Use,
    WrittenForModel,
    copy_of,
    described,
    gpu_of,
    listed,
    network_of,
)
from gswarm_tui.playbook.actions.carrying import carry, not_there
from gswarm_tui.playbook.actions.download import known_places
from gswarm_tui.playbook.actions.places import read_route
from gswarm_tui.playbook.check.finding import Draft, Finding
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Action):
    result: ClassVar = CopyResult

    model: str
    source: Device
    targets: tuple[Device, ...]

    def summary(self) -> str:
        return f"{self.model} from {self.source} to {listed(self.targets)}"

    def sentence(self) -> str:
        return f"copies {self.model} from {described([self.source])} to {described(self.targets)}"

    def uses(self) -> Iterable[Use]:
        yield copy_of(self.model, self.source, "reads", exclusive=False)
        for target in self.targets:
            yield copy_of(self.model, target, "writes", exclusive=True)
            yield from gpu_of(target, "loads on")
            if target.node != self.source.node:
                yield network_of(target.node)

    def loads_on(self) -> Iterable[Device]:
        return self.targets

    def known(self) -> Mapping[str, Any]:
        return known_places(self.model, self.targets)

    async def compare(self, expected: Expected) -> Finding:
        found = Draft()
        if carry(expected, found, self.model, self.source, self.targets) is None:
            found.fails(await not_there(expected, self.model, self.source))
        return found.finding()

    async def run(self, models: Models, *, progress: ProgressCallback) -> CopyResult:
        return await models.copy(self.model, self.source, self.targets, progress=progress)

    def settle(self, result: CopyResult, outcome: Outcome) -> None:
        outcome.placed(result)


class WrittenCopy(WrittenForModel):
    devices: list[str] | None = Field(default=None, description="[source, target, …]")
    source_device: str | None = Field(default=None, description="From where.")
    target_device: str | None = Field(default=None, description="Where to.")

    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Copy:
        source, targets = read_route(self.devices, self.source_device, self.target_device, parse)
        return Copy(
            action_id=self.action_id,
            late=late,
            model=self.model_name,
            source=source.device,
            targets=tuple(place.device for place in targets),
        )
