"""``move``: put a model on other devices; onto a GPU it is loaded by an engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from gswarm_tui.devices import DISK
from gswarm_tui.models.moving import keeps_source
from gswarm_tui.models.results import MoveResult
from gswarm_tui.playbook.actions.base import (
    ParseDevice,
    Use,
    copy_of,
    described,
    listed,
    removal_of,
)
from gswarm_tui.playbook.actions.carrying import (
    Carrying,
    WrittenCarrying,
    are_there,
    carry,
    has_other_copy,
    not_there,
)
from gswarm_tui.playbook.actions.engine import engine_and_config
from gswarm_tui.playbook.check.finding import Draft, Finding
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.check.expected import Expected
    from gswarm_tui.playbook.check.expected_node import Held
    from gswarm_tui.playbook.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(Carrying):
    """``keep_source`` None leaves it to the rule of `gswarm_tui.models.moving`."""

    result: ClassVar = MoveResult

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

    def sentence(self) -> str:
        source, targets = described([self.source]), described(self.targets)
        with_engine = "" if self.engine is None else f" with {self.shown('engine', self.engine)}"
        after = "stays as well" if self.keeps_source else "is removed from there afterwards"
        forced = ", even if it is the last copy or in use" if self.force else ""
        return f"brings {self.model} from {source} to {targets}{with_engine}; it {after}{forced}"

    def uses(self) -> Iterable[Use]:
        if self.keeps_source:
            yield copy_of(self.model, self.source, "reads", exclusive=False)
        else:
            yield from removal_of(self.model, self.source)
        yield from self.uses_of_targets()

    async def compare(self, expected: Expected) -> Finding:
        found = Draft()
        engine = None if "engine" in self.late else self.engine
        copy = carry(
            expected,
            found,
            self.model,
            self.source,
            self.targets,
            engine=engine,
            engine_is_late=bool({"engine", "config"} & self.late.keys()),
        )
        if copy is None:
            if self.keeps_source or not are_there(expected, self.model, self.targets):
                found.fails(await not_there(expected, self.model, self.source))
            found.has("it was moved before")
        elif not self.keeps_source:
            await self._compare_removal(expected, found, copy)
        return found.finding()

    async def _compare_removal(self, expected: Expected, found: Draft, copy: Held) -> None:
        if self.source.is_gpu:
            expected.unload(found, self.model, self.source, force=self.force)
            return
        lands = any(target.tier in (DISK, self.source.tier) for target in self.targets)
        if not lands and not self.force:
            await expected.look(None)
            if not has_other_copy(expected, self.model, self.source, copy):
                found.fails(
                    f"no other disk that answers has {self.model}, and {self.source} loses it"
                )
        loads_here = any(gpu.is_gpu and gpu.node == self.source.node for gpu in self.targets)
        expected.remove_files(
            found,
            self.model,
            self.source,
            revision=copy.revision,
            force=self.force or loads_here,
        )

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


class WrittenMove(WrittenCarrying):
    keep_source: bool | None = Field(default=None, description="Whether the source's copy stays.")
    force: bool = Field(
        default=False,
        description="Also where it removes the last copy, or ends an engine that is served.",
    )
    engine: str | None = Field(
        default=None, description="What loads it: vllm, mlx or command; what the node has else."
    )
    config: dict[str, Any] | None = Field(default=None, description="Settings of the engine.")

    def action(self, parse: ParseDevice, late: Mapping[str, str]) -> Move:
        source, targets = self.route(parse)
        engine, config = engine_and_config(self.engine, self.config)
        return Move(
            action_id=self.action_id,
            late=late,
            model=self.model_name,
            source=source,
            targets=targets,
            keep_source=self.keep_source,
            force=self.force,
            engine=engine,
            config=config,
        )
