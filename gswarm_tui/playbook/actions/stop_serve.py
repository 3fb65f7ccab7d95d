"""``stop_serve``: end the service of a model; what is loaded stays loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from gswarm_tui.devices import DRAM, GPU, Device
from gswarm_tui.models.results import StopResult
from gswarm_tui.playbook.actions.base import (
    Action,
    ParseDevice,
    Use,
    WrittenForModel,
    all_services_of,
    described,
    listed,
    service_of,
)
from gswarm_tui.playbook.actions.places import read_places, require_tiers
from gswarm_tui.playbook.check.finding import Draft, Finding
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class StopServe(Action):
    """``devices`` None is everywhere."""

    result: ClassVar = StopResult

    model: str
    devices: tuple[Device, ...] | None

    def summary(self) -> str:
        where = "everywhere" if self.devices is None else f"on {listed(self.devices)}"
        return f"{self.model} {where}"

    def sentence(self) -> str:
        where = "wherever it is served" if self.devices is None else f"on {described(self.devices)}"
        return f"ends the service of {self.model} {where}, after the requests under way"

    def uses(self) -> Iterable[Use]:
        if self.devices is None:
            return [all_services_of(self.model, "stops every service", exclusive=True)]
        services = [service_of(self.model, device, "stops") for device in self.devices]
        return [all_services_of(self.model, "stops a service", exclusive=False), *services]

    def known(self) -> Mapping[str, Any]:
        if self.devices is None:
            return {"model": self.model}
        return {"model": self.model, "devices": [str(device) for device in self.devices]}

    async def compare(self, expected: Expected) -> Finding:
        found = Draft()
        if self.devices is None:
            await expected.look(None)
            expected.all_answer()
            expected.refuse_doubt("service", self.model)
            for name, _ in expected.nodes():
                expected.unpublish(found, name, self.model, None)
        for device in self.devices or ():
            expected.refuse_doubt("service", self.model, str(device))
            expected.unpublish(found, str(device.node), self.model, frozenset({device.tier_name}))
        finding = found.finding()
        if not finding.because:
            found.has("it is not served there")
        return found.finding()

    async def run(self, models: Models, *, progress: ProgressCallback) -> StopResult:
        return await models.stop_serve(self.model, self.devices)

    def settle(self, result: StopResult, outcome: Outcome) -> None:
        devices = None if self.devices is None else map(str, self.devices)
        outcome.stopped(self.model, devices)


class WrittenStopServe(WrittenForModel):
    devices: list[str] | None = Field(
        default=None, description="Where; everywhere if it is not there."
    )
    device: str | None = Field(default=None, description="Where; everywhere if it is not there.")
    target_device: str | None = Field(
        default=None, description="Where; everywhere if it is not there."
    )

    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> StopServe:
        written = {"device": self.device, "target_device": self.target_device}
        places = read_places({"devices": self.devices, **written}, parse)
        require_tiers(places, (DRAM, GPU), "nothing is served from {device}")
        devices = tuple(place.device for place in places) or None
        return StopServe(
            action_id=self.action_id, late=late, model=self.model_name, devices=devices
        )
