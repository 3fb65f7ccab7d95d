"""What `copy` and `move` have in common, as far as it can be told before they run."""

from __future__ import annotations

from collections.abc import Sequence

from gswarm_tui.devices import DISK, Device
from gswarm_tui.playbook.check.expected import Expected
from gswarm_tui.playbook.check.expected_node import Held
from gswarm_tui.playbook.check.finding import Draft


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
