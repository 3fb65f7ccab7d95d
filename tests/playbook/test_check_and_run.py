"""What `--check` says is what a run then does, whatever the actions and wherever the models are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan
from gswarm_tui.playbook.check.compare import compare
from gswarm_tui.playbook.check.finding import Verdict
from gswarm_tui.progress import ignore
from gswarm_tui.sources import Resolved, SourceFile
from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry

from ..models.fake import INFO, SIZE, FakeFleet

MakePlan = Callable[[str], Plan]
NODES = ("node1", "node2")
SPACE = {"path": "/s", "total": 10**12, "free": 10**12, "used_by_models": 0, "quota": None}
STORES = st.sampled_from([f"{node}:{tier}" for node in NODES for tier in ("disk", "dram")])
GPUS = st.sampled_from([f"{node}:gpu{index}" for node in NODES for index in (0, 1)])
PLACES = STORES | GPUS
MEMORY = st.sampled_from([f"{node}:dram" for node in NODES])
NAMES = st.sampled_from(["a", "a", "a", "b"])
ACTIONS = st.one_of(
    st.fixed_dictionaries(
        {
            "action_type": st.just("download"),
            "model_name": NAMES,
            "source": st.just("hf://o/m"),
            "device": STORES,
        }
    ),
    st.fixed_dictionaries(
        {
            "action_type": st.sampled_from(["copy", "move"]),
            "model_name": NAMES,
            "devices": st.lists(PLACES, min_size=2, max_size=2, unique=True),
        }
    ),
    st.fixed_dictionaries(
        {"action_type": st.just("serve"), "model_name": NAMES, "device": GPUS | MEMORY}
    ),
    st.fixed_dictionaries(
        {
            "action_type": st.sampled_from(["stop_serve", "delete"]),
            "model_name": NAMES,
            "device": GPUS,
        }
    ),
    st.fixed_dictionaries(
        {
            "action_type": st.sampled_from(["delete", "verify"]),
            "model_name": NAMES,
            "device": STORES,
        }
    ),
)


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source whose only model is what the fleet in memory makes of it."""

    async def resolve(reference: str, **_: Any) -> Resolved:
        file = SourceFile("w", size=SIZE, sha256="ab" * 32, url="https://hub/w")
        return Resolved(
            reference, "fetch", "m", revision="c1", files=(file,), origin="https://hub:443"
        )

    monkeypatch.setattr("gswarm_tui.sources.measure", resolve)
    monkeypatch.setattr("gswarm_tui.sources.resolve", resolve)


def held(fleet: FakeFleet) -> dict[str, Any]:
    """Everything that nodes have."""
    return {
        name: (sorted(node.manifests), sorted(node.replicas), sorted(node.services))
        for name, node in fleet.nodes.items()
    }


def a_fleet(there: Iterable[tuple[str, str]]) -> FakeFleet:
    fleet = FakeFleet()
    for node in fleet.nodes.values():
        gpus = [{"index": 0}, {"index": 1}]
        node.info = {**INFO, "disk": SPACE, "dram": SPACE, "memory_available": 10**12, "gpus": gpus}
    for name, device in there:
        node, tier = device.split(":")
        fleet[node].has(name, tier, "c1")
    return fleet


def chain(written: Iterable[Mapping[str, Any]]) -> str:
    """Actions one after the other."""
    lines = []
    for index, action in enumerate(written):
        needs = [f"s{index - 1}"] if index else []
        lines.append(json.dumps({"action_id": f"s{index}", "dependencies": needs, **action}))
    return "".join(f"- {line}\n" for line in lines)


async def one_by_one(
    written: Iterable[Mapping[str, Any]], fleet: FakeFleet, models: Models, make_plan: MakePlan
) -> list[tuple[Mapping[str, Any], Verdict]]:
    """Check each action and run it; returns those that could be, with what was said."""
    could = []
    for action in written:
        before = held(fleet)
        (task,) = (await compare(make_plan(chain([action])), models)).tasks
        assert held(fleet) == before
        if task.finding.problems or task.finding.verdict is Verdict.UNKNOWN:
            event(f"{action['action_type']}: not run")
            continue
        event(f"{action['action_type']}: {task.finding.verdict}")
        await task.planned.action.run(models, progress=ignore)
        changes = held(fleet) != before or action["action_type"] == "verify"  # which only reads
        assert changes == (task.finding.verdict is Verdict.WOULD_DO), task.planned.summary
        could.append((action, task.finding.verdict))
    return could


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Database(tmp_path / "registry.db") as database:
        yield Registry(database)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
@given(
    written=st.lists(ACTIONS, min_size=1, max_size=10),
    there=st.sets(st.tuples(NAMES, STORES), min_size=1, max_size=4),
)
def test_what_is_said_is_what_is_done(
    make_plan: MakePlan,
    registry: Registry,
    written: list[Mapping[str, Any]],
    there: set[tuple[str, str]],
) -> None:
    def models_of(fleet: FakeFleet) -> Models:
        return Models(fleet, registry)  # type: ignore[arg-type]

    async def both() -> None:
        fleet = a_fleet(there)
        could = await one_by_one(written, fleet, models_of(fleet), make_plan)
        if could:
            plan = make_plan(chain(action for action, _ in could))
            found = await compare(plan, models_of(a_fleet(there)))
            assert found.problems == []
            assert [t.finding.verdict for t in found.tasks] == [verdict for _, verdict in could]

    asyncio.run(both())
