"""``move``: put a model on other devices; onto a GPU it is loaded by an engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gswarm_tui.devices import Device
from gswarm_tui.models.moving import keeps_source
from gswarm_tui.models.results import MoveResult
from gswarm_tui.playbook.actions.base import (
    Action,
    ParseDevice,
    Use,
    WrittenForModel,
    copy_of,
    listed,
    removal_of,
)
from gswarm_tui.playbook.actions.download import known_places
from gswarm_tui.playbook.actions.engine import engine_and_config
from gswarm_tui.playbook.actions.places import read_route
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(Action):
    """``keep_source`` None leaves it to the rule of `gswarm_tui.models.moving`."""

    result: ClassVar = MoveResult

    model: str
    source: Device
    targets: tuple[Device, ...]
    keep_source: bool | None
    force: bool
    engine: str | None
    config: Mapping[str, Any]

    @property
    def keeps_source(self) -> bool:
        """Whether the source's copy is still there after it."""
        if self.keep_source is not None:
            return self.keep_source
        return keeps_source(self.source, self.targets)

    def summary(self) -> str:
        kept = ", the source is kept" if self.keeps_source else ""
        return f"{self.model} from {self.source} to {listed(self.targets)}{kept}"

    def uses(self) -> Iterable[Use]:
        if self.keeps_source:
            yield copy_of(self.model, self.source, "reads", exclusive=False)
        else:
            yield from removal_of(self.model, self.source)
        for target in self.targets:
            yield copy_of(self.model, target, "writes", exclusive=True)

    def loads_on(self) -> Iterable[Device]:
        return self.targets

    def known(self) -> Mapping[str, Any]:
        return known_places(self.model, self.targets)

    async def run(self, models: Models, *, progress: ProgressCallback) -> MoveResult:
        return await models.move(
            self.model,
            self.source,
            self.targets,
            keep_source=self.keep_source,
            force=self.force,
            engine=self.engine,
            config=self.config,
            progress=progress,
        )

    def settle(self, result: MoveResult, outcome: Outcome) -> None:
        outcome.placed(result)
        if not result.source_kept:
            outcome.removed(self.model, [self.source])


class WrittenMove(WrittenForModel):
    devices: list[str] | None = None
    source_device: str | None = None
    target_device: str | None = None
    keep_source: bool | None = None
    force: bool = False
    engine: str | None = None
    config: dict[str, Any] | None = None

    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Move:
        source, targets = read_route(self.devices, self.source_device, self.target_device, parse)
        engine, config = engine_and_config(self.engine, self.config)
        return Move(
            action_id=self.action_id,
            late=late,
            model=self.model_name,
            source=source.device,
            targets=tuple(place.device for place in targets),
            keep_source=self.keep_source,
            force=self.force,
            engine=engine,
            config=config,
        )
