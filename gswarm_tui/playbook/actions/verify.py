"""``verify``: read copies of a model again, and compare them with what was published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field

from gswarm_tui.devices import DISK, DRAM, Device
from gswarm_tui.models.results import VerifyResult
from gswarm_tui.playbook.actions.base import (
    Action,
    ParseDevice,
    SpellingError,
    Use,
    WrittenForModel,
    copy_of,
    described,
    listed,
)
from gswarm_tui.playbook.actions.carrying import not_there
from gswarm_tui.playbook.actions.places import read_places, require_tiers
from gswarm_tui.playbook.check.finding import Draft, Finding
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.outcome import Outcome

FAIL: Final = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify(Action):
    """``fails`` is whether it has failed where a file is bad; else its result says so."""

    result: ClassVar = VerifyResult

    model: str
    devices: tuple[Device, ...]
    fails: bool

    def summary(self) -> str:
        return f"{self.model} on {listed(self.devices)}"

    def sentence(self) -> str:
        fails = "; a bad file is a failure" if self.fails else ""
        return f"reads every file of {self.model} on {described(self.devices)} again{fails}"

    def uses(self) -> Iterable[Use]:
        for device in self.devices:
            yield copy_of(self.model, device, "reads", exclusive=False)

    def known(self) -> Mapping[str, Any]:
        return {"model": self.model, "devices": [str(device) for device in self.devices]}

    async def compare(self, expected: Expected) -> Finding:
        found = Draft()
        for device in self.devices:
            sizes = expected.sizes(self.model, device)
            if sizes:
                found.reads(device, None if None in sizes else sum(size or 0 for size in sizes))
            else:
                found.fails(await not_there(expected, self.model, device))
        return found.finding()

    async def run(self, models: Models, *, progress: ProgressCallback) -> VerifyResult:
        result = await models.verify(self.model, self.devices, progress=progress)
        if self.fails and not result.ok:
            raise await models.damage(result)
        return result

    def settle(self, result: VerifyResult, outcome: Outcome) -> None:
        outcome.verified_as(result.model, result.copies)


class WrittenVerify(WrittenForModel):
    devices: list[str] | None = Field(default=None, description="Where its copies are.")
    device: str | None = Field(default=None, description="Where its copy is.")
    target_device: str | None = Field(default=None, description="Where its copy is.")
    on_damage: Literal["fail", "report"] = Field(
        default="fail",
        description="fail: a bad file is a failure; report: only the result says so.",
    )

    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Verify:
        written = {"device": self.device, "target_device": self.target_device}
        places = read_places({"devices": self.devices, **written}, parse)
        if not places:
            raise SpellingError((), "it does not say where", hint="write `device: node1:disk`")
        require_tiers(places, (DISK, DRAM), "copies on disk or dram can be verified, not {device}")
        return Verify(
            action_id=self.action_id,
            late=late,
            model=self.model_name,
            devices=tuple(place.device for place in places),
            fails=self.on_damage == FAIL,
        )
