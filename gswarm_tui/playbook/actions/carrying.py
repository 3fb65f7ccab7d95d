"""What `copy` and `move` have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from gswarm_tui.devices import DISK, Device
from gswarm_tui.playbook.actions.base import (
    Action,
    ParseDevice,
    Use,
    WrittenForModel,
    copy_of,
    gpu_of,
    network_of,
)
from gswarm_tui.playbook.actions.download import known_places
from gswarm_tui.playbook.actions.places import read_route
from gswarm_tui.playbook.check.expected import Expected
from gswarm_tui.playbook.check.expected_node import Held
from gswarm_tui.playbook.check.finding import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrying(Action):
    """It brings a model from a device to others."""

    model: str
    source: Device
    targets: tuple[Device, ...]

    def uses_of_targets(self) -> Iterable[Use]:
        for target in self.targets:
            yield copy_of(self.model, target, "writes", exclusive=True)
            yield from gpu_of(target, "loads on")
            if target.node != self.source.node:
                yield network_of(target.node)

    def loads_on(self) -> Iterable[Device]:
        return self.targets

    def known(self) -> Mapping[str, Any]:
        return known_places(self.model, self.targets)


class WrittenCarrying(WrittenForModel):
    devices: list[str] | None = Field(default=None, description="[source, target, …]")
    source_device: str | None = Field(default=None, description="From where.")
    target_device: str | None = Field(default=None, description="Where to.")

    def route(self, parse: ParseDevice) -> tuple[Device, tuple[Device, ...]]:
        """The source and the targets.

        Raises:
            SpellingError: they contradict each other, or a part is missing.
        """
        source, targets = read_route(self.devices, self.source_device, self.target_device, parse)
        return source.device, tuple(place.device for place in targets)


def carry(
    expected: Expected,
    found: Draft,
    model: str,
    source: Device,
    targets: Sequence[Device],
    *,
    engine: str | None = None,
    engine_is_late: bool = False,
) -> Held | None:
    """Bring a model from a device to others; returns the copy that is read, None where there is
    none.

    Raises:
        Unknowable: it depends on what cannot be told.
    """
    here = _at_source(expected, found, model, source)
    if here is None:
        return None
    for target in targets:
        if target.is_store:
            expected.place(found, model, target, here.revision, here.size)
    gpus = [target for target in targets if target.is_gpu]
    if gpus:
        files = expected.node(gpus[0].node).files(model, here.revision)
        if files is None:
            found.fails(f"{gpus[0]} loads from its own node, and {gpus[0].node} has no copy of it")
            return here
        expected.load(
            found,
            model,
            gpus,
            engine=engine,
            engine_is_late=engine_is_late,
            revision=here.revision,
            reads=files[0],
            with_service=False,
        )
    return here


def are_there(expected: Expected, model: str, targets: Sequence[Device]) -> bool:
    """Whether every target has the model in some revision."""
    return all(
        expected.held(model, target)
        if target.is_store
        else expected.engine_on(model, target) is not None
        for target in targets
    )


async def not_there(expected: Expected, model: str, where: Device | str) -> str:
    """That a model is not where it should be, and where it is."""
    await expected.look(None)
    places = expected.places_of(model)
    elsewhere = f"; it is on {', '.join(places)}" if places else ""
    return f"{model} is not on {where}{elsewhere}"


def has_other_copy(expected: Expected, model: str, source: Device, copy: Held) -> bool:
    """Whether a disk that answers would still have a revision without the source's copy."""
    for name, node in expected.nodes():
        if source.tier == DISK and name == source.node:
            continue
        if any(
            copy.revision in (None, held.revision) for held in node.copies.get((model, DISK), ())
        ):
            return True
    return False


def _at_source(expected: Expected, found: Draft, model: str, source: Device) -> Held | None:
    if source.is_store:
        held = expected.held(model, source)
        return held[-1] if held else None
    engine = expected.engine_on(model, source)
    if engine is None:
        return None
    files = expected.node(source.node).files(model, engine.revision)
    if files is None:
        found.fails(f"the files of {model} are not on {source.node} any more, only its engine is")
        return Held(engine.revision, None)
    return files[1]
