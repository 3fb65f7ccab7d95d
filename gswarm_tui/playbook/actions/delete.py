"""``delete``: remove a model from devices; on a GPU its engine ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from gswarm_tui.devices import DISK, DRAM, GPU, Device
from gswarm_tui.models.results import DeleteResult
from gswarm_tui.playbook.actions.base import (
    Action,
    ParseDevice,
    SpellingError,
    Use,
    WrittenForModel,
    described,
    listed,
    removal_of,
)
from gswarm_tui.playbook.actions.places import read_places, require_tiers
from gswarm_tui.playbook.check.finding import Draft, Finding
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(Action):
    result: ClassVar = DeleteResult

    model: str
    devices: tuple[Device, ...]
    force: bool

    def summary(self) -> str:
        return f"{self.model} from {listed(self.devices)}{', by force' if self.force else ''}"

    def sentence(self) -> str:
        forced = ", even while it is in use" if self.force else ""
        return f"removes {self.model} from {described(self.devices)}{forced}"

    def uses(self) -> Iterable[Use]:
        for device in self.devices:
            yield from removal_of(self.model, device)

    def known(self) -> Mapping[str, Any]:
        return {"model": self.model, "devices": [str(device) for device in self.devices]}

    async def compare(self, expected: Expected) -> Finding:
        found = Draft()
        for device in sorted(self.devices, key=lambda device: device.tier == DISK):
            if device.tier != DISK:
                expected.unload(found, self.model, device, force=self.force)
            if device.is_store:
                expected.remove_files(found, self.model, device, revision=None, force=self.force)
        return found.finding()

    async def run(self, models: Models, *, progress: ProgressCallback) -> DeleteResult:
        return await models.delete(self.model, self.devices, force=self.force)

    def settle(self, result: DeleteResult, outcome: Outcome) -> None:
        outcome.removed(self.model, self.devices)


class WrittenDelete(WrittenForModel):
    devices: list[str] | None = Field(default=None, description="From where.")
    device: str | None = Field(default=None, description="From where.")
    target_device: str | None = Field(default=None, description="From where.")
    force: bool = Field(default=False, description="Also while it is in use.")

    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Delete:
        written = {"device": self.device, "target_device": self.target_device}
        places = read_places({"devices": self.devices, **written}, parse)
        if not places:
            raise SpellingError((), "it does not say from where", hint="write `device: node1:disk`")
        require_tiers(places, (DISK, DRAM, GPU), "nothing can be deleted from the {device}")
        return Delete(
            action_id=self.action_id,
            late=late,
            model=self.model_name,
            devices=tuple(place.device for place in places),
            force=self.force,
        )
